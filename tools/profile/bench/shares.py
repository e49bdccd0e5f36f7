"""Three functions with 10, 30 and 60 % of the time by construction: the same body, called 1, 3 and 6 times in turn.

    shares.py SECONDS BODY     nothing (some 50 ns), short (some 1 µs), middle (100 µs), long (10 ms), sleep (1 ms)

Prints a line of JSON when it begins; ends by itself.
"""

import json
import os
import sys
import time

BODIES = {
    "nothing": "pass",
    "short": "for _ in RANGE_SHORT: pass",
    "middle": "for _ in RANGE_MIDDLE: pass",
    "long": "for _ in RANGE_LONG: pass",
    # Code that waits in C.
    "sleep": "sleep(0.001)",
}
NAMES = ("tenth", "third", "rest")


def loops_that_take(seconds):
    count = 1000
    while True:
        begin = time.perf_counter()
        for _ in range(count):
            pass
        took = time.perf_counter() - begin
        if took > 0.02:
            return max(1, round(count * seconds / took))
        count *= 2


def main():
    seconds, body = float(sys.argv[1]), sys.argv[2]
    names = {
        "sleep": time.sleep,
        "RANGE_SHORT": range(loops_that_take(1e-6)),
        "RANGE_MIDDLE": range(loops_that_take(1e-4)),
        "RANGE_LONG": range(loops_that_take(1e-2)),
    }
    # Compiled alike, each with a name of its own.
    for name in NAMES:
        exec(compile(f"def {name}():\n    {BODIES[body]}\n", __file__, "exec"), names)
    tenth, third, rest = (names[name] for name in NAMES)
    print(json.dumps({"pid": os.getpid()}), flush=True)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        tenth()
        third(), third(), third()
        rest(), rest(), rest(), rest(), rest(), rest()
        if body == "nothing":
            # Else most of the time would go into asking what time it is.
            for _ in range(100):
                tenth()
                third(), third(), third()
                rest(), rest(), rest(), rest(), rest(), rest()


main()
