"""What was measured, and how it is written down: `results.json` for programs, `results.md` for people."""

import dataclasses
import json
import statistics
from pathlib import Path

import measure

JSON = measure.HERE / "results.json"
PAGE = measure.HERE / "results.md"

# The table for users, between two comments of a page of theirs.
USERS_PAGE = measure.HERE.parents[2] / "docs/tools/profile.md"
BEGIN = "<!-- side by side: written by tools/profile/bench/against.py -->\n"
END = "<!-- end of side by side -->\n"

HEAD = """# What `naja run`, `naja record` and `naja dump` cost

Written by `against.py` (`cargo dev bench profile`) and `hour.py`; do not edit. The targets stand beside the
figures. Each figure is a median; the spread is from the smallest to the largest run, or, where it says so, the interval
that holds the median with 95 % (by order statistics, over pairs that ran in turn). A factor is naja ÷ the other.

Processor time per sample is what wait4 says of the whole sampler (recording, thread states and report included), less
what the same sampler costs on the same program at one sample a second, over the samples that it took. Targets and
samplers are pinned to a core each. For a profiler that attaches, a target notes its own pace in windows of 50 ms: its
slow-down is its pace alone, before and after, over its pace while it is sampled, within one process.

"""


@dataclasses.dataclass
class Result:
    """One figure beside its target."""

    case: str
    unit: str = ""
    naja: float | None = None
    peer: float | None = None
    ratio: float | None = None
    spread: str = ""
    target: str = ""
    met: bool | None = None
    note: str = ""

    @classmethod
    def left_out(cls, case, why):
        return cls(case, note=f"not measured: {why}")

    @classmethod
    def beside_peer(cls, case, unit, ours, theirs, target, note):
        """Naja beside a peer: the ratio of the medians must not exceed the target."""
        one, other = statistics.median(ours), statistics.median(theirs)
        spread = f"naja {min(ours):.3g} to {max(ours):.3g}, peer {min(theirs):.3g} to {max(theirs):.3g}"
        met = one / other <= target and not note.startswith("WRONG")
        return cls(case, unit, one, other, one / other, spread, f"≤ 1/{1 / target:.0f} of py-spy", met, note)

    @classmethod
    def median_at_most(cls, case, unit, values, target, note):
        """A median that must not exceed the target."""
        middle, low, high = measure.median_interval(values)
        return cls(case, unit, middle, None, None, f"{low:.4g} to {high:.4g} (95 %)", f"≤ {target}", middle <= target, note)

    @classmethod
    def of_peer(cls, case, unit, values, note):
        """A peer's figure, shown beside."""
        return cls(case, unit, None, statistics.median(values), None, f"{min(values):.4g} to {max(values):.4g}", note=note)

    @classmethod
    def at_least(cls, case, shares, target, note):
        """A share that must reach the target."""
        middle = statistics.median(shares)
        spread = f"{100 * min(shares):.2f} to {100 * max(shares):.2f}"
        return cls(case, "%", 100 * middle, None, None, spread, f"≥ {100 * target:.0f} %", middle >= target, note)

    @classmethod
    def at_most(cls, case, unit, value, target, note):
        """One figure that must not exceed the target."""
        return cls(case, unit, value, None, None, "one run", f"≤ {target} {unit}", value <= target, note)

    def verdict(self):
        return {None: "", True: "met", False: "**missed**"}[self.met]

    def line(self):
        cells = [self.case, shown(self.naja, self.unit), shown(self.peer, self.unit), self.factor(), self.spread]
        return " | ".join([*cells, self.target, self.verdict(), self.note])

    def factor(self):
        return "" if self.ratio is None else f"1/{1 / self.ratio:.0f}" if self.ratio < 0.5 else f"{self.ratio:.2f}"


def shown(value, unit):
    if value is None:
        return ""
    digits = f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
    return f"{digits} {unit}".strip()


def store(name, measured, load):
    """Puts one case's results in place of the older ones and writes both files."""
    kept = json.loads(JSON.read_text()) if JSON.is_file() else {}
    kept[name] = {
        "measured": measure.today(),
        "naja": measure.naja_version(measure.naja_program()),
        "peer": f"py-spy {measure.PY_SPY}",
        "pythons": versions(),
        "machine": measure.machine(),
        "load_before": load,
        "results": [dataclasses.asdict(result) for result in measured],
    }
    JSON.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(page(kept))
    write_side_by_side(kept)


def write_side_by_side(kept):
    """Every figure that has a target or a peer, in the page for users."""
    before, _, rest = USERS_PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "| measured | naja | py-spy | factor | target | |\n|---|---:|---:|---:|---|---|\n"
    for part in kept.values():
        for result in (Result(**one) for one in part["results"]):
            if result.target or result.peer is not None:
                naja, peer = shown(result.naja, result.unit), shown(result.peer, result.unit)
                table += f"| {result.case} | {naja} | {peer} | {result.factor()} | {result.target} | {result.verdict()} |\n"
    measured = ", ".join(sorted({part["measured"].partition(" ")[0] for part in kept.values()}))
    machine = list(kept.values())[-1]["machine"]
    table += (
        f"\nMeasured {measured} beside py-spy {measure.PY_SPY}, {machine['cores']} cores"
        f"{' (virtual)' if machine['virtual'] else ''}, {machine['cpu']}, Linux {machine['kernel']}; medians. Spreads, versions "
        "and remarks are in [the results](../../tools/profile/bench/results.md).\n"
    )
    USERS_PAGE.write_text(before + BEGIN + "\n" + table + "\n" + END + after)


def versions():
    found = {}
    for minor in (8, 10, 12):
        try:
            found[f"3.{minor}"] = Path(measure.interpreter(minor)).parent.parent.name
        except measure.Missing:
            continue
    return found


def page(kept):
    text = HEAD
    for name, part in kept.items():
        machine = part["machine"]
        text += f"## {name}\n\n"
        text += "| case | naja | peer | factor | spread | target | | remark |\n|---|---|---|---|---|---|---|---|\n"
        text += "".join(f"| {Result(**one).line()} |\n" for one in part["results"])
        text += (
            f"\n{part['measured']}; {part['naja']}; {part['peer']}; CPython {', '.join(part['pythons'].values())}; "
            f"{machine['cores']} cores{' (virtual)' if machine['virtual'] else ''}, {machine['cpu']}, "
            f"{machine['memory_gib']} GiB, Linux {machine['kernel']}; load before: {part['load_before']}.\n\n"
        )
    return text.rstrip() + "\n"
