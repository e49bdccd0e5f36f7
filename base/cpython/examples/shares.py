"""A program that knows its own shares: phases of known weight, made of function calls of known length.

    shares.py SECONDS WEIGHT:LENGTH_NS[:KIND] ...

Each phase runs for about WEIGHT x 10 us a visit, by calling a function that takes about LENGTH_NS; the
clock sums up what each phase really took, which is the truth that samples are held against. KIND: `call`
(default), `sort` (called back from C), `gen` (a generator resumed).
"""

import random
import sys
import time

clock = time.perf_counter_ns


def spin(n):
    for _ in range(n):
        pass
    return n


def tiny(n):
    return n


def make(kind, length_ns):
    work = tiny if length_ns <= 60 else spin
    n = 0 if work is tiny else max(1, round(length_ns / spin_ns()))

    def numbers():
        while True:
            work(n)
            yield n

    if kind == "call":

        def calls(count):
            for _ in range(count):
                work(n)

    elif kind == "sort":

        def key(_):
            return work(n)

        def calls(count):
            sorted(range(count), key=key)

    else:
        generator = numbers()

        def calls(count):
            for _ in range(count):
                next(generator)

    return calls


def spin_ns():
    best = 1e9
    for _ in range(20):
        start = clock()
        spin(20000)
        best = min(best, (clock() - start) / 20000)
    return best


def calibrate(calls, wanted_ns):
    count = 1
    while True:
        start = clock()
        calls(count)
        took = clock() - start
        if took > 300_000 or took > wanted_ns:
            return max(1, round(count * wanted_ns / took))
        count *= 2


def phase_0(calls, count):
    calls(count)


def phase_1(calls, count):
    calls(count)


def phase_2(calls, count):
    calls(count)


def main():
    seconds = float(sys.argv[1])
    phases = []
    for function, text in zip((phase_0, phase_1, phase_2), sys.argv[2:]):
        weight, length, *kind = text.split(":")
        calls = make(kind[0] if kind else "call", float(length))
        wanted = max(float(weight) * 10_000, float(length))
        visits = float(weight) * 10_000 / wanted
        phases.append([function, calls, calibrate(calls, wanted), visits, 0])
    sums = [0] * len(phases)
    print("ready", flush=True)
    sys.stdin.readline()
    chance = random.Random(1)
    end = clock() + int(seconds * 1e9)
    now = 0
    while now < end:
        index = chance.randrange(len(phases))
        function, calls, count, visits, _ = phases[index]
        if visits < 1 and chance.random() > visits:
            continue
        before = clock()
        function(calls, count)
        now = clock()
        sums[index] += now - before
    print(*sums, flush=True)


main()
