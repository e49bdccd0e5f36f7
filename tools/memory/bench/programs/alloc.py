"""Small objects, buffers of 0.6 to 4.6 KB, and lists that grow, below so many calls: alloc.py ROUNDS DEPTH."""

import sys
import time

rounds, depth = int(sys.argv[1]), int(sys.argv[2])
sys.setrecursionlimit(10_000)


def buffers(count):
    kept = []
    for number in range(count):
        kept.append(bytearray(600 + number * 37 % 4000))
        if len(kept) > 500:
            kept.clear()


def objects(count):
    kept = {}
    for number in range(count):
        kept[number % 1000] = (number, str(number), [number])


def growing(count):
    for _ in range(count):
        kept = []
        for number in range(300):
            kept.append(number)


def below(calls, work, count):
    return below(calls - 1, work, count) if calls else work(count)


for _ in range(rounds):
    below(depth, buffers, 4000)
    below(depth, objects, 8000)
    below(depth // 4, growing, 60)
print(time.process_time())
