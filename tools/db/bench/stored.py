"""Keeps what was measured: `results.json` for every original together, and a page for each."""

import json
import os
import pathlib
import platform
import sqlite3
import statistics

HERE = pathlib.Path(__file__).resolve().parent


def result(original, case, unit, ours, theirs, target, beside=None):
    """A row of the table: medians, the ratio peer ÷ naja, and the smallest and the largest of both."""
    one, other = statistics.median(ours), statistics.median(theirs)
    row = {
        "original": original,
        "case": case,
        "unit": unit,
        "naja": one,
        "peer": other,
        "ratio": other / one,
        "spread": [min(ours), max(ours), min(theirs), max(theirs)],
        "target": target,
        "met": None if target is None else other / one >= target,
    }
    return row | ({"beside": beside} if beside else {})


def store(original, version, results):
    """Puts results into `results.json`, in place of older ones of the same cases, and writes the original's page."""
    file = HERE / "results.json"
    known = json.loads(file.read_text()) if file.is_file() else {"cases": []}
    cases = known["cases"]
    new = {(one["original"], one["case"], one.get("beside")): one for one in results}
    kept = [new.pop((one["original"], one["case"], one.get("beside")), one) for one in cases]
    kept += new.values()
    file.write_text(json.dumps(known | {"cases": kept}, indent=1, ensure_ascii=False) + "\n")
    (HERE / f"{original}.md").write_text(page(original, version, [one for one in kept if one["original"] == original]))
    write_index(kept)


def write_index(cases):
    """The list of all pages."""
    pages = sorted({one["original"] for one in cases})
    memory = "- [memory of reading a large table](memory.md)\n" if (HERE / "memory.md").is_file() else ""
    (HERE / "results.md").write_text(
        "# Databases\n\nWhat was measured, by original:\n\n" + "".join(f"- [{name}]({name}.md)\n" for name in pages) + memory
    )


def page(original, version, results):
    """The table of an original."""
    processor = next(
        (line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine()
    )
    lines = [
        f"# naja.{original} beside {original}",
        "",
        f"Written by `{original}.py` (`cargo dev bench db`); do not edit. Each figure is a median of runs in turn, the spread is",
        "from the smallest to the largest run, the ratio is the peer's cost ÷ naja's. Answers were compared first.",
        "",
        f"{version}, CPython {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {processor}, {os.cpu_count()} cores, {platform.system()}.",
        "",
        "| case | beside | naja | peer | ratio | spread naja | spread peer | target | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in results:
        low, high, peer_low, peer_high = (shown(value, one["unit"]) for value in one["spread"])
        cells = [
            one["case"].replace("|", "\\|"),
            one.get("beside", original),
            shown(one["naja"], one["unit"]),
            shown(one["peer"], one["unit"]),
            f"{one['ratio']:.1f}",
            f"{low} to {high}",
            f"{peer_low} to {peer_high}",
            "" if one["target"] is None else f"≥ {one['target']:.3g} ×",
            {None: "", True: "met", False: "**missed**"}[one["met"]],
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def shown(value, unit):
    """A figure with its unit, in three digits."""
    if unit != "s":
        return f"{value:.1f} {unit}"
    for factor, name in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if value * factor >= 1:
            return f"{value * factor:.2f} {name}"
    return f"{value * 1e9:.0f} ns"
