"""Fixed work under a stack of chosen depth: what the sampler is measured on.

    work.py DEPTH rounds COUNT [CORE]     the same work each time; how long it took
    work.py DEPTH seconds COUNT [CORE]    as much work as fits in

Prints one line of JSON: rounds, wall and processor seconds, and the share of `loop` in the work, timed by the
program itself after the work. Runs on every Python from 3.8 on.
"""

import json
import os
import sys
import time


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def loop(n):
    s = 0
    for i in range(n):
        s += i * i % 7
    return s


def work():
    return fib(12) + loop(1500)


def deep(depth, run):
    if depth:
        return deep(depth - 1, run)
    return run()


def loop_share():
    """The median of many timings, so that a moment without a core does not count."""
    clock, recursive, straight = time.perf_counter, [], []
    for _ in range(300):
        start = clock()
        fib(12)
        middle = clock()
        loop(1500)
        straight.append(clock() - middle)
        recursive.append(middle - start)
    one, other = sorted(straight)[150], sorted(recursive)[150]
    return one / (one + other)


def main():
    depth, unit, count = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    if len(sys.argv) > 4:
        os.sched_setaffinity(0, {int(sys.argv[4])})
    sys.setrecursionlimit(10_000)
    done = 0

    def rounds():
        nonlocal done
        for _ in range(int(count)):
            work()
            done += 1

    def seconds():
        nonlocal done
        end = time.perf_counter() + count
        while time.perf_counter() < end:
            work()
            done += 1

    wall, cpu = time.perf_counter(), time.process_time()
    deep(depth, rounds if unit == "rounds" else seconds)
    took = {"rounds": done, "wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    took["loop_share"] = deep(depth, loop_share)
    print(json.dumps(took), flush=True)


main()
