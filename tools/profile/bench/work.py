"""Fixed work under a stack of chosen depth: what the sampler is measured on.

    work.py DEPTH rounds COUNT [CORE]     the same work each time; how long it took
    work.py DEPTH seconds COUNT [CORE]    as much work as fits in

Prints one line of JSON: rounds, wall and processor seconds, and the share of `loop` in the work by the
program's own clock. Runs on every Python from 3.8 on.
"""

import json
import os
import sys
import time

clock = time.perf_counter
took = [0.0, 0.0]


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def loop(n):
    s = 0
    for i in range(n):
        s += i * i % 7
    return s


def work():
    start = clock()
    result = fib(12)
    middle = clock()
    result += loop(1500)
    took[0] += middle - start
    took[1] += clock() - middle
    return result


def deep(depth, run):
    if depth:
        return deep(depth - 1, run)
    return run()


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
        end = clock() + count
        while clock() < end:
            work()
            done += 1

    wall, cpu = clock(), time.process_time()
    deep(depth, rounds if unit == "rounds" else seconds)
    wall, cpu = clock() - wall, time.process_time() - cpu
    share = took[1] / sum(took)
    print(json.dumps({"rounds": done, "wall_s": wall, "cpu_s": cpu, "loop_share": share}), flush=True)


main()
