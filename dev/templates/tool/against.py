"""Measures naja.example_WORD beside its original: `cargo dev bench WORD`.

The same input goes to both, the answers are compared first, then both run in turn. Writes results.md and results.json.
"""

import json
import pathlib
import platform
import statistics
import sys
import time

HERE = pathlib.Path(__file__).parent
RUNS = 7

# The original is made up and lies in the repository; a real one is installed into an environment of its own.
sys.path.insert(0, str(HERE.parent / "conformance" / "example"))

import example_WORD as original  # noqa: E402
from naja import example_WORD as ours  # noqa: E402

TEXT = "a line of some length\n" * 10_000
CASES = {
    "count 10,000 lines": lambda module: module.count_lines(TEXT),
    "count one line": lambda module: module.count_lines("one"),
}


def seconds(function, module):
    """Of one call; as many are made as take 20 ms."""
    calls = 1
    while True:
        start = time.perf_counter()
        for _ in range(calls):
            function(module)
        took = time.perf_counter() - start
        if took > 0.02:
            return took / calls
        calls *= 2


def measure(name, function):
    assert function(ours) == function(original), name
    figures = {ours: [], original: []}
    for _ in range(RUNS):
        for module, list_of_seconds in figures.items():
            list_of_seconds.append(seconds(function, module))
    naja, peer = (statistics.median(figures[module]) * 1e6 for module in (ours, original))
    spread = max((max(one) - min(one)) / statistics.median(one) for one in figures.values())
    return {
        "case": name,
        "original": "example-WORD",
        "naja": round(naja, 3),
        "peer": round(peer, 3),
        "unit": "us",
        "ratio": round(peer / naja, 2),
        "spread": round(spread, 3),
    }


def main():
    results = {
        "machine": f"{platform.machine()}, {platform.system()}",
        "versions": {"python": platform.python_version(), "example-WORD": "1.0"},
        "cases": [measure(name, function) for name, function in CASES.items()],
    }
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    lines = [
        "# WORD beside its original",
        "",
        f"CPython {platform.python_version()}, {results['machine']}; medians of {RUNS} runs in turn, microseconds a call.",
        "",
        "| case | naja | original | ratio | spread |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for one in results["cases"]:
        lines.append(f"| {one['case']} | {one['naja']} | {one['peer']} | {one['ratio']} | {one['spread']:.0%} |")
    (HERE / "results.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
