"""Runs py-spy's own tests against naja; writes `score.json`. Started by `cargo dev conformance profile` and `make test`.

    run.py [--quick] [TEST…]     --quick: the newest interpreter alone, nothing is written

Two parts of py-spy's crate, which cargo fetches at the pinned version and which is never kept in the repository:

* `integration_test.py` runs unmodified, with a command `py-spy` on PATH that is naja.
* its test programs run under every interpreter, and what `integration_test.rs` asserts of them, in `programs.py` in
  our own words, is asserted of `naja dump --json`.

The variable NAJA names another program than the one in `.venv`.
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import time
import tomllib
from pathlib import Path

import programs
from programs import NotTested

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CACHE = ROOT / ".cache" / "conformance" / "profile"

# py-spy's rate where none is given; its tests count samples.
SHIM = """#!/bin/sh
case "$1" in
record) shift; exec '{naja}' record --rate 100 "$@" ;;
*) exec '{naja}' "$@" ;;
esac
"""

# The tests of `integration_test.py`.
BY_COMMAND = ["test_longsleep", "test_busyloop", "test_thread_names", "test_shell_completions"]

# Longer than any test takes on a busy machine: one that hangs fails.
TEST_TIMEOUT_S = 120


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("tests", nargs="*", metavar="TEST", help="parts of names: these alone, nothing is written")
    arguments.add_argument("--quick", action="store_true", help="the newest interpreter alone, nothing is written")
    chosen = arguments.parse_args()
    naja = Path(os.environ.get("NAJA", ROOT / ".venv/bin/naja")).absolute()
    if not naja.is_file():
        sys.exit(f"error: there is no `{naja}`\n  hint: make build")
    [original] = tomllib.loads((HERE / "original.toml").read_text())["original"]
    tests = fetch(original) / "tests"
    pythons = interpreters()
    if chosen.quick:
        pythons = dict(list(pythons.items())[-1:])
    outcomes = {}
    for name, run in all_tests(naja, tests, pythons, original):
        if chosen.tests and not any(part in name for part in chosen.tests):
            continue
        outcomes[name] = outcome = run()
        print(f"  {name}: {outcome or 'passed'}", file=sys.stderr, flush=True)
    is_whole = not (chosen.quick or chosen.tests)
    sys.exit(conclude(original, outcomes, is_whole))


def fetch(original):
    """The sources of the pinned crate, from cargo's own cache of downloads, its checksum tested."""
    name = f"{original['name']}-{original['version']}"
    folder = CACHE / name
    mark = CACHE / "made-from"
    if folder.is_dir() and mark.is_file() and mark.read_text() == original["sha256"]:
        return folder
    print(f"fetching {name}", file=sys.stderr)
    CACHE.mkdir(parents=True, exist_ok=True)
    home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    downloaded = lambda: next(home.glob(f"registry/cache/*/{name}.crate"), None)  # noqa: E731
    if downloaded() is None:
        # What a crate is made of is asked for without building it or what it needs.
        ask = ["cargo", "info", "--quiet", f"{original['name']}@{original['version']}"]
        asked = subprocess.run(ask, cwd=CACHE, capture_output=True, text=True)
        if downloaded() is None:
            print(asked.stderr.strip(), file=sys.stderr)
            sys.exit(NO_INDEX)
    archive = downloaded()
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != original["sha256"]:
        sys.exit(f"error: {archive.name} has the checksum {found}, not {original['sha256']}")
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(archive) as opened:
        # The limits on what an archive may write came to Python 3.11 with its patch 4.
        opened.extractall(CACHE, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    mark.write_text(original["sha256"])
    return folder


# `make test` takes this exit code for "the index cannot be reached".
NO_INDEX = 3


def interpreters():
    """The path of every CPython from 3.8 on that is found, by its version: one for each minor version."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = {}
    for minor in range(8, 30):
        name = f"python3.{minor}"
        candidates = sorted(pyenv.glob(f"versions/3.{minor}.*/bin/{name}"))
        candidates += [Path(path) for path in (f"/usr/bin/{name}", f"/usr/local/bin/{name}")]
        ask = [*candidates, Path(sys.executable)]
        for candidate in filter(Path.is_file, ask):
            said = subprocess.run(
                [candidate, "-c", "import sys; print(sys.implementation.name, sys.version_info[1], sys.executable)"],
                capture_output=True, text=True,
            ).stdout.split(maxsplit=2)
            if said[:2] == ["cpython", str(minor)]:
                found[f"3.{minor}"] = Path(said[2].strip())
                break
    return found


def all_tests(naja, tests, pythons, original):
    """Each test's name, and what runs it: nothing when it passed, else why not."""
    shim = CACHE / "bin"
    shim.mkdir(parents=True, exist_ok=True)
    (shim / "py-spy").write_text(SHIM.format(naja=naja))
    (shim / "py-spy").chmod(0o755)
    for version, python in pythons.items():
        for test in BY_COMMAND:
            yield f"integration_test.py::{test}[{version}]", lambda p=python, t=test: by_command(p, tests, shim, t)
    for version, python in pythons.items():
        context = programs.Context(naja, python, version, tests / "scripts", original["requirements"], CACHE)
        for test, check in programs.TESTS.items():
            yield f"integration_test.rs::{test}[{version}]", lambda c=context, k=check: by_program(c, k)


def by_command(python, tests, shim, test):
    """Up to three times: these tests count samples in seconds of real time, which a busy machine does not keep."""
    for _ in range(3):
        outcome = by_command_once(python, tests, shim, test)
        if outcome is None:
            break
    return outcome


def by_command_once(python, tests, shim, test):
    environment = {**os.environ, "PATH": f"{shim}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
    command = [python, "integration_test.py", f"TestPyspy.{test}"]
    try:
        done = subprocess.run(
            command, cwd=tests, env=environment, capture_output=True, text=True, timeout=TEST_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return f"did not end within {TEST_TIMEOUT_S} s"
    return None if done.returncode == 0 else done.stderr.strip().splitlines()[-4:]


def by_program(context, check):
    try:
        check(context)
    except NotTested as why:
        return f"not tested: {why}"
    except Exception as error:  # noqa: BLE001 - whatever it is, this one test has failed
        return f"{type(error).__name__}: {error}" if str(error) else f"{type(error).__name__} in {where(error)}"
    return None


def where(error):
    """The lines of the test that led to an error without words."""
    trace, lines = error.__traceback__, []
    while trace:
        lines.append(f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " ".join(lines[1:])


def conclude(original, outcomes, is_whole):
    """Compares with `expected.toml`, says the score, writes it where all was run; gives the exit code."""
    exceptions = tomllib.loads((HERE / "expected.toml").read_text()).get("exception", [])
    about = lambda name: next(  # noqa: E731
        (one for one in exceptions if name == one["test"] or name.startswith(one["test"] + "[")), None)
    untested = [name for name, outcome in outcomes.items() if str(outcome).startswith("not tested")]
    counted = {name: outcome for name, outcome in outcomes.items() if name not in untested}
    passed = [name for name, outcome in counted.items() if outcome is None]
    excepted = [name for name in counted if name not in passed and about(name)]
    wrong = [name for name in counted if name not in passed and not about(name)]
    stale = [f"{name} passes: take it off expected.toml" for name in passed if about(name)]
    if is_whole:
        stale += [f"there is no test {one['test']}" for one in exceptions
                  if not any(about(name) is one for name in counted)]
    slice_ = "" if is_whole else " of a slice"
    print(f"{original['name']} {original['version']}: {len(passed)} of {len(counted)}{slice_} pass, "
          f"{len(excepted)} excepted", file=sys.stderr)
    for name in wrong:
        print(f"  failed: {name}: {counted[name]}", file=sys.stderr)
    for line in stale:
        print(f"  {line}", file=sys.stderr)
    if is_whole:
        verdicts = {}
        for name in excepted:
            verdict = about(name)["verdict"]
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
        score = {
            "version": original["version"],
            "source": f"sha256:{original['sha256']}",
            "passed": len(passed),
            "total": len(counted),
            "excepted": len(excepted),
            "verdicts": verdicts,
            "python": f"CPython {', '.join(dict.fromkeys(name.partition('[')[2].rstrip(']') for name in counted))}",
        }
        text = json.dumps({"scores": {original["name"]: score}}, indent=2)
        (HERE / "score.json").write_text(text + "\n")
    return 1 if wrong or stale else 0


if __name__ == "__main__":
    began = time.monotonic()
    try:
        main()
    finally:
        print(f"took {time.monotonic() - began:.0f} s on {platform.python_version()}", file=sys.stderr)
