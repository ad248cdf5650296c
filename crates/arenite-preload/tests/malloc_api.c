/* Every C allocation function, with its rules. Prints "fine" and exits with 0, or prints what is wrong. */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(what) do { if (!(what)) { fprintf(stderr, "line %d: %s\n", __LINE__, #what); _exit(1); } } while (0)
#define FAILS(call, error) do { errno = 0; void *volatile got = (call); CHECK(got == NULL && errno == (error)); } while (0)

static volatile size_t huge = SIZE_MAX; /* opaque to the compiler */
static void *before_main;
extern void *__libc_malloc(size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);

__attribute__((constructor)) static void early(void) { before_main = malloc(100); memset(before_main, 7, 100); }
__attribute__((destructor)) static void late(void) { void *p = malloc(100); memset(p, 1, 100); free(p); free(before_main); }

static void plain(void) {
    errno = 77;
    for (size_t size = 0; size < 300000; size = size * 5 / 4 + 1) {
        unsigned char *p = malloc(size), *q = malloc(size);
        CHECK(p != NULL && q != NULL && p != q);
        CHECK((uintptr_t)p % (size > 8 ? 16 : 8) == 0);
        CHECK(malloc_usable_size(p) >= size);
        memset(p, 1, malloc_usable_size(p));
        memset(q, 2, malloc_usable_size(q));
        for (size_t i = 0; i < size; i++) CHECK(p[i] == 1 && q[i] == 2);
        p = realloc(p, size * 2 + 1);
        for (size_t i = 0; i < size; i++) CHECK(p[i] == 1);
        p = realloc(p, size / 2 + 1);
        for (size_t i = 0; i < size / 2; i++) CHECK(p[i] == 1);
        free(p);
        free(q);
        unsigned char *z = calloc(3, size);
        for (size_t i = 0; i < 3 * size; i++) CHECK(z[i] == 0);
        memset(z, 255, 3 * size);
        free(z);
    }
    free(NULL);
    CHECK(realloc(malloc(10), 0) == NULL && malloc_usable_size(NULL) == 0);
    CHECK(errno == 77); /* success leaves errno unchanged */
    FAILS(malloc(huge), ENOMEM);
    FAILS(malloc(huge / 2), ENOMEM);
    FAILS(calloc(huge, 2), ENOMEM);
    FAILS(calloc(huge / 4, 8), ENOMEM);
    void *p = malloc(10);
    FAILS(realloc(p, huge), ENOMEM);
    FAILS(reallocarray(p, huge, 2), ENOMEM);
    unsigned char *theirs = __libc_realloc(__libc_malloc(100), 200);
    memset(theirs, 1, 200);
    free(theirs);
    free(__libc_memalign(64, 100));
    p = reallocarray(p, 100, 10);
    CHECK(malloc_usable_size(p) >= 1000);
    free(p);
}

static void aligned(void) {
    for (size_t align = 8; align <= 2 << 20; align *= 2)
        for (size_t size = 1; size < 5000000; size = size * 7 + 3) {
            void *p = NULL;
            CHECK(posix_memalign(&p, align, size) == 0 && (uintptr_t)p % align == 0);
            memset(p, 3, size);
            void *q = aligned_alloc(align, size), *r = memalign(align, size);
            CHECK((uintptr_t)q % align == 0 && (uintptr_t)r % align == 0);
            free(p); free(q); free(r);
        }
    void *odd = memalign(24, 100), *least = memalign(0, 100);
    CHECK(odd != NULL && (uintptr_t)odd % 32 == 0 && least != NULL);
    free(odd); free(least);
    void *p = (void *)9;
    errno = 55;
    CHECK(posix_memalign(&p, 24, 10) == EINVAL && posix_memalign(&p, 4, 10) == EINVAL && p == (void *)9);
    CHECK(posix_memalign(&p, 64, huge) == ENOMEM && posix_memalign(&p, 1 << 30, 10) == ENOMEM && p == (void *)9);
    CHECK(errno == 55);
    FAILS(aligned_alloc(24, 10), EINVAL);
    FAILS(pvalloc(huge), ENOMEM);
    size_t page = sysconf(_SC_PAGESIZE);
    void *v = valloc(10), *w = pvalloc(page + 1);
    CHECK((uintptr_t)v % page == 0 && (uintptr_t)w % page == 0 && malloc_usable_size(w) >= 2 * page);
    free(v); free(w);
}

static void figures(void) {
    void *p = malloc(50 << 20);
    struct mallinfo2 with = mallinfo2();
    CHECK(with.uordblks >= 50 << 20 && with.hblkhd >= 50 << 20 && with.hblks >= 1);
    memset(p, 1, 50 << 20);
    free(p);
    struct mallinfo2 without = mallinfo2();
    CHECK(without.uordblks + (50 << 20) <= with.uordblks);
    if (getenv("ARENITE_HARDENED") == NULL) /* otherwise it was released, and the access faults */
        CHECK(without.fordblks >= 50 << 20 && malloc_trim(0) == 1);
    CHECK(mallinfo2().fordblks < 50 << 20);
    CHECK(mallopt(M_MMAP_THRESHOLD, 1 << 20) == 0);
}

static pthread_key_t key;
static void at_thread_end(void *p) { free(p); free(malloc(1000)); }
static void *thread(void *list) {
    void **all = list;
    pthread_setspecific(key, malloc(64));
    for (int round = 0; round < 200; round++)
        for (int i = 0; i < 100; i++) {
            void *old = __atomic_exchange_n(&all[i], malloc(1 + (round * 131 + i * 17) % 3000), __ATOMIC_ACQ_REL);
            free(old);
        }
    return NULL;
}

static void threads(void) {
    static void *all[100];
    pthread_t ids[4];
    pthread_key_create(&key, at_thread_end);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 4; i++) pthread_create(&ids[i], NULL, thread, all);
        pid_t child = fork();
        if (child == 0) { /* other threads hold the locks */
            for (int i = 0; i < 2000; i++) free(malloc(i * 97 % 100000));
            _exit(9);
        }
        int status = 0;
        waitpid(child, &status, 0);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9);
        for (int i = 0; i < 4; i++) pthread_join(ids[i], NULL);
    }
    for (int i = 0; i < 100; i++) free(all[i]);
}

int main(void) {
    CHECK(((unsigned char *)before_main)[99] == 7);
    plain();
    aligned();
    figures();
    threads();
    puts("fine");
    return 0;
}
