"""Where the figures of choosing go: `choosing.json` for programs, `choosing.md` for people."""

import json
import os
import platform
from pathlib import Path

HERE = Path(__file__).resolve().parent
JSON, PAGE = HERE / "choosing.json", HERE / "choosing.md"

HEAD = """# Choosing tests: what `--affected` misses, and how long `--watch` takes

Written by `mutants.py` and `watch.py`; do not edit. The targets stand beside the figures.

"""


def environment(folder):
    """The variables of this process, with the project's own modules first and no compiled files: two mutants in one
    second would be one to Python."""
    source = folder / "src"
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(source if source.exists() else folder), "NO_COLOR": "1"}


def keep(name, figures):
    """Puts the figures of one script in the place of those that it had before."""
    kept = json.loads(JSON.read_text()) if JSON.exists() else {}
    kept[name] = {**figures, "python": platform.python_version(), "machine": f"{os.cpu_count()} processors, {platform.machine()}"}
    JSON.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    PAGE.write_text(HEAD + "".join(PAGES[name](one) for name, one in sorted(kept.items())))


def _mutants(one):
    missed = ", ".join(one["missed"] + one["tests_missed"]) or "none"
    return f"""## Seeded mutants: `--affected` on {one["project"]}

{one["found_by_all"]} mutants of one line that the whole suite finds ({one["found_by_none"]} more that it does not; seed
{one["seed"]}; {one["tests"]} tests in {one["test_files"]} files; {one["machine"]}).

| figure | value | target | met |
|---|---|---|---|
| mutants missed by `--affected` | {len(one["missed"])} | 0 | {"yes" if not one["missed"] else "**no**"} |
| failing tests that were not chosen | {len(one["tests_missed"])} | 0 | {"yes" if not one["tests_missed"] else "**no**"} |
| tests chosen, of all | {100 * one["chosen_share"]:.0f} % | | |

Missed: {missed}.

"""


def _watch(one):
    rows = "".join(
        f"| {case['what']} | {case['watch_s']:.3f} s ({case['watch_spread']}) | {case['pytest_s']:.3f} s ({case['pytest_spread']}) "
        f"| {case['ratio']:.1f} | {case['target']} | {case['met']} |\n"
        for case in one["cases"]
    )
    return f"""## One test again: `--watch` on {one["project"]}

From the save of a file to the test's result, in turn with `pytest -k` on the same tree; medians of {one["rounds"]} rounds, with
the spread ({one["machine"]}, CPython {one["python"]}).

| what was saved | watch | `pytest -k` | times faster | target | met |
|---|---|---|---|---|---|
{rows}
"""


PAGES = {"mutants": _mutants, "watch": _watch}
