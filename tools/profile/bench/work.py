"""Fixed work under a stack of chosen depth: what the sampler is measured on.

    work.py DEPTH rounds COUNT [CORE]     the same work each time; how long it took
    work.py DEPTH seconds COUNT [CORE]    as much work as fits in
    work.py DEPTH pairs COUNT [CORE]      stretches of the same work, the parent, a sampler, stopped or going on in turn

Prints one line of JSON: rounds, wall and processor seconds, and the share of `loop` in the work by the
program's own clock; for pairs, the time of the stretch that was sampled over that of the other, wall and processor.
Runs on every Python from 3.8 on.
"""

import json
import os
import signal
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

    ratios = []

    def stretch(number_of_rounds, signal_number):
        os.kill(os.getppid(), signal_number)
        # What the change itself costs is not measured.
        settled = clock() + 0.01
        while clock() < settled:
            work()
        wall, cpu = clock(), time.process_time()
        for _ in range(number_of_rounds):
            work()
        return clock() - wall, time.process_time() - cpu

    def pairs():
        nonlocal done
        begin, length = clock(), 0
        while clock() < begin + 0.1:
            work()
            length += 1
        for pair in range(int(count)):
            order = [signal.SIGSTOP, signal.SIGCONT]
            found = {each: stretch(length, each) for each in (order if pair % 2 else reversed(order))}
            ratios.append([on / off for on, off in zip(found[signal.SIGCONT], found[signal.SIGSTOP])])
            done += 2 * length
        os.kill(os.getppid(), signal.SIGCONT)

    wall, cpu = clock(), time.process_time()
    deep(depth, {"rounds": rounds, "seconds": seconds, "pairs": pairs}[unit])
    wall, cpu = clock() - wall, time.process_time() - cpu
    share = took[1] / sum(took)
    told = {"rounds": done, "wall_s": wall, "cpu_s": cpu, "loop_share": share}
    if ratios:
        told["ratios"] = ratios
    print(json.dumps(told), flush=True)


main()
