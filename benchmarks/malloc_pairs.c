/* One path through malloc and free, run a given number of times: malloc_pairs PATH COUNT.
 * For instruction counts under callgrind; instructions.sh runs it with the preload library. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 7;

/* the xorshift generator of Marsaglia (2003) */
static size_t below(size_t bound) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (size_t)(state >> 16) % bound;
}

/* 8 B to 64 KiB, each doubling as likely */
static size_t mixed_size(void) {
    size_t base = (size_t)8 << below(13);
    return base + below(base) / 8 * 8;
}

static void *allocate(size_t size) {
    void *block = malloc(size);
    if (!block) {
        fputs("error: no memory\n", stderr);
        exit(1);
    }
    return block;
}

static void pairs(size_t size, long count) {
    for (long i = 0; i < count; i++) {
        void *block = allocate(size);
        __asm__ volatile("" : "+r"(block) : : "memory"); /* or the compiler removes the pair */
        free(block);
    }
}

static void mixed(long count) {
    static void *live[10000];
    for (int i = 0; i < 10000; i++)
        live[i] = allocate(mixed_size());
    for (long i = 0; i < count; i++) {
        size_t at = below(10000);
        free(live[at]);
        live[at] = allocate(mixed_size());
    }
    for (int i = 0; i < 10000; i++)
        free(live[i]);
}

int main(int count, char **values) {
    const char *path = count == 3 ? values[1] : "";
    long times = count == 3 ? atol(values[2]) : 0;
    if (!strcmp(path, "malloc"))
        pairs(64, times);
    else if (!strcmp(path, "malloc_1k"))
        pairs(1024, times);
    else if (!strcmp(path, "malloc_mixed"))
        mixed(times);
    else {
        fputs("usage: malloc_pairs malloc|malloc_1k|malloc_mixed COUNT\n", stderr);
        return 2;
    }
    return 0;
}
