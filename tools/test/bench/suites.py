"""Real projects, and their tests run three ways: by pytest alone, by pytest-xdist, by `naja test`.

`suites.toml` beside this file says which. Every run gives what became of each test, from the JUnit file that pytest
itself writes, and what it cost.
"""

import collections
import dataclasses
import os
import resource
import subprocess
import sys
import tempfile
import time
import tomllib
import xml.etree.ElementTree
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "conformance"))

import sources  # noqa: E402
from sources import ROOT  # noqa: E402

# Longer than any run: one that hangs ends the script.
TIMEOUT_S = 3600


def naja_program():
    """The program under test: that of `.venv`, or the one that the variable NAJA names."""
    program = Path(os.environ.get("NAJA", ROOT / ".venv/bin/naja")).absolute()
    if not program.is_file():
        sys.exit(f"error: there is no `{program}`\n  hint: make build")
    return program


def all_suites():
    """Every suite of `suites.toml`, by its name."""
    described = tomllib.loads((HERE / "suites.toml").read_text())["suite"]
    return {one["name"]: Suite(**one) for one in described}


@dataclasses.dataclass
class Suite:
    """One project at one version, and which of its tests are run."""

    name: str
    version: str
    sha256: str
    tests: list
    requirements: list
    options: list = dataclasses.field(default_factory=list)
    quick: bool = False

    def prepare(self):
        """Fetches the sources and makes the environment, where that is not done yet."""
        self.folder = sources.sdist(self.name, self.version, self.sha256)
        self.python = sources.environment(self.name, self.requirements)

    def with_packages(self, *packages):
        """The interpreter of another environment, with more packages."""
        return sources.environment(f"{self.name} {' '.join(packages)}", [*self.requirements, *packages])

    def serial(self, *words, tests=None):
        """A run of pytest alone."""
        return self.run([self.python, "-m", "pytest"], words, tests)

    def naja(self, *words, workers=2, tests=None):
        """A run of `naja test`."""
        return self.run([naja_program(), "test", "--python", self.python, "--plain", "-n", workers], words, tests)

    def xdist(self, *words, workers=2, tests=None):
        """A run of pytest with pytest-xdist."""
        python = self.with_packages("pytest-xdist==3.8.0")
        return self.run([python, "-m", "pytest", "-n", workers], words, tests)

    def run(self, command, words=(), tests=None):
        """Runs a command that takes pytest's arguments, in the folder of the sources."""
        with tempfile.TemporaryDirectory() as folder:
            junit = Path(folder, "junit.xml")
            whole = [*command, "-q", "-p", "no:cacheprovider", f"--basetemp={folder}/base", f"--junitxml={junit}",
                     *self.options, *words, *(self.tests if tests is None else tests)]
            done, wall_s, cpu_s = timed(whole, self.folder)
            found = outcomes(junit) if junit.is_file() else collections.Counter()
        return Run(found, wall_s, cpu_s, done.returncode, done.stdout + done.stderr)


@dataclasses.dataclass
class Run:
    """What came of a run of tests, and what it cost."""

    outcomes: collections.Counter
    wall_s: float
    cpu_s: float
    code: int
    text: str


def timed(command, folder):
    """Runs a command to its end: what it printed, and the wall and processor time of it with all that it started."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "NAJA_", "PYTHON"))}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=kept, capture_output=True, text=True, errors="replace",
        stdin=subprocess.DEVNULL, timeout=TIMEOUT_S,
    )
    wall_s = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def outcomes(junit):
    """How often each (class, name, outcome) stands in a JUnit file."""
    found = collections.Counter()
    for case in xml.etree.ElementTree.parse(junit).iter("testcase"):
        said = [one.tag + (":" + one.get("type", "") if one.tag == "skipped" else "") for one in case
                if one.tag in ("failure", "error", "skipped")]
        found[case.get("classname"), case.get("name"), "+".join(said) or "passed"] += 1
    return found


def differences(one, other):
    """What stands in one of two runs and not in the other, as lines."""
    lines = [f"- {' '.join(case)}" for case in sorted((one - other).elements())]
    return lines + [f"+ {' '.join(case)}" for case in sorted((other - one).elements())]


def summary(found):
    """`488 passed, 1 skipped`."""
    counts = collections.Counter()
    for (_, _, outcome), count in found.items():
        counts[outcome.replace(":pytest.", " ").replace("skipped skip", "skipped").replace("skipped xfail", "xfailed")] += count
    return ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "nothing"
