"""Measures `naja test` beside pytest-xdist, pytest-parallel and pytest alone; writes `results.md` and `results.json`.

    against.py [--short] [CASE…]     `cargo dev bench test` builds first and then starts this

CASE: flask, sympy/core, sympy/sets, sympy/logic, sympy/polys, start, parallel. Cases that are not named keep the results that
they have. With --short: fewer runs, of sympy the folder `sets` alone unless others are named; nothing is written.
Outcomes are compared test by test before time counts; the sides run in turn; every figure is a median with its spread.
"""

import argparse
import functools
import statistics
import sys
import tempfile
from pathlib import Path

import results
import suites
from results import Result

XDIST = "pytest-xdist 3.8.0"
ALONE = "pytest alone"

# Each more worker is expected to take part of what is left after collection.
WORKERS = 2

# Folders of sympy whose tests take minutes, and how often they run all the same.
LONG = {"core": 3, "polys": 3}


class Sides:
    """Ways to run the same tests, measured in turn."""

    def __init__(self, sides, rounds, reference=None):
        self.runs = {name: [] for name in sides}
        for one in sides.values():  # so that compiled files and the durations of an earlier run are there
            one()
        for number in range(rounds):
            for name in sorted(sides, reverse=bool(number % 2)):
                self.runs[name].append(sides[name]())
                last = self.runs[name][-1]
                print(f"  {name}: {last.wall_s:.2f} s, processor {last.cpu_s:.2f} s", file=sys.stderr)
        self.expected = self.runs[reference or ALONE][0].outcomes

    def wall(self, name):
        return [run.wall_s for run in self.runs[name]]

    def cpu(self, name):
        return [run.cpu_s for run in self.runs[name]]

    def note(self, *names):
        """What was run, and whether it came to the same everywhere."""
        wrong = [name for name in names if any(run.outcomes != self.expected for run in self.runs[name])]
        what = suites.summary(self.expected)
        if not wrong:
            return what
        first = next(run for run in self.runs[wrong[0]] if run.outcomes != self.expected)
        apart = suites.differences(self.expected, first.outcomes)
        return f"{results.WRONG} of {' and '.join(wrong)}: {what}; {len(apart)} differ, {apart[0]}"

    def times_faster(self, case, peer, target, strict=False):
        """naja's wall time beside that of another."""
        return Result.factor(case, peer, self.wall("naja"), self.wall(peer), target, self.note("naja", peer), strict)


def flask(short):
    """flask's suite on two workers."""
    suite = prepared("flask")
    sides = Sides({"naja": suite.naja, XDIST: suite.xdist, ALONE: suite.serial}, 3 if short else 9)
    yield sides.times_faster("flask's suite, 2 workers, wall time", XDIST, 2.5)
    yield sides.times_faster("flask's suite, 2 workers, wall time", ALONE, 1.0, strict=True)
    yield Result.share("flask's suite, 2 workers, processor time", ALONE, sides.cpu("naja"), sides.cpu(ALONE), 1.10, sides.note("naja"))
    yield Result.share("flask's suite, 2 workers, processor time", XDIST, sides.cpu("naja"), sides.cpu(XDIST), None, sides.note("naja"))


def sympy(folder, short):
    """A suite that takes long, which a second core can halve; and how far that is reached."""
    suite = prepared("sympy")
    tests, case = [f"sympy/{folder}"], f"sympy/{folder}, 2 workers"
    collecting = []

    def alone():
        collecting.append(suite.serial("--collect-only", tests=tests).wall_s)
        return suite.serial(tests=tests)

    runs = {"naja": lambda: suite.naja(tests=tests), XDIST: lambda: suite.xdist(tests=tests), ALONE: alone}
    sides = Sides(runs, 1 if short else LONG.get(folder, 5))
    yield sides.times_faster(f"{case}, wall time", XDIST, 2.0)
    yield sides.times_faster(f"{case}, wall time", ALONE, None)
    serial, collection = statistics.median(sides.wall(ALONE)), statistics.median(collecting)
    bound = collection + (serial - collection) / WORKERS
    note = f"collection alone takes {collection:.2f} s, and what follows it {serial - collection:.2f} s without workers"
    yield Result.attained(f"{case}, of what two cores allow after collection", bound, sides.wall("naja"), 0.95, note)
    yield Result.share(f"{case}, processor time", ALONE, sides.cpu("naja"), sides.cpu(ALONE), 1.10, sides.note("naja"))


def start(short):
    """Eight workers for sixteen tests that do nothing."""
    suite = prepared("flask")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "pytest.ini").write_text("[pytest]\n")
        Path(folder, "test_it.py").write_text("".join(f"def test_{number}(): pass\n" for number in range(16)))
        suite.folder, suite.tests = folder, ["."]
        runs = {"naja": lambda: suite.naja(workers=8), XDIST: lambda: suite.xdist(workers=8), ALONE: suite.serial}
        sides = Sides(runs, 3 if short else 9)
        yield sides.times_faster("start of 8 workers, 16 tests that do nothing", XDIST, 8.0)
        yield sides.times_faster("start of 8 workers, 16 tests that do nothing", ALONE, None)


def parallel(short):
    """pytest-parallel, on the last pytest that it runs on."""
    suite = prepared("flask")
    older = suites.all_suites()["flask"]
    older.requirements = [one for one in older.requirements if not one.startswith("pytest=")]
    older.requirements += ["pytest==7.1.3", "pytest-parallel==0.1.1", "py==1.11.0", "tblib==3.1.0"]
    older.name, older.folder = "flask pytest-parallel", suite.folder
    older.python = suites.sources.environment(older.name, older.requirements)
    peer = "pytest-parallel 0.1.1, pytest 7.1.3"
    by_processes = lambda: older.run([older.python, "-m", "pytest", "--workers", 2])  # noqa: E731
    sides = Sides({"naja": suite.naja, peer: by_processes, ALONE: suite.serial}, 3 if short else 9)
    # It writes no JUnit file that tells of its tests.
    passed = {run.text.strip().splitlines()[-1] if run.text.strip() else "nothing" for run in sides.runs[peer]}
    note = f"{sides.note('naja')}; pytest-parallel says `{sorted(passed)[0].strip('= ')}`"
    yield Result.factor("flask's suite, 2 workers, wall time", peer, sides.wall("naja"), sides.wall(peer), 1.0, note, True)


def prepared(name):
    suite = suites.all_suites()[name]
    suite.prepare()
    return suite


FOLDERS = ("core", "sets", "logic", "polys")
CASES = {
    "flask": flask,
    **{f"sympy/{folder}": functools.partial(sympy, folder) for folder in FOLDERS},
    "start": start,
    "parallel": parallel,
}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("cases", nargs="*", metavar="CASE")
    arguments.add_argument("--short", action="store_true", help="fewer runs, nothing is written")
    chosen = arguments.parse_args()
    for name in chosen.cases:
        if name not in CASES:
            sys.exit(f"error: there is no case `{name}`\n  hint: {' '.join(CASES)}")
    short = [name for name in CASES if not name.startswith("sympy/")] + ["sympy/sets"]
    for name in chosen.cases or (short if chosen.short else CASES):
        load = results.load()
        print(f"{name}: the load of this machine is {load}", file=sys.stderr)
        measured = list(CASES[name](chosen.short))
        for result in measured:
            print(f"  {result.line()}")
        if not chosen.short:
            results.store(name, measured, load)


if __name__ == "__main__":
    main()
