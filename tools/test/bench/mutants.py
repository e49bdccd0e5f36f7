"""Whether `naja test --affected` misses a failure: changes flask's source a little, many times, and runs its tests.

    python mutants.py SDIST --python PYTHON [--naja NAJA] [--count 50] [--seed 5]

SDIST is flask's unpacked source distribution, PYTHON an interpreter with pytest and what flask needs. It is copied into
a git repository; each mutant changes one line of its package. A mutant counts when some test of the whole suite fails
with it; `--affected` has missed it when it does not fail, and has missed a test when one of the tests that fail in the
whole suite does not fail in what it chose. The records of earlier runs are those of a run before any change. Writes
its figures into choosing.json and choosing.md.
"""

import argparse
import ast
import json
import random
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import choosing_results

COMPARISONS = {
    ast.Eq: "!=", ast.NotEq: "==", ast.Lt: ">=", ast.LtE: ">", ast.Gt: "<=", ast.GtE: "<",
    ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in",
}  # fmt: skip


def main():
    """Makes mutants until enough of them were found by the whole suite."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sdist", type=Path)
    parser.add_argument("--python", required=True)
    parser.add_argument("--naja", default="naja")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        suite = Suite(Path(folder) / "project", options)
        figures = run(suite, options)
    choosing_results.keep("mutants", figures)
    print(json.dumps(figures, indent=1))
    raise SystemExit(1 if figures["missed"] or figures["tests_missed"] else 0)


class Suite:
    """A copy of the project in a repository of its own, all of whose tests have run once."""

    def __init__(self, folder, options):
        self.folder, self.options = folder, options
        shutil.copytree(options.sdist, folder)
        (folder / ".gitignore").write_text("__pycache__\n.pytest_cache\n*.egg-info\n")
        for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=m", "-c", "user.email=m@example.org", "commit", "-qm", "as released"]):
            subprocess.run(["git", *words], cwd=folder, check=True)
        self.before = self.run()
        self.files = {test.split("::")[0] for test in self.before["outcomes"]}
        shutil.copytree(folder / ".naja_cache", folder.parent / "cache")

    def run(self, *words):
        """Runs tests; their outcomes, and how the run ended. Earlier runs are forgotten but for the first."""
        kept, cache = self.folder.parent / "cache", self.folder / ".naja_cache"
        if kept.exists():
            shutil.rmtree(cache, ignore_errors=True)
            shutil.copytree(kept, cache)
        command = [self.options.naja, "test", "--python", self.options.python, "--format", "json", "--timeout", "30",
                   "-q", "-p", "no:cacheprovider", *words]  # fmt: skip
        environment = choosing_results.environment(self.folder)
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, env=environment)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        outcomes = {line["id"]: line["outcome"] for line in lines if line["event"] == "test"}
        bad = {test for test, outcome in outcomes.items() if outcome in ("failed", "error", "crashed")}
        return {"outcomes": outcomes, "bad": bad, "code": done.returncode}


def run(suite, options):
    """The figures."""
    known = suite.before["bad"]
    found, survived, missed, tests_missed, chosen = 0, 0, [], [], []
    began = time.monotonic()
    for path, line, text, what in mutants(suite.folder / "src" / "flask", options.seed):
        if found == options.count:
            break
        original = path.read_text()
        path.write_text(text)
        whole = suite.run()
        if not (whole["bad"] - known) and whole["code"] == suite.before["code"]:
            survived += 1
            path.write_text(original)
            continue
        found += 1
        part = suite.run("--affected")
        path.write_text(original)
        name = f"{path.name}:{line} {what}"
        if part["code"] == 0:
            missed.append(name)
        tests_missed += [f"{name}: {test}" for test in sorted(whole["bad"] - known - part["bad"])]
        if part["outcomes"]:
            chosen.append(len(part["outcomes"]) / max(1, len(suite.before["outcomes"])))
        print(f"{found}/{options.count} {name}: {len(whole['bad'])} fail, {len(part['bad'])} of them chosen", flush=True)
    return {
        "project": options.sdist.name, "tests": len(suite.before["outcomes"]), "test_files": len(suite.files),
        "seed": options.seed, "found_by_all": found, "found_by_none": survived, "missed": missed,
        "tests_missed": tests_missed, "chosen_share": round(sum(chosen) / max(1, len(chosen)), 3),
        "seconds": round(time.monotonic() - began),
    }  # fmt: skip


def mutants(package, seed):
    """Changes of one place each, in an order that the seed decides: file, line, new text, what was done."""
    found = []
    for path in sorted(package.rglob("*.py")):
        source = path.read_text()
        for start, end, replacement, line in changes(source):
            found.append((path, line, source[:start] + replacement + source[end:], f"{source[start:end]!r} -> {replacement!r}"))
    random.Random(seed).shuffle(found)
    for path, line, text, what in found:
        try:
            compile(text, str(path), "exec")
        except SyntaxError:
            continue
        yield path, line, text, what[:80]


def changes(source):
    """Places in a text with what takes their place: comparisons, constants, `and`, `not` and returned values."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    if not source.isascii():
        return  # columns are counted in bytes
    place = lambda node, end=False: starts[(node.end_lineno if end else node.lineno) - 1] + (node.end_col_offset if end else node.col_offset)  # noqa: E731
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    annotations = {id(inner) for node in ast.walk(tree) for name in ("annotation", "returns")
                   if getattr(node, name, None) is not None for inner in ast.walk(getattr(node, name))}  # fmt: skip
    for node in ast.walk(tree):
        if getattr(node, "end_lineno", None) != getattr(node, "lineno", None) or id(node) in annotations:
            continue
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS:
            yield place(node.left, True), place(node.comparators[0]), f" {COMPARISONS[type(node.ops[0])]} ", node.lineno
        elif isinstance(node, ast.Constant) and id(node) not in docstrings:
            if isinstance(node.value, bool):
                yield place(node), place(node, True), repr(not node.value), node.lineno
            elif isinstance(node.value, int):
                yield place(node), place(node, True), repr(node.value + 1), node.lineno
            elif isinstance(node.value, str) and source[place(node)] in "'\"":
                yield place(node), place(node, True), repr(node.value + "x"), node.lineno
        elif isinstance(node, ast.BoolOp):
            left, right = place(node.values[0], True), place(node.values[1])
            yield left, right, " or " if isinstance(node.op, ast.And) else " and ", node.lineno
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield place(node), place(node.operand), "", node.lineno
        elif isinstance(node, ast.Return) and node.value is not None:
            yield place(node.value), place(node.value, True), "None", node.lineno


if __name__ == "__main__":
    main()
