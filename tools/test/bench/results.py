"""What was measured, and how it is written down: `results.json` for programs, `results.md` for people."""

import dataclasses
import json
import os
import platform
import re
import statistics
import subprocess
import time
from pathlib import Path

import suites

JSON = suites.HERE / "results.json"
PAGE = suites.HERE / "results.md"

# The table for users, between two comments of a page of theirs.
USERS_PAGE = suites.ROOT / "docs/tools/test.md"
BEGIN = "<!-- side by side: written by tools/test/bench/against.py -->\n"
END = "<!-- end of side by side -->\n"

# A note that begins with this says that a side came to something else: its time does not count.
WRONG = "DIFFERENT OUTCOMES"

HEAD = """# What `naja test` takes

Written by `against.py` (`cargo dev bench test`); do not edit. The targets stand beside the figures. Each figure is a
median; the spread is from the smallest to the largest run. The sides ran in turn, after one run each that is not counted:
compiled files are there, and `naja test` knows how long each test took before. What became of each test was compared with
pytest alone, by the JUnit files of both, before any time was taken for good.

A factor is the other's wall time ÷ naja's. Processor time is what wait4 says of all processes of a run.

"""


@dataclasses.dataclass
class Result:
    """One figure beside its target."""

    case: str
    beside: str = ""
    unit: str = "s"
    naja: float | None = None
    peer: float | None = None
    ratio: float | None = None
    spread: str = ""
    target: str = ""
    met: bool | None = None
    note: str = ""

    @classmethod
    def factor(cls, case, beside, ours, theirs, target, note, strict=False):
        """How many times faster naja is than another: at least the target, or above it."""
        one, other = statistics.median(ours), statistics.median(theirs)
        ratio = other / one
        met = None if target is None else (ratio > target if strict else ratio >= target) and not note.startswith(WRONG)
        wanted = "" if target is None else "faster" if strict else f"≥ {target:g} times faster"
        return cls(case, beside, "s", one, other, ratio, spread(ours, theirs), wanted, met, note)

    @classmethod
    def share(cls, case, beside, ours, theirs, most, note):
        """What naja takes of what another takes: at most the target."""
        one, other = statistics.median(ours), statistics.median(theirs)
        met = None if most is None else one / other <= most and not note.startswith(WRONG)
        wanted = "" if most is None else f"≤ {100 * most:.0f} %"
        return cls(case, beside, "s", one, other, one / other, spread(ours, theirs), wanted, met, note)

    @classmethod
    def attained(cls, case, bound, ours, least, note):
        """How much of a bound is reached: the bound ÷ naja's time."""
        one = statistics.median(ours)
        note += f"; two workers cannot take less than {bound:.2f} s"
        return cls(case, "the bound", "s", one, bound, bound / one, spread(ours, [bound]), f"≥ {least}", bound / one >= least, note)

    def verdict(self):
        return {None: "", True: "met", False: "**missed**"}[self.met]

    def ratio_text(self):
        if self.ratio is None:
            return ""
        return f"{100 * self.ratio:.0f} %" if "processor" in self.case else f"{self.ratio:.2f}"

    def cells(self):
        return [self.case, self.beside, shown(self.naja, self.unit), shown(self.peer, self.unit), self.ratio_text()]

    def line(self):
        return " | ".join([*self.cells(), self.spread, self.target, self.verdict(), self.note])


def spread(ours, theirs):
    return f"naja {min(ours):.2f} to {max(ours):.2f}, other {min(theirs):.2f} to {max(theirs):.2f}"


def shown(value, unit):
    return "" if value is None else f"{value:.2f} {unit}"


def load():
    """Processes that want a core, the last minute's mean: above 0.3 or so the wall figures are doubtful."""
    return round(os.getloadavg()[0], 2)


def store(name, measured, before):
    """Puts one case's results in place of the older ones and writes all files."""
    kept = json.loads(JSON.read_text()) if JSON.is_file() else {}
    naja = suites.naja_program()
    told = subprocess.run([naja, "--version"], capture_output=True, text=True).stdout.strip()
    describe = ["git", "-C", suites.ROOT, "describe", "--always", "--dirty", "--abbrev=10"]
    commit = subprocess.run(describe, capture_output=True, text=True).stdout.strip()
    kept[name] = {
        "measured": time.strftime("%Y-%m-%d %H:%M", time.gmtime()) + " UTC",
        "naja": f"{told} ({commit})" if commit else told,
        "python": platform.python_version(),
        "machine": machine(),
        "load_before": before,
        "results": [dataclasses.asdict(result) for result in measured],
    }
    JSON.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(page(kept))
    write_side_by_side(kept)


def machine():
    """What the figures were measured on."""
    information = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", information)
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": model[1].strip() if model else platform.machine(),
        "memory_gib": round(int(memory[1]) / 2**20) if memory else None,
        "kernel": platform.release(),
        "virtual": "hypervisor" in information,
    }


def described(one):
    return f"{one['cores']} cores{' (virtual)' if one['virtual'] else ''}, {one['cpu']}, {one['memory_gib']} GiB, Linux {one['kernel']}"


def page(kept):
    text = HEAD
    for name, part in kept.items():
        text += f"## {name}\n\nMeasured {part['measured']} with {part['naja']}, CPython {part['python']}, "
        text += f"{described(part['machine'])}; load before: {part['load_before']}.\n\n"
        text += "| case | beside | naja | other | ratio | spread | target | | note |\n|---|---|---:|---:|---:|---|---|---|---|\n"
        text += "".join(f"| {Result(**one).line()} |\n" for one in part["results"]) + "\n"
    return text.rstrip() + "\n"


def write_side_by_side(kept):
    """Every figure that has a target, in the page for users."""
    before, found, rest = USERS_PAGE.read_text().partition(BEGIN)
    if not found:
        raise SystemExit(f"error: {USERS_PAGE} has no line {BEGIN.strip()}")
    _, _, after = rest.partition(END)
    table = "| measured | beside | naja | other | ratio | target | |\n|---|---|---:|---:|---:|---|---|\n"
    for part in kept.values():
        for result in (Result(**one) for one in part["results"]):
            if result.target:
                table += f"| {' | '.join([*result.cells(), result.target, result.verdict()])} |\n"
    measured = ", ".join(sorted({part["measured"].partition(" ")[0] for part in kept.values()}))
    last = list(kept.values())[-1]
    table += (
        f"\nMeasured {measured} on CPython {last['python']}, {described(last['machine'])}; medians. Spreads, versions and "
        "remarks are in [the results](../../tools/test/bench/results.md).\n"
    )
    USERS_PAGE.write_text(before + BEGIN + "\n" + table + "\n" + END + after)
