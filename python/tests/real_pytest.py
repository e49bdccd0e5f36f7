"""Real pytests of several versions, in interpreters of several versions, with the files that `naja test` gives them."""

import os
import pathlib
import shutil
import subprocess
import sys
import time

import pytest
from not_tested import not_tested

RUN_PYTEST = pathlib.Path(__file__).parents[1] / "naja" / "testing" / "run_pytest.py"

# The oldest pytest with the oldest Python, and so on up.
VERSIONS = [("3.8", "7.4.4"), ("3.11", "8.4.2"), ("3.13", "9.2.0")]


def wait_for(is_so):
    """Returns when something is so; fails when it is not for a long time."""
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end, "what was waited for did not happen"
        time.sleep(0.02)


class RealPytest:
    """A pytest that is started as `naja test` starts it."""

    def __init__(self, interpreter, site):
        self.interpreter, self.site = interpreter, site

    def environment(self, **more):
        """The environment without what the pytest that runs these tests has put there, or would show by."""
        # Where `CI` is set, pytest repeats a failure's whole text in its summary.
        others = ("PYTEST_", "NAJA_", "COV")
        kept = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith(others)}
        return {**kept, "PYTHONPATH": str(self.site), **more}

    def command(self, *arguments):
        return [self.interpreter, str(RUN_PYTEST), *map(str, arguments)]

    def run(self, folder, *arguments, **environment):
        """Runs the tests of a folder; the output is text, errors included."""
        return subprocess.run(
            self.command(*arguments), cwd=folder, env=self.environment(**environment), text=True, timeout=120,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )

    def start(self, folder, *arguments):
        """The same without waiting for the end."""
        return subprocess.Popen(
            self.command(*arguments), cwd=folder, env=self.environment(PYTHONUNBUFFERED="1"), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
        )

    def as_one_command(self, folder):
        """A script that is this interpreter with its packages, for where only a command can be named."""
        script = folder / "python-with-pytest"
        script.write_text(f"#!/bin/sh\nPYTHONPATH='{self.site}' exec '{self.interpreter}' \"$@\"\n")
        script.chmod(0o755)
        return script


def install(folder, python, version, *more):
    """The `RealPytest` of a Python such as `3.8`; skips where the machine has no such Python, or no index."""
    interpreter = _interpreter(python)
    if interpreter is None:
        not_tested(f"pytest {version} with CPython {python}")
    site = folder / f"{python}-{version}"
    if not site.exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(site), "--only-binary=:all:"]
        wanted = ["--python-version", python, f"pytest=={version}", "execnet>=2.1", *more]
        if python == "3.8":  # pip asks the Python that it runs in whether these are needed
            wanted += ["exceptiongroup==1.2.2", "tomli==2.0.2"]
        done = subprocess.run(command + wanted, capture_output=True, text=True)
        if done.returncode:
            shutil.rmtree(site, ignore_errors=True)
            not_tested(f"pytest {version}, which could not be installed: {done.stderr.strip()[-200:]}")
    return RealPytest(interpreter, site)


def _interpreter(version):
    if version == "{}.{}".format(*sys.version_info):
        return sys.executable
    root = pathlib.Path(os.environ.get("PYENV_ROOT") or pathlib.Path.home() / ".pyenv")
    for found in sorted(root.glob(f"versions/{version}.*/bin/python{version}")):
        return str(found)
    return shutil.which(f"python{version}", path=os.pathsep.join(["/usr/bin", "/usr/local/bin"]))
