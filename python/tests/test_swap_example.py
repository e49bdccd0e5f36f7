"""The example that the README begins with, with naja's drop-ins in place of the packages that it imports."""

import pathlib
import re
import subprocess
import sys

import pytest

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "flights"
NAJA = pathlib.Path(sys.executable).with_name("naja")


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """An environment with what the example needs, and without naja."""
    folder = tmp_path_factory.mktemp("flights")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "-r", EXAMPLE / "requirements.txt"]
    done = subprocess.run(install, capture_output=True, text=True)
    if done.returncode:
        print("not tested: the example with --swap: its packages could not be installed")
        pytest.skip(f"the example's packages could not be installed: {done.stderr.strip()[-200:]}")
    return python


def test_the_example_runs_unchanged_with_dataset_and_dateutil_swapped(python):
    def run(*options):
        command = [NAJA, "run", *options, "--python", python, EXAMPLE / "main.py", "--flights", "5000"]
        return subprocess.run(command, capture_output=True, text=True, check=True)

    plain, swapped = run(), run("--swap=dataset,dateutil")
    assert swapped.stdout == plain.stdout and plain.stdout.startswith("5,000 flights")
    said = re.search(r"swapped dataset \(\d+ modules\), dateutil \(\d+ modules\)", swapped.stderr)
    assert said, swapped.stderr
