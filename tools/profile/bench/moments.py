"""How far off a share is, by how the moments of the samples are drawn: no profiler runs, only the arithmetic.

A program spends 30 % of each period in one function. 2,000 samples, 1,000 a second, are drawn in three ways, 300 times
each from a random phase; what is printed is the standard error of the share, in points. For `docs/design/sampling.md`.
"""

import random
import statistics

SHARE, SAMPLES, RUNS = 0.3, 2000, 300
PERIODS_MS = (0.01, 0.5, 1, 2, 3, 10, 100, 1000)


def even(count):
    """A sample each millisecond."""
    return [float(number) for number in range(count)]


def exponential(count):
    """Gaps from an exponential distribution with a mean of a millisecond."""
    moments, now = [], 0.0
    for _ in range(count):
        now += random.expovariate(1)
        moments.append(now)
    return moments


def within(count):
    """A random moment within each millisecond: what naja does."""
    return [number + random.random() for number in range(count)]


def error_points(draw, period):
    errors = []
    for _ in range(RUNS):
        phase = random.random() * period
        hits = sum((moment + phase) % period < SHARE * period for moment in draw(SAMPLES))
        errors.append(hits / SAMPLES - SHARE)
    return statistics.pstdev(errors) * 100


random.seed(1)
print("| period of the program, ms | even gaps | exponential gaps | a random moment in each tick |")
print("|---|---:|---:|---:|")
for period in PERIODS_MS:
    cells = " | ".join(f"{error_points(draw, period):.2f}" for draw in (even, exponential, within))
    print(f"| {period:g} | {cells} |")
