"""Attaching to a running process: `naja record -p` and `naja dump` beside py-spy, on the same targets.

`against.py` runs these as its cases `attached`, `fast`, `threads`, `native`, `dump` and `accuracy`.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measure
from measure import SAMPLER_CORE, TARGET_CORE
from results import Result

BUSY, SHARES = measure.HERE / "busy.py", measure.HERE / "shares.py"

# How long the target runs alone, and then again, around the time in which it is sampled.
ALONE_S = 1.0

# At either end of the sampled time: what attaching and writing costs is not the pace.
EDGE_S = 0.2

# The rate of the runs that say what a profiler costs beside its samples.
IDLE_HZ = 1


class Run:
    """What one profiler did to one target, and what it saw."""

    def __init__(self, profiler, words, *, rate, seconds, options=(), python=None):
        python, self.seconds = python or measure.interpreter(12), seconds
        with tempfile.TemporaryDirectory() as folder:
            self.output = Path(folder, "out.collapsed")
            command = profiler.command(rate, seconds, self.output, options)
            target = subprocess.Popen([python, *map(str, words)], stdout=subprocess.PIPE, text=True)
            try:
                pid = json.loads(target.stdout.readline())["pid"]
                time.sleep(ALONE_S)
                self.begin = time.monotonic()
                process = subprocess.Popen(
                    [*map(str, command), "-p", str(pid)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    text=True, preexec_fn=measure._pin(SAMPLER_CORE))
                text = process.stdout.read()
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
                self.end = time.monotonic()
                if process.returncode:
                    raise RuntimeError(f"{command} ended with {process.returncode}: {text[-400:]}")
                rest = target.stdout.read()
                self.told_at_end = json.loads(rest) if rest.strip() else []
            finally:
                target.kill()
                target.wait()
            self.cpu_s = usage.ru_utime + usage.ru_stime
            self.stacks = self._stacks()
            self.samples, self.note = profiler.told(text, self)

    def _stacks(self):
        """How often each innermost function was seen."""
        leaves = {}
        for line in self.output.read_text().splitlines():
            stack, count = line.rsplit(" ", 1)
            leaf = stack.rsplit(";", 1)[-1].split(" (")[0]
            leaves[leaf] = leaves.get(leaf, 0) + int(count)
        return leaves

    def slow_down(self):
        """The target's pace alone over its pace while it was sampled."""
        windows = self.told_at_end
        under = [pace for end, pace in windows if self.begin + EDGE_S < end - 0.05 and end < self.end - EDGE_S]
        alone = [pace for end, pace in windows if end < self.begin or end - 0.05 > self.end]
        return statistics.mean(alone) / statistics.mean(under) if under and alone else float("nan")


class Naja:
    name = "naja"

    def __init__(self):
        self.program = measure.naja_program()

    def command(self, rate, seconds, output, options):
        return [self.program, "record", "--json", "-r", rate, "-d", seconds, "-o", output, *options]

    def told(self, text, run):
        """Ticks that were sampled, and what is said of those that were not."""
        samples = json.loads(text[text.index("{"):])["samples"]
        lost = 100 * samples["lost"] / max(1, samples["taken"] + samples["lost"])
        missed = 100 * samples["ticks_missed"] / max(1, samples["ticks"])
        return samples["ticks"] - samples["ticks_missed"], f"{missed:.2f} % of the moments missed, {lost:.2f} % of the stacks lost"

    def dump(self, pid, options):
        return [self.program, "dump", "-p", pid, *options]


class PySpy:
    name = "py-spy"

    def __init__(self):
        self.program = measure.environment() / "py-spy"

    def command(self, rate, seconds, output, options):
        return [self.program, "record", "-f", "raw", "-r", rate, "-d", max(1, round(seconds)), "-o", output, *options]

    def told(self, text, run):
        found = re.search(r"Samples: (\d+)(?: Errors: (\d+))?", text)
        if not found:
            raise RuntimeError(f"py-spy: {text[-300:]}")
        return int(found[1]), f"{found[2] or 0} errors"

    def dump(self, pid, options):
        return [self.program, "dump", "-p", pid, *("-l" if one == "--locals" else one for one in options)]


def both(words, *, rate, seconds, runs, options=()):
    """Runs of both profilers, in turn."""
    found = {"naja": [], "py-spy": []}
    for number in range(runs):
        for profiler in (Naja(), PySpy()) if number % 2 == 0 else (PySpy(), Naja()):
            found[profiler.name].append(Run(profiler, words, rate=rate, seconds=seconds, options=options))
    return found["naja"], found["py-spy"]


def busy(seconds, depth=0, threads=1):
    return [BUSY, 2 * ALONE_S + seconds, depth, threads, TARGET_CORE]


def spread(ours, theirs):
    return f"naja {min(ours):.3g} to {max(ours):.3g}, peer {min(theirs):.3g} to {max(theirs):.3g}"


def beside(case, unit, ours, theirs, target="", is_met=None, note=""):
    """A figure of both, with a target for naja's own."""
    one, other = statistics.median(ours), statistics.median(theirs)
    met = None if is_met is None else bool(is_met(one))
    return Result(case, unit, one, other, one / other if other else None, spread(ours, theirs), target, met, note)


def per_sample(runs, idle):
    """Processor time of each sample in µs, less what the profiler costs without samples."""
    fixed = statistics.median(run.cpu_s for run in idle)
    return [1e6 * max(0.0, run.cpu_s - fixed) / max(1, run.samples) for run in runs]


def attached(short):
    """A thousand samples a second of one thread, shallow and 200 frames deep."""
    runs, seconds = (1, 2) if short else (5, 4)
    for depth, name, share, slow in ((0, "shallow", 1 / 10, 1.02), (200, "200 frames deep", 1 / 100, 1.03)):
        words = busy(seconds, depth)
        idle = both(words, rate=IDLE_HZ, seconds=seconds, runs=1 if short else 2)
        ours, theirs = both(words, rate=1000, seconds=seconds, runs=runs)
        yield Result.beside_peer(
            f"attached, processor time per sample, {name}", "µs", per_sample(ours, idle[0]),
            per_sample(theirs, idle[1]), share, ours[-1].note)
        yield slow_down(f"attached, the target's slow-down at 1,000 Hz, {name}", ours, theirs, slow)
        yield attained(f"attached, samples a second of 1,000 asked for, {name}", ours, theirs, 1000)


def slow_down(case, ours, theirs, most):
    paces = [run.slow_down() for run in ours], [run.slow_down() for run in theirs]
    return beside(case, "", *paces, f"≤ {most}", lambda found: found <= most, "pace alone ÷ pace under, one process")


def attained(case, ours, theirs, rate, threads=1):
    """py-spy counts every thread of a sample."""
    per_second = [[run.samples / run.seconds / count for run in side] for side, count in ((ours, 1), (theirs, threads))]
    return beside(case, "/s", *per_second, f"≥ {0.95 * rate:.0f}", lambda found: found >= 0.95 * rate, ours[-1].note)


def fast(short):
    """Ten thousand samples a second of one thread."""
    seconds = 2 if short else 4
    for depth, name in ((0, "shallow"), (200, "200 frames deep")):
        ours, theirs = both(busy(seconds, depth), rate=10_000, seconds=seconds, runs=1 if short else 4)
        yield attained(f"attached, samples a second of 10,000 asked for, {name}", ours, theirs, 10_000)
        yield beside(f"attached, the target's slow-down at 10,000 Hz, {name}", "", [run.slow_down() for run in ours],
                     [run.slow_down() for run in theirs], note="for comparison")


def threads(short):
    """Many threads, of which one works and half of the others wake twenty times a second."""
    seconds, runs = (2, 1) if short else (5, 3)
    for count, rate, most in ((200, 1000, 1.03), (159, 100, 1.03)):
        ours, theirs = both(busy(seconds, 0, count), rate=rate, seconds=seconds, runs=runs, options=["--idle"])
        name = f"{count} threads at {rate:,} Hz"
        yield attained(f"attached, samples a second, {name}", ours, theirs, rate, count)
        yield slow_down(f"attached, the target's slow-down, {name}", ours, theirs, most)


def native(short):
    """The same with the frames of C code."""
    seconds, runs = (2, 1) if short else (4, 4)
    words = busy(seconds)
    idle = both(words, rate=IDLE_HZ, seconds=seconds, runs=1 if short else 2, options=["--native"])
    ours, theirs = both(words, rate=1000, seconds=seconds, runs=runs, options=["--native"])
    yield Result.beside_peer("attached with --native, processor time per sample", "µs", per_sample(ours, idle[0]),
                             per_sample(theirs, idle[1]), 1 / 5, ours[-1].note)
    yield slow_down("attached with --native, the target's slow-down at 1,000 Hz", ours, theirs, 1.10)
    yield attained("attached with --native, samples a second of 1,000 asked for", ours, theirs, 1000)


def dump(short):
    """How long one look takes, from the start of the command to its end."""
    times = 5 if short else 20
    python = measure.interpreter(12)
    target = subprocess.Popen([python, str(BUSY), "600", "20", "8"], stdout=subprocess.PIPE, text=True)
    try:
        pid = json.loads(target.stdout.readline())["pid"]
        for options, most in (([], 10), (["--locals"], None), (["--native"], 40)):
            took = {"naja": [], "py-spy": []}
            for number in range(times):
                for profiler in (Naja(), PySpy()) if number % 2 == 0 else (PySpy(), Naja()):
                    command = list(map(str, profiler.dump(pid, options)))
                    begin = time.perf_counter()
                    done = subprocess.run(command, capture_output=True, text=True)
                    took[profiler.name].append(1000 * (time.perf_counter() - begin))
                    if done.returncode or "windows" not in done.stdout:
                        raise RuntimeError(f"{command}: {done.stderr[-300:] or done.stdout[-300:]}")
            name = " ".join(["dump", *options])
            target_text, is_met = (f"≤ {most} ms", lambda found, most=most: found <= most) if most else ("", None)
            yield beside(f"`{name}` of 8 threads, wall time", "ms", took["naja"], took["py-spy"], target_text, is_met,
                         f"{times} times in turn")
    finally:
        target.kill()
        target.wait()


def accuracy(short):
    """Shares that are known by construction, at 20,000 samples and more of these functions in each run."""
    bodies = [
        ("tiny", "50 ns", []),
        # Each stack is read while its thread stands still.
        ("tiny", "50 ns, naja with `--native`,", ["--native"]),
        ("short", "1 µs", []),
        ("middle", "100 µs", []),
        ("long", "10 ms", []),
        ("sleep", "1 ms, waiting in C", []),
    ]
    rate, rounds = 2000, 1 if short else 2
    for body, length, only_naja in bodies:
        # Of short functions, much of the time is their caller's.
        seconds = 2 if short else 24 if body == "tiny" else 12
        options = ["-F", *(["--idle"] if body == "sleep" else [])]
        words = [SHARES, 2 * ALONE_S + seconds, body]
        found, notes = {"naja": [], "py-spy": []}, []
        for number in range(rounds):
            for profiler in (Naja(), PySpy()) if number % 2 == 0 else (PySpy(), Naja()):
                try:
                    # py-spy falls behind at this rate, by its own warning.
                    ours = profiler.name == "naja"
                    run = Run(profiler, words, rate=rate if ours else 1000, seconds=seconds,
                              options=options + only_naja if ours else options)
                except RuntimeError as error:
                    print(f"  {body}, {profiler.name}: {error}", file=sys.stderr)
                    found[profiler.name].append(float("nan"))
                    continue
                truth = run.told_at_end["percent"]
                seen = {name: run.stacks.get(name, 0) for name in truth}
                whole = sum(seen.values())
                off = [100 * seen[name] / max(1, whole) - truth[name] for name in truth]
                found[profiler.name].append(max(map(abs, off)))
                notes.append(f"{profiler.name}: {', '.join(f'{each:+.2f}' for each in off)} of {whole:,}, {run.note}")
                call_ns = run.told_at_end["call_ns"].values()
                if max(call_ns) > 1.05 * min(call_ns):
                    notes.append(f"calls UNEVEN: {', '.join(f'{each:,.0f}' for each in call_ns)} ns")
                if profiler.name == "naja" and whole < 20_000 and not short:
                    notes.append("FEWER than 20,000 samples")
        ours, theirs = (statistics.mean(each) for each in found.values())
        runs = "; ".join(f"{name} {', '.join(f'{each:.2f}' for each in each_run)}" for name, each_run in found.items())
        yield Result(f"accuracy, functions of {length} with 10, 30 and 60 %: the greatest mistake", "points", ours, theirs,
                     None, runs, "≤ 1 point", ours <= 1.0, "; ".join(notes))
