"""Runs pytest-xdist's own acceptance tests against naja; writes `score.json`. Started by `cargo dev conformance test` and `make test`.

    run.py [--quick] [TEST…]     --quick: a fixed share of the tests, with naja alone, and nothing is written

The tests come unmodified from the sdist of the pinned version. They start pytest with `-n` and look at what it prints.
A first run has pytest-xdist's plugin and gives the total: the tests that pass with it. The second has naja's plugin in
its place; `xdist` can still be imported, as the tests do, and its plugin is not loaded.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import sources
from sources import CACHE, ROOT

HERE = Path(__file__).resolve().parent

# The plugin that writes what became of each test, and chooses a share of them, is that of all conformance runs.
RECORDER = ROOT / "dev/src/conformance"

PLUGINS = {"pytest-xdist": "xdist.plugin,xdist.looponfail", "naja": "naja.testing.plugin"}

# These tests have real workers and real time; one that fails gets this many more tries, alone.
MORE_TRIES = 2

# Longer than any run takes on a busy machine: one that hangs fails.
TIMEOUT_S = 1200

# `make test` takes this exit code for "the index cannot be reached".
NO_INDEX = 3


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("tests", nargs="*", metavar="TEST", help="names as pytest has them: these alone, nothing is written")
    arguments.add_argument("--quick", action="store_true", help="a fixed share, with naja alone, nothing is written")
    chosen = arguments.parse_args()
    # A test sends Ctrl-C; started in the background by a shell, all that is started here would not hear it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    [original] = tomllib.loads((HERE / "original.toml").read_text())["original"]
    suite = Suite(original, original["quick"] if chosen.quick else 1.0)
    is_whole = not (chosen.quick or chosen.tests)
    tests = chosen.tests or suite.collect()
    expected = run("pytest-xdist", suite, tests, lambda test: True) if is_whole else dict.fromkeys(tests, ("passed", None))
    counted = [test for test, (outcome, _) in expected.items() if outcome == "passed"]
    outcomes = run("naja", suite, counted, lambda test: not about(test))
    # What pytest-xdist itself marks as failing, or leaves out here, does not count.
    outcomes = {test: one for test, one in outcomes.items() if one[0] in ("passed", "failed", "crashed")}
    code = conclude(original, outcomes, is_whole)
    if not chosen.tests:
        # Whether real projects' tests come to the same as without workers: a script of its own, since it is used alone too.
        compare = [sys.executable, HERE.parent / "bench/outcomes.py", *(["--quick"] if chosen.quick else [])]
        code = subprocess.run(compare).returncode or code
    sys.exit(code)


def run(side, suite, tests, is_to_pass):
    """What became of each test, those that are to pass and did not tried again."""
    outcomes = suite.run(side, tests)
    for _ in range(MORE_TRIES):
        for test in tests:
            if outcomes[test][0] in ("failed", "crashed") and is_to_pass(test):
                print(f"  once more with {side}: {test}: {outcomes[test][1].splitlines()[0]}", file=sys.stderr)
                outcomes.update(suite.run(side, [test]))
    return outcomes


class Suite:
    """The acceptance tests, in a copy of the sources that pytest does not take for an installed package."""

    def __init__(self, original, share):
        self.original, self.share = original, share
        self.python = sources.environment("xdist", original["requirements"])
        given = sources.sdist(original["name"], original["version"], original["sha256"])
        self.folder = CACHE / "acceptance"
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(given, self.folder, ignore=shutil.ignore_patterns("*.egg-info", "PKG-INFO", "__pycache__"))

    def collect(self):
        """The names of all tests, in their order."""
        done = self._pytest("naja", ["--collect-only", "-q", *self._chosen(), *self.original["tests"]])
        return [line for line in done.stdout.splitlines() if "::" in line]

    def run(self, side, tests):
        """What became of each test: its outcome, and the end of its failure. A test that takes pytest down is `crashed`."""
        outcomes, left = {}, list(tests)
        record = CACHE / f"{side}.jsonl"
        while left:
            record.unlink(missing_ok=True)
            done = self._pytest(side, ["-q", "--tb=short", f"--naja-record={record}", *left])
            with open(CACHE / f"{side}.txt", "w", encoding="utf-8") as output:
                output.write(done.stdout + done.stderr)
            lines = record.read_text(encoding="utf-8").splitlines() if record.is_file() else []
            for one in map(json.loads, lines):
                outcomes[one["test"]] = one["outcome"], one.get("message")
            left = [test for test in left if test not in outcomes]
            if left:
                outcomes[left[0]] = "crashed", f"pytest ended with exit code {done.returncode}"
                left = left[1:]
        return {test: outcomes[test] for test in tests}

    def _chosen(self):
        return [] if self.share == 1.0 else [f"--naja-share={self.share}"]

    def _pytest(self, side, words):
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "NAJA_"))},
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "python", self.folder / "src", RECORDER))),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_PLUGINS": PLUGINS[side],
        }
        command = [self.python, "-m", "pytest", "-p", "recorder", "-p", "no:cacheprovider", "--rootdir", self.folder, *words]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, errors="replace",
            stdin=subprocess.DEVNULL, timeout=TIMEOUT_S,
        )


def exceptions():
    return tomllib.loads((HERE / "expected.toml").read_text()).get("exception", [])


def about(test):
    """The exception for a test; that of a test without its `[parameters]` stands for all of them."""
    names = {test, test.partition("[")[0]}
    return next((one for one in exceptions() if "testing/acceptance_test.py::" + one["test"] in names), None)


def conclude(original, outcomes, is_whole):
    """Compares with `expected.toml`, says the score, writes it where all was run; gives the exit code."""
    passed = [test for test, (outcome, _) in outcomes.items() if outcome == "passed"]
    excepted = [test for test in outcomes if test not in passed and about(test)]
    wrong = [test for test in outcomes if test not in passed and not about(test)]
    stale = [f"{test} passes: take it off expected.toml" for test in passed if about(test) and not about(test).get("may-pass")]
    if is_whole:
        seen = [about(test) for test in outcomes]
        # Where who comes first decides, that can be so for pytest-xdist, too.
        stale += [f"no test that counts is {one['test']}" for one in exceptions() if one not in seen and not one.get("may-pass")]
        # A test that is decided by who comes first is never counted as passed.
        undecided = [test for test in passed if about(test)]
        passed, excepted = [test for test in passed if test not in undecided], excepted + undecided
    print(f"{original['name']} {original['version']}: {len(passed)} of {len(outcomes)}{'' if is_whole else ' of a slice'} "
          f"pass, {len(excepted)} excepted", file=sys.stderr)
    for test in wrong:
        print(f"  failed: {test}: {outcomes[test][1]}", file=sys.stderr)
    for line in stale:
        print(f"  {line}", file=sys.stderr)
    if is_whole:
        verdicts = {}
        for test in excepted:
            verdict = about(test)["verdict"]
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
        score = {
            "version": original["version"],
            "source": f"sha256:{original['sha256']}",
            "passed": len(passed),
            "total": len(outcomes),
            "excepted": len(excepted),
            "verdicts": verdicts,
            "python": f"CPython {platform.python_version()}",
        }
        text = json.dumps({"scores": {original["name"]: score}}, indent=2)
        (HERE / "score.json").write_text(text + "\n")
    return 1 if wrong or stale else 0


if __name__ == "__main__":
    began = time.monotonic()
    try:
        main()
    except sources.NoIndex:
        sys.exit(NO_INDEX)
    finally:
        print(f"took {time.monotonic() - began:.0f} s on {platform.python_version()}", file=sys.stderr)
