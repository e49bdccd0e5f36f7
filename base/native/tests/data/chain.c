// Known chains of calls, for the tests. Started with one word: what to do.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))

volatile unsigned long counter;
int through_library(int (*call)(int), int n);

NOINLINE int leaf(int n) {
    puts("ready");
    fflush(stdout);
    for (unsigned long i = 0; i < 40000000000ul; i++) counter += i ^ n; // the leaf's line
    return (int)counter;
}

NOINLINE int waiter(int n) {
    puts("ready");
    fflush(stdout);
    for (;;) pause();
    return n;
}

static inline __attribute__((always_inline)) int middle(int (*call)(int), int n) {
    return through_library(call, n) + 1; // the call that is inlined
}

NOINLINE int outer(int (*call)(int), int n) {
    volatile char room[n]; // a stack pointer that only the frame pointer knows
    room[0] = (char)n;
    return middle(call, n) + room[0];
}

NOINLINE int deep(int depth, int (*call)(int)) {
    volatile char room[1000];
    room[0] = (char)depth;
    return depth ? deep(depth - 1, call) + room[0] : outer(call, 3);
}

static void echo(int signal) {
    (void)signal;
    if (write(1, "s", 1) != 1) _exit(9);
}

static void *short_lived(void *argument) {
    for (int i = 0; i < 20000; i++) counter += i;
    return argument;
}

int main(int count, char **words) {
    (void)count;
    if (!strcmp(words[1], "spin")) return outer(leaf, 5);
    if (!strcmp(words[1], "wait")) return outer(waiter, 5);
    if (!strcmp(words[1], "deep")) return deep(200, leaf);
    if (!strcmp(words[1], "signals")) {
        signal(SIGUSR1, echo);
        signal(SIGALRM, SIG_DFL);
        alarm(60);
        return leaf(1);
    }
    if (!strcmp(words[1], "threads")) {
        puts("ready");
        fflush(stdout);
        for (int i = 0; i < 300; i++) {
            pthread_t thread;
            if (pthread_create(&thread, NULL, short_lived, NULL)) return 8;
            pthread_join(thread, NULL);
        }
        return 7;
    }
    if (!strcmp(words[1], "exec")) {
        int left = atoi(words[2]);
        for (int i = 0; i < 2000000; i++) counter += i;
        if (left == 0) return 7;
        char text[20];
        snprintf(text, sizeof text, "%d", left - 1);
        execl("/proc/self/exe", words[0], "exec", text, NULL);
    }
    return 9;
}
