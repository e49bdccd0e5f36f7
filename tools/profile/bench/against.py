"""Measures `naja run`, `naja record` and `naja dump` beside py-spy and beside running without it; writes `results.md` and `results.json`.

    against.py [--short] [CASE…]     `cargo dev bench profile` builds first and then starts this

CASE: sampler, slow-down, attained, start, size, and of `attached.py`: attached, fast, threads, native, dump, accuracy.
Cases that are not named keep the results that they have.
Answers are compared before costs; the sides run in turn; every figure is a median and shown with its spread.
An hour-long recording has a script of its own, `hour.py`.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time

import attached as attaching
import measure
import results
from measure import SAMPLER_CORE, TARGET_CORE, WORK
from results import Result

# Minor version, depth, at most this share of py-spy's cost.
SAMPLER_TARGETS = [(12, 0, 1 / 10), (12, 200, 1 / 100)] + [
    (minor, depth, 1 / 25) for minor in (8, 10) for depth in (0, 200)
]

# A share may differ from the program's own timing by this much, in points.
SHARES_APART = 3.0


def sampler(short):
    """Processor time per sample of naja and py-spy, each less what it costs at one sample a second."""
    py_spy, naja = measure.environment() / "py-spy", measure.naja_program()
    runs, seconds = (2, 2) if short else (3, 4)
    for minor, depth, target in SAMPLER_TARGETS:
        case = f"processor time per sample, CPython 3.{minor}, {depth_text(depth)}"
        try:
            python = measure.interpreter(minor)
        except measure.Missing as missing:
            yield Result.left_out(case, str(missing))
            continue
        words = [WORK, depth, "seconds", seconds, TARGET_CORE]
        ours, theirs, answers, wakes = [], [], [], []
        for _ in range(runs):
            wakes.append(measure.wake(seconds, 1000, SAMPLER_CORE))
            naja_idle = measure.naja_run(naja, python, words[:3] + [1, TARGET_CORE], 1, SAMPLER_CORE)
            spy_idle = measure.py_spy_run(py_spy, python, words[:3] + [1, TARGET_CORE], 1, SAMPLER_CORE)
            by_naja = measure.naja_run(naja, python, words, 1000, SAMPLER_CORE)
            by_spy = measure.py_spy_run(py_spy, python, words, 1000, SAMPLER_CORE)
            answers.append(loop_shares(by_naja, by_spy))
            taken = by_naja["report"]["samples"]["taken"]
            ours.append(1e6 * (by_naja["cpu_s"] - naja_idle["cpu_s"]) / taken)
            theirs.append(1e6 * (by_spy["cpu_s"] - spy_idle["cpu_s"]) / by_spy["samples"])
            print(f"  {case}: {ours[-1]:.1f} and {theirs[-1]:.0f} µs", file=sys.stderr)
        truth, said, peer, empty = (statistics.median(column) for column in zip(*answers))
        note = f"`loop` is {truth:.1f} % of the work by the program's own clock; naja {said:.1f}, py-spy {peer:.1f} %"
        if empty > 1:
            note += f", and {empty:.0f} % of py-spy's stacks were empty"
        note += f"; waking alone, in a loop that does nothing else: {statistics.median(wakes):.1f} µs"
        if abs(said - truth) > SHARES_APART:
            note = f"WRONG ANSWER: {note}"
        yield Result.beside_peer(case, "µs", ours, theirs, target, note)


def loop_shares(by_naja, by_spy):
    """What part of the work `loop` is, in percent: by the program, by naja, by py-spy; py-spy's empty stacks."""
    own = {function["function"]: function["own_s"] for function in by_naja["report"]["functions"]}
    leaves = by_spy["leaves"]
    part = lambda seen: 100 * seen["loop"] / (seen["loop"] + seen["fib"])  # noqa: E731
    empty = 100 * leaves.get("", 0) / sum(leaves.values())
    return 100 * by_naja["printed"]["loop_share"], part(own), part(leaves), empty


def slow_down(short):
    """The same work with and without naja, in turn, the target on one core and the sampler on another.

    Within one process, by stopping naja and letting it go on: what differs between two processes, where their memory
    lies and what else the machine does meanwhile, is then the same on both sides. And by whole runs of their own.
    """
    naja, python = measure.naja_program(), measure.interpreter(12)
    pairs = 6 if short else 24
    for depth, target in ((0, 1.02), (200, 1.03)):
        once = measure.target(python, WORK, depth, "seconds", 1, TARGET_CORE)
        words = [WORK, depth, "rounds", once["rounds"], TARGET_CORE]
        cpu, wall, shares = [], [], []
        for number in range(pairs):
            alone = lambda: measure.target(python, *words)  # noqa: E731
            under = lambda: measure.naja_run(naja, python, words, 1000, SAMPLER_CORE)["printed"]  # noqa: E731
            if number % 2:
                without, along = alone(), under()
            else:
                along, without = under(), alone()
            cpu.append(along["cpu_s"] / without["cpu_s"])
            wall.append(along["wall_s"] / without["wall_s"])
            shares.append(without["cpu_s"] / without["wall_s"])
        free = f"alone it had its core for {100 * statistics.median(shares):.0f} % of the time"
        name = f"the target's slow-down at 1,000 Hz, CPython 3.12, {depth_text(depth)}"
        yield Result.median_at_most(f"{name}, its processor time", "", cpu, target, f"{pairs} pairs; {free}")
        yield Result.median_at_most(f"{name}, wall time", "", wall, target, f"{pairs} pairs; {free}")
        within = measure.naja_run(naja, python, [WORK, depth, "pairs", 20 if short else 200, TARGET_CORE], 1000, SAMPLER_CORE)
        walls, cpus = zip(*within["printed"]["ratios"])
        note = f"{len(walls)} pairs of stretches of 0.1 s, naja going on or stopped"
        yield Result.median_at_most(f"{name}, within one process, its processor time", "", cpus, target, note)
        yield Result.median_at_most(f"{name}, within one process, wall time", "", walls, target, note)
        yield py_spy_slow_down(name, python, depth, once["rounds"], short)


def py_spy_slow_down(name, python, depth, rounds_alone, short):
    """The same for py-spy, by the work that fits into two seconds, since it can take thirty times as long."""
    py_spy = measure.environment() / "py-spy"
    words = [WORK, depth, "seconds", 2, TARGET_CORE]
    ratios = []
    for _ in range(2 if short else 4):
        alone = measure.target(python, *words)
        along = measure.py_spy_run(py_spy, python, words, 1000, SAMPLER_CORE)["printed"]
        ratios.append(alone["rounds"] / max(1, along["rounds"]) * along["wall_s"] / alone["wall_s"])
    return Result.of_peer(f"{name}, py-spy, wall time", "", ratios, f"for comparison; {len(ratios)} pairs")


def attained(short):
    """The share of ticks that were sampled at 10,000 Hz with a core left for naja."""
    naja, python = measure.naja_program(), measure.interpreter(12)
    for depth in (0, 200):
        shares, lost = [], []
        for _ in range(2 if short else 4):
            words = [WORK, depth, "seconds", 2 if short else 4, TARGET_CORE]
            samples = measure.naja_run(naja, python, words, 10_000, SAMPLER_CORE)["report"]["samples"]
            shares.append(1 - samples["ticks_missed"] / samples["ticks"])
            lost.append(100 * samples["lost"] / max(1, samples["taken"] + samples["lost"]))
        name = f"samples attained at 10,000 Hz, CPython 3.12, {depth_text(depth)}"
        note = f"of the stacks {statistics.median(lost):.3f} % could not be read"
        yield Result.at_least(name, shares, 0.95, note)


def start(short):
    """What `naja run` adds to a program that does nothing."""
    naja, python = measure.naja_program(), measure.interpreter(12)
    differences, alone = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(15 if short else 50):
            command = [naja, "run", "--python", python, "-o", f"{folder}/{number}.naja", "-c", "pass"]
            sides = {"python": [python, "-c", "pass"], "naja": command}
            took = {}
            for side in sorted(sides, reverse=bool(number % 2)):
                before = time.perf_counter()
                subprocess.run(sides[side], stderr=subprocess.DEVNULL, check=True)
                took[side] = 1000 * (time.perf_counter() - before)
            differences.append(took["naja"] - took["python"])
            alone.append(took["python"])
    note = f"{len(alone)} pairs; `python -c pass` alone takes {statistics.median(alone):.1f} ms"
    yield Result.median_at_most("`naja run -c pass` over `python -c pass`, wall time", "ms", differences, 30, note)


def size(short):
    """A minute of a real program; the hour itself is `hour.py`'s."""
    import hour

    yield from hour.results_for(10 if short else 60, 1000)


def depth_text(depth):
    return f"{depth} frames deep" if depth else "shallow"


CASES = {
    "sampler": sampler,
    "slow-down": slow_down,
    "attained": attained,
    "start": start,
    "size": size,
    "attached": attaching.attached,
    "fast": attaching.fast,
    "threads": attaching.threads,
    "native": attaching.native,
    "dump": attaching.dump,
    "accuracy": attaching.accuracy,
}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    arguments.add_argument("--short", action="store_true", help="a glance: few runs, nothing is written")
    chosen = arguments.parse_args()
    unknown = set(chosen.cases) - set(CASES)
    if unknown:
        arguments.error(f"no such case: {', '.join(sorted(unknown))}")
    for name in chosen.cases or CASES:
        began, load = time.monotonic(), measure.load()
        print(f"bench: {name}", file=sys.stderr)
        measured = list(CASES[name](chosen.short))
        print(f"  took {time.monotonic() - began:.0f} s", file=sys.stderr)
        for result in measured:
            print("  " + result.line())
        if not chosen.short:
            results.store(name, measured, load)


if __name__ == "__main__":
    main()
