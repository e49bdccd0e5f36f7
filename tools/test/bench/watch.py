"""How soon one test's result is there after a save, under `naja test --watch` and with `pytest -k`.

    python watch.py SDIST --python PYTHON [--naja NAJA] [--rounds 9]

SDIST is flask's unpacked source distribution. In each round a test file, then a module of flask, gets a new last line;
each time `naja test --watch -k TEST` and then `pytest -k TEST` are timed from there, to the line with the outcome and to the end
of the process. The answers are compared first: both must have run that one test, and it must have passed. All of it once with
Python's compiled files, as a user has them, and once without. Writes its figures into choosing.json and choosing.md.
"""

import argparse
import json
import os
import pty
import re
import select
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import choosing_results

TEST, FILE, MODULE = "test_method_route_no_methods", "tests/test_basic.py", "src/flask/json/tag.py"
TARGET = 10


def main():
    """Measures, and keeps what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sdist", type=Path)
    parser.add_argument("--python", required=True)
    parser.add_argument("--naja", default="naja")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    cases = []
    for has_compiled in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            project = Path(folder) / "project"
            shutil.copytree(options.sdist, project)
            cases += measure(project, options, has_compiled)
    figures = {"project": options.sdist.name, "rounds": options.rounds, "cases": cases}
    choosing_results.keep("watch", figures)
    print(json.dumps(figures, indent=1))


def measure(project, options, has_compiled):
    """The two cases, a test file and a module saved, in turn."""
    environment = {**choosing_results.environment(project), "TERM": "dumb"}
    if has_compiled:
        del environment["PYTHONDONTWRITEBYTECODE"]
    # What computed imports load is known only once all tests have run.
    whole = [options.naja, "test", "--plain", "--python", options.python, "-q"]
    subprocess.run(whole, cwd=project, env=environment, capture_output=True)
    outer, inner = pty.openpty()
    words = ["-k", TEST, "-q"]
    watched = subprocess.Popen(
        [options.naja, "test", "--watch", "--plain", "--python", options.python, *words],
        cwd=project, env=environment, stdin=inner, stdout=inner, stderr=inner,
    )  # fmt: skip
    screen = Screen(outer)
    first = screen.until("q ends")
    times = {FILE: ([], []), MODULE: ([], [])}
    try:
        for number in range(options.rounds + 1):
            for path, (ours, theirs) in times.items():
                time.sleep(0.3)
                with open(project / path, "a") as file:
                    file.write(f"\n# {number}\n")
                began = time.perf_counter()
                shown = screen.until(" passed")
                seconds = time.perf_counter() - began
                screen.until("q ends")
                time.sleep(0.3)
                began = time.perf_counter()
                plain = subprocess.run([options.python, "-m", "pytest", "-p", "no:cacheprovider", *words], cwd=project, env=environment, capture_output=True, text=True)
                other = time.perf_counter() - began
                counted = [re.findall(r"(\d+)$", text.split(" passed")[0])[-1:] for text in (shown, plain.stdout)]
                assert counted[0] == counted[1] == re.findall(r"(\d+)$", first.split(" passed")[0])[-1:], (shown, plain.stdout)
                if number:  # the first round makes both warm
                    ours.append(seconds)
                    theirs.append(other)
    finally:
        os.write(outer, b"q")
        watched.wait(10)
    without = "" if has_compiled else "; no compiled files"
    what = {FILE: f"the test's file, `{FILE}`{without}", MODULE: f"a module of the package, `{MODULE}`{without}"}
    return [case(what[path], *pair) for path, pair in times.items()]


def case(what, ours, theirs):
    """One row of the table."""
    ratio = statistics.median(theirs) / statistics.median(ours)
    spread = lambda values: f"{min(values):.3f} to {max(values):.3f}"  # noqa: E731
    return {
        "what": what, "watch_s": statistics.median(ours), "watch_spread": spread(ours),
        "pytest_s": statistics.median(theirs), "pytest_spread": spread(theirs), "ratio": ratio,
        "target": f"{TARGET} times", "met": "yes" if ratio >= TARGET else "**no**",
    }  # fmt: skip


class Screen:
    """What a program writes to its terminal, as it comes."""

    def __init__(self, outer):
        self._outer, self._text, self._changed = outer, "", threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            select.select([self._outer], [], [])
            try:
                data = os.read(self._outer, 65536)
            except OSError:
                return
            with self._changed:
                self._text += data.decode("utf-8", "replace")
                self._changed.notify()

    def until(self, text, seconds=60):
        """Waits for a text; what came before it, and it."""
        with self._changed:
            if not self._changed.wait_for(lambda: text in self._text, seconds):
                raise TimeoutError(f"{text!r} does not appear in {self._text!r}")
            end = self._text.index(text) + len(text)
            before, self._text = self._text[:end], self._text[end:]
            return before


if __name__ == "__main__":
    main()
