// What a program sees of visits: time that it sleeps, registers that it computes in, memory that it asks for.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile int over;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static void *churn(void *unused) {
    void *slots[64] = {0};
    for (unsigned round = 0; !over; round++) {
        void **slot = &slots[round * 7 % 64];
        free(*slot);
        *slot = malloc(16 + round % 5000);
        memset(*slot, round, 16);
    }
    return unused;
}

int main(int count, char **words) {
    (void)count;
    printf("ready\n");
    fflush(stdout);
    const char *word = words[1];
    if (!strcmp(word, "sleep") || !strcmp(word, "poll")) {
        double from = now();
        for (int round = 0; round < 10; round++) {
            errno = 77;
            double start = now();
            int is_sleep = *word == 's';
            struct timespec time = {0, 200000000};
            int result = is_sleep ? nanosleep(&time, 0) : poll(0, 0, 200);
            double took = now() - start;
            if (result != 0 || errno != 77 || took < 0.19 || took > 0.6) {
                fprintf(stderr, "%s: %d, errno %d, %f s\n", word, result, errno, took);
                return 1;
            }
        }
        return now() - from < 4 ? 7 : 2;
    }
    if (!strcmp(word, "compute")) {
        double start = now();
        while (now() - start < 2) {
            double a = 1, b = 2, c = 3, d = 4;
            unsigned long e = 1, f = 2, g = 3, h = 4;
            errno = 77;
            for (int step = 0; step < 100000; step++) {
                a += 0.5; b += 0.25; c += a; d += b;
                e = e * 31 + 7; f ^= e; g += f; h = h * 17 + g;
                __asm__ volatile("" : "+x"(a), "+x"(b), "+x"(c), "+x"(d), "+r"(e), "+r"(f), "+r"(g), "+r"(h));
            }
            static double as, bs, cs, ds;
            static unsigned long es, hs;
            if (!es) { as = a; bs = b; cs = c; ds = d; es = e; hs = h; }
            if (a != as || b != bs || c != cs || d != ds || e != es || h != hs || errno != 77) return 1;
        }
        return 7;
    }
    if (!strcmp(word, "malloc")) {
        // The first thread too: nobody waits where a lock is not held.
        pthread_t threads[7];
        for (int i = 0; i < 7; i++) pthread_create(&threads[i], 0, churn, 0);
        double start = now();
        void *slots[64] = {0};
        for (unsigned round = 0; now() - start < 3; round++)
            for (int i = 0; i < 1000; i++) {
                void **slot = &slots[(round + i) * 11 % 64];
                free(*slot);
                *slot = malloc(100 + i * 3);
            }
        over = 1;
        for (int i = 0; i < 7; i++) pthread_join(threads[i], 0);
        return 7;
    }
    return 3;
}
