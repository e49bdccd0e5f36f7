"""Whether `naja test` comes to the same as pytest alone, test by test, on real projects.

    outcomes.py [--quick] [--workers N] [SUITE…]

Each suite of `suites.toml` is run without workers and by `naja test`; their JUnit files must tell the same of the same
tests. Where they differ, pytest alone is run once more: what differs between two of its own runs is named and does not
count. With --quick: the suites that are marked so.
"""

import argparse
import sys

import suites

# `make test` takes this exit code for "the index cannot be reached".
NO_INDEX = 3


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("suites", nargs="*", metavar="SUITE")
    arguments.add_argument("--quick", action="store_true", help="the suites that are marked so")
    arguments.add_argument("--workers", type=int, default=2, metavar="N")
    chosen = arguments.parse_args()
    known = suites.all_suites()
    for name in chosen.suites:
        if name not in known:
            sys.exit(f"error: there is no suite `{name}`\n  hint: {' '.join(known)}")
    names = chosen.suites or [name for name, suite in known.items() if suite.quick or not chosen.quick]
    sys.exit(0 if all([compare(known[name], chosen.workers) for name in names]) else 1)


def compare(suite, workers):
    """Runs one suite both ways, tells what came of it, and whether that is the same."""
    suite.prepare()
    serial = suite.serial()
    ours = suite.naja(workers=workers)
    apart = suites.differences(serial.outcomes, ours.outcomes)
    unsteady = suites.differences(serial.outcomes, suite.serial().outcomes) if apart else []
    apart = [line for line in apart if line not in unsteady]
    if serial.code not in (0, 1):
        apart = [f"pytest alone ends with exit code {serial.code}", *serial.text.splitlines()[-20:]]
    elif serial.code != ours.code:
        apart.append(f"exit code {serial.code} alone, {ours.code} by naja test")
        apart += [] if ours.outcomes else ours.text.splitlines()[-20:]
    said = "the same" if not apart else "DIFFERENT"
    print(f"{suite.name} {suite.version}: {suites.summary(serial.outcomes)}; {said} with {workers} workers", file=sys.stderr)
    for line in unsteady:
        print(f"  differs between two runs of pytest alone: {line}", file=sys.stderr)
    for line in apart:
        print(f"  {line}", file=sys.stderr)
    return not apart


if __name__ == "__main__":
    try:
        main()
    except suites.sources.NoIndex:
        sys.exit(NO_INDEX)
