/* Allocates through every function until a limit on address space is reached, and checks that no live block is lost and that
   freed memory can be allocated again. Arguments: the limit in MiB above what the process has, and the function. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define CHECK(what) do { if (!(what)) { fprintf(stderr, "line %d: %s (errno %d)\n", __LINE__, #what, errno); _exit(1); } } while (0)
#define MAX_BLOCKS 20000

static struct { unsigned char *start; size_t size; } blocks[MAX_BLOCKS];

static unsigned char *request(int way, size_t size) {
    void *p = NULL;
    switch (way) {
    case 0: return malloc(size);
    case 1: return calloc(1, size);
    case 2: return aligned_alloc(4096, size);
    case 3: return posix_memalign(&p, 1 << 20, size) ? (errno = ENOMEM, NULL) : p;
    case 4: p = malloc(size / 2 + 1); if (p == NULL) return NULL;
        { void *q = realloc(p, size); if (q == NULL) { int e = errno; free(p); errno = e; } return q; }
    }
    return NULL;
}

static size_t fill(int way, size_t size) {
    size_t count = 0;
    for (; count < MAX_BLOCKS; count++) {
        errno = 0;
        unsigned char *p = request(way, size);
        if (p == NULL) { CHECK(errno == ENOMEM); break; }
        p[0] = p[size - 1] = (unsigned char)count; /* addresses are limited, not pages: touch the ends only */
        blocks[count].start = p;
        blocks[count].size = size;
    }
    for (size_t i = 0; i < count; i++) {
        CHECK(blocks[i].start[0] == (unsigned char)i && blocks[i].start[size - 1] == (unsigned char)i);
        free(blocks[i].start);
    }
    return count;
}

static void *other(void *way) { fill(*(int *)way, 100000); return NULL; }

int main(int argc, char **argv) {
    size_t all, limit = strtoul(argv[1], NULL, 10) << 20;
    int way = atoi(argv[2]);
    FILE *f = fopen("/proc/self/statm", "r");
    CHECK(f != NULL && fscanf(f, "%zu", &all) == 1);
    fclose(f);
    struct rlimit rule = {all * 4096 + limit, all * 4096 + limit};
    CHECK(setrlimit(RLIMIT_AS, &rule) == 0);
    size_t sizes[] = {5000, 60000, 300000, 15 << 20, 40 << 20};
    size_t first[5];
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 5; i++) {
            size_t count = fill(way, sizes[i]);
            if (round == 0) first[i] = count;
            else CHECK(count * 10 >= first[i] * 5); /* freed memory can be allocated again */
        }
    pthread_t id;
    if (pthread_create(&id, NULL, other, &way) == 0) pthread_join(id, NULL);
    void *small = malloc(100);
    CHECK(small != NULL || errno == ENOMEM);
    puts("fine");
    return 0;
}
