"""`pytest -n` in an environment with naja: its own tests are such an environment, as the wheel makes it."""

import os
import subprocess
import sys

TESTS = """
import os

def test_one(worker_id):
    assert worker_id == os.environ.get("PYTEST_XDIST_WORKER", "master")

def test_other(worker_id):
    assert worker_id == os.environ.get("PYTEST_XDIST_WORKER", "master")
"""

# What a pytest that runs these tests has put there, and what a developer has.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "NAJA_", "PYTHON"))}


def pytest_in(folder, *words, **environment):
    """Runs pytest as a user does; the ended process, its output with its errors."""
    (folder / "test_it.py").write_text(TESTS)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words], cwd=folder, env={**CLEAN, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
    )


def with_xdist(folder):
    """The environment in which a package `xdist` can be imported."""
    package = folder / "packages" / "xdist"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    return {"PYTHONPATH": str(package.parent)}


def test_pytest_takes_workers_where_naja_is_installed(tmp_path):
    done = pytest_in(tmp_path, "-n", "2", "-v")
    assert done.returncode == 0 and "2 workers [2 items]" in done.stdout, done.stdout
    assert "[gw0] " in done.stdout and "2 passed" in done.stdout


def test_without_workers_nothing_changes_and_nothing_of_workers_is_imported(tmp_path):
    (tmp_path / "conftest.py").write_text(
        "import sys\n\ndef pytest_unconfigure():\n"
        "    loaded = [name for name in sys.modules if name.startswith('naja.testing.')]\n    print('loaded:', *sorted(loaded))\n"
    )
    done = pytest_in(tmp_path, "--collect-only", "-q")
    assert done.returncode == 0, done.stdout
    [loaded] = [line for line in done.stdout.splitlines() if line.startswith("loaded:")]
    assert "naja.testing.controller" not in loaded and "naja.testing.worker" not in loaded
    done = pytest_in(tmp_path)
    assert done.returncode == 0 and "2 passed" in done.stdout and "[2 items]" not in done.stdout


def test_pytest_xdist_is_left_as_it_is(tmp_path):
    environment = with_xdist(tmp_path)
    done = pytest_in(tmp_path, "-n", "2", **environment)
    assert done.returncode == 4 and "-n" in done.stdout, done.stdout
    done = pytest_in(tmp_path, "-n", "2", "-p", "no:xdist", **environment)
    assert done.returncode == 0 and "2 workers [2 items]" in done.stdout, done.stdout


def test_the_plugin_can_be_named_and_left_out(tmp_path):
    done = pytest_in(tmp_path, "-n", "2", "-p", "naja.testing.plugin")
    assert done.returncode == 0 and "2 workers [2 items]" in done.stdout, done.stdout
    done = pytest_in(tmp_path, "-n", "2", PYTEST_PLUGINS="naja.testing.plugin")
    assert done.returncode == 0 and "2 workers [2 items]" in done.stdout, done.stdout
    done = pytest_in(tmp_path, "-n", "2", "-p", "no:naja")
    assert done.returncode == 4, done.stdout
