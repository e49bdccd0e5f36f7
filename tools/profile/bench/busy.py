"""A target to attach to: works at a steady pace and notes how far it got, so that its pace alone and under a profiler are
those of one process.

    busy.py SECONDS [DEPTH [THREADS [CORE]]]

Prints a line of JSON when all threads run, and one at its end: [[end, rounds], …] for windows of 50 ms, the ends on the
clock that all processes share (CLOCK_MONOTONIC). Of its other threads every second waits for good, and the rest sleep and
wake twenty times a second.
"""

import json
import os
import sys
import threading
import time

WINDOW_S = 0.05
clock = time.monotonic


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def loop(n):
    s = 0
    for i in range(n):
        s += i * i % 7
    return s


def work():
    return fib(10) + loop(500)


def waits(end):
    threading.Event().wait(max(0.1, end - clock()))


def wakes(end):
    while clock() < end:
        time.sleep(0.05)


def windows(end):
    done, begin = [], clock()
    while begin < end:
        rounds = 0
        while True:
            work()
            rounds += 1
            now = clock()
            if now >= begin + WINDOW_S:
                break
        done.append([now, rounds / (now - begin)])
        begin = now
    return done


def deep(depth, end):
    return deep(depth - 1, end) if depth else windows(end)


def main():
    seconds = float(sys.argv[1])
    depth, threads = (int(word) for word in (sys.argv[2:4] + ["0", "1"][len(sys.argv[2:4]):]))
    if len(sys.argv) > 4:
        os.sched_setaffinity(0, {int(sys.argv[4])})
    sys.setrecursionlimit(10_000)
    end = clock() + seconds
    for number in range(threads - 1):
        threading.Thread(target=(waits, wakes)[number % 2], args=(end,), daemon=True).start()
    print(json.dumps({"pid": os.getpid()}), flush=True)
    print(json.dumps(deep(depth, end)), flush=True)
    os._exit(0)


main()
