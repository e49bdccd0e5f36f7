"""Three functions with 10, 30 and 60 % of the time by construction: the same body, called 1, 3 and 6 times in turn.

    shares.py SECONDS BODY     tiny (50 ns), short (1 µs), middle (100 µs), long (10 ms), sleep (1 ms, in C)

Prints a line of JSON when it begins. Ends by itself, with another: what percent of their time each has really taken, by
the program's own clock, and how long a call of each took. Functions with the same body need not take the same time:
where code and frame lie in memory makes up to a factor of two, another one in each process.
"""

import json
import os
import statistics
import sys
import time

NAMES, WEIGHTS = ("tenth", "third", "rest"), (1, 3, 6)

# What a body repeats, how long all of it takes, and how many calls in the fixed order go unmeasured between two that
# are timed, and how many are timed at once: asking the time costs as much as a short call.
BODIES = {
    "tiny": ("a = 1", 50e-9, 100_000, 5000),
    "short": ("for _ in LOOP: pass", 1e-6, 10_000, 1000),
    "middle": ("for _ in LOOP: pass", 1e-4, 0, 1),
    "long": ("for _ in LOOP: pass", 1e-2, 0, 1),
    "sleep": ("sleep(0.001)", 1e-3, 0, 1),
}


def function(name, body, count):
    """A function whose body is as often repeated, or loops as often, as `count` says."""
    lines = [body] if "LOOP" in body or "sleep" in body else [body] * count
    names = {"sleep": time.sleep, "LOOP": range(count)}
    exec(compile(f"def {name}():\n    " + "\n    ".join(lines) + "\n", __file__, "exec"), names)
    return names[name]


def seconds_of(call, times=1):
    """How long a call takes, without what calling costs."""
    took = []
    for each in (call, function("nothing", "pass", 1)):
        rounds = []
        for _ in range(9):
            begin = time.perf_counter()
            for _ in range(times):
                each()
            rounds.append((time.perf_counter() - begin) / times)
        took.append(min(rounds))
    return took[0] - took[1]


def count_that_takes(body, seconds):
    """How often the body is to be repeated."""
    if "sleep" in body:
        return 1
    low, high = 1, 1
    while seconds_of(function("f", body, high), 1 + int(1e-3 / seconds)) < seconds:
        low, high = high, 2 * high
    while high - low > max(1, low // 50):
        middle = (low + high) // 2
        if seconds_of(function("f", body, middle), 1 + int(1e-3 / seconds)) < seconds:
            low = middle
        else:
            high = middle
    return low


def main():
    seconds, name = float(sys.argv[1]), sys.argv[2]
    body, wanted, unmeasured, at_once = BODIES[name]
    count = count_that_takes(body, wanted)
    # Compiled alike, each with a name of its own.
    tenth, third, rest = (function(name, body, count) for name in NAMES)
    clock, unmeasured = time.perf_counter, range(unmeasured)
    once, thrice, six_times = (range(weight * at_once) for weight in WEIGHTS)
    took = [], [], []
    print(json.dumps({"pid": os.getpid()}), flush=True)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in unmeasured:
            tenth()
            third(), third(), third()
            rest(), rest(), rest(), rest(), rest(), rest()
        # From the same frame, so that the callee's lies where it did.
        a = clock()
        for _ in once:
            tenth()
        b = clock()
        for _ in thrice:
            third()
        c = clock()
        for _ in six_times:
            rest()
        d = clock()
        took[0].append(b - a), took[1].append(c - b), took[2].append(d - c)
    took = [statistics.median(each) for each in took]
    told = {
        "percent": {name: 100 * each / sum(took) for name, each in zip(NAMES, took)},
        "call_ns": {name: 1e9 * each / weight / at_once for name, each, weight in zip(NAMES, took, WEIGHTS)},
    }
    print(json.dumps(told), flush=True)


main()
