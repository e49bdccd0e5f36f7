"""Holds sampled shares against the shares that a program measures of itself; writes `results.json`, and the table in
`docs/design/sampling.md`.

    against.py [--seconds N] [--repetitions N] [--minors 11,12,13] [--dry]

Every function length and kind is run with each weight, mixed with other lengths and kinds, so that short functions
stand beside long ones. `cargo dev bench cpython` starts this; with the defaults it takes 28 minutes, and both cores
should have nothing else to do.
"""

import argparse
import collections
import json
import math
import os
import platform
import random
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PAGE = ROOT / "docs/design/sampling.md"

WEIGHTS = (10, 30, 60)
LENGTHS_NS = {50: "50 ns", 500: "500 ns", 5_000: "5 µs", 50_000: "50 µs", 1_000_000: "1 ms", 10_000_000: "10 ms"}
KINDS = ("call", "sort", "gen")
RATE = 4000

# Highest share of lost samples in percent, by minor version.
LOST_MAX = {11: 0.5, 12: 0.1, 13: 0.1}
# A function's share may be off by this much, in points.
SHARE_MAX = 1.0

PHASE = re.compile(r"([\d.]+)\s+([\d.]+) \(\s*([+-][\d.]+)\)")
QUALITY = re.compile(r"n (\d+)\s+first try ([\d.]+) %\s+lost ([\d.]+) %")


def interpreter(minor):
    """The real executable of CPython 3.`minor`, or nothing."""
    name = f"python3.{minor}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = sorted(pyenv.glob(f"versions/3.{minor}.*/bin/{name}"))
    candidates += [Path(found) for found in (shutil.which(name), f"/usr/bin/{name}") if found]
    for candidate in candidates:
        try:
            answer = subprocess.run(
                [candidate, "-c", "import sys; print(sys.executable)"], capture_output=True, text=True
            )
        except OSError:
            continue
        if answer.returncode == 0:
            return answer.stdout.strip()
    return None


def mixtures():
    """Phases of runs in which every (length, kind) has each weight once."""
    functions = [(length, kind) for length in LENGTHS_NS for kind in KINDS]
    random.Random(3).shuffle(functions)
    size = len(functions)
    for index in range(size):
        yield [(weight, *functions[(index + shift) % size]) for weight, shift in zip(WEIGHTS, (0, 7, 12))]


def run(program, python, seconds, phases):
    """One run: per phase the error in points, and tries: samples, first try and lost in percent."""
    words = [f"{weight}:{length}:{kind}" for weight, length, kind in phases]
    done = subprocess.run(
        [program, python, str(seconds), str(RATE), *words], capture_output=True, text=True, check=True
    )
    errors = [float(found[3]) for found in PHASE.finditer(done.stdout)]
    quality = QUALITY.search(done.stdout)
    if len(errors) != len(phases) or not quality:
        raise RuntimeError(f"what does this mean? {done.stdout}")
    return errors, int(quality[1]), float(quality[2]), float(quality[3])


def measure(minor, chosen):
    """All runs of one version."""
    program, python = ROOT / "target/release/examples/shares", interpreter(minor)
    if python is None:
        print(f"not measured: no CPython 3.{minor} on this machine", file=sys.stderr)
        return None
    errors, samples, first, lost = collections.defaultdict(list), [], [], []
    for _ in range(chosen.repetitions):
        for phases in mixtures():
            points, n, first_try, lost_here = run(program, python, chosen.seconds, phases)
            samples.append(n)
            first.append(first_try)
            lost.append(lost_here)
            for (weight, length, kind), error in zip(phases, points):
                errors[length, kind, weight].append(error)
            shown = "  ".join(f"{w}:{LENGTHS_NS[l]}:{k} {e:+.2f}" for (w, l, k), e in zip(phases, points))
            print(f"  3.{minor}  {shown}  first {first_try:.1f} %  lost {lost_here:.3f} %", file=sys.stderr)
    version = subprocess.run(
        [python, "-c", "import platform; print(platform.python_version())"], capture_output=True, text=True
    )
    weighted = lambda column: sum(n * one for n, one in zip(samples, column)) / sum(samples)  # noqa: E731
    return {
        "version": version.stdout.strip(),
        "samples": sum(samples),
        "first_try_percent": weighted(first),
        "retried_percent": 100 - weighted(first) - weighted(lost),
        "lost_percent": weighted(lost),
        "lost_percent_worst_run": max(lost),
        "errors_points": {f"{w}:{length}:{kind}": each for (length, kind, w), each in errors.items()},
    }


def mean_and_error(values):
    """The mean and its statistical error from the repetitions."""
    mean = statistics.fmean(values)
    return mean, statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else float("nan")


def spread(error, digits):
    """The error as text; nothing where there was one run only."""
    return "" if math.isnan(error) else f" ± {error:.{digits}f}"


def table(told):
    """The results as text for the page."""
    text = "| CPython | samples | first try | retried | lost | worst run | target |\n|---|---|---|---|---|---|---|\n"
    for minor, one in told["versions"].items():
        limit = LOST_MAX.get(int(minor), 0.5)
        verdict = "met" if one["lost_percent"] <= limit else "**missed**"
        text += (
            f"| {one['version']} | {one['samples']:,} | {one['first_try_percent']:.2f} % | "
            f"{one['retried_percent']:.2f} % | {one['lost_percent']:.3f} % | {one['lost_percent_worst_run']:.3f} % | "
            f"≤ {limit} %: {verdict} |\n"
        )
    text += "\nError of the share, in points (sampled less true), by the function's length:\n\n"
    text += "| CPython | length | mean error over kinds and weights | function with the largest mean error | target |\n"
    text += "|---|---|---|---|---|\n"
    for one in told["versions"].values():
        for length, name in LENGTHS_NS.items():
            cells = {key: each for key, each in one["errors_points"].items() if key.split(":")[1] == str(length)}
            mean, error = mean_and_error([value for each in cells.values() for value in each])
            key, each = max(cells.items(), key=lambda cell: abs(statistics.fmean(cell[1])))
            worst, apart = mean_and_error(each)
            weight, _, kind = key.split(":")
            verdict = "met" if abs(worst) <= SHARE_MAX else "**missed**"
            text += (
                f"| {one['version']} | {name} | {mean:+.3f}{spread(error, 3)} | "
                f"{kind}, weight {weight}: {worst:+.2f}{spread(apart, 2)} | {verdict} |\n"
            )
    return text + (
        f"\n{told['measured']}; {RATE:,} Hz, {told['seconds']:g} s a run, {told['repetitions']} runs of each, ± one standard "
        f"error from the repetitions; {told['machine']}; load before: {told['load_before']}.\n"
    )


def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    virtual = " (virtual)" if "hypervisor" in Path("/proc/cpuinfo").read_text() else ""
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores{virtual}, {model[1] if model else platform.machine()}, Linux {platform.release()}"


def write_page(text):
    """Puts the table between its marks."""
    page = PAGE.read_text()
    begin, end = "<!-- table: written by base/cpython/bench/against.py -->\n", "<!-- end of table -->"
    head, rest = page.split(begin)
    PAGE.write_text(head + begin + text + end + rest.split(end)[1])


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--seconds", type=float, default=10)
    arguments.add_argument("--repetitions", type=int, default=3)
    arguments.add_argument("--minors", default="11,12,13")
    arguments.add_argument("--dry", action="store_true", help="print the table, write nothing")
    chosen = arguments.parse_args()
    build = ["cargo", "build", "--release", "--quiet", "-p", "naja-cpython", "--example", "shares"]
    subprocess.run(build, cwd=ROOT, check=True)
    load = round(os.getloadavg()[0], 2)
    versions = {minor: measure(int(minor), chosen) for minor in chosen.minors.split(",")}
    told = {
        "measured": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": machine(),
        "load_before": load,
        "rate_hz": RATE,
        "seconds": chosen.seconds,
        "repetitions": chosen.repetitions,
        "versions": {minor: one for minor, one in versions.items() if one},
    }
    text = table(told)
    print(text)
    if not chosen.dry:
        (HERE / "results.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
        write_page(text)


if __name__ == "__main__":
    main()
