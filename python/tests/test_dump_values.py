"""`naja dump --locals` on arrays and frames: numpy's and pandas' own objects, in a process of their own."""

import json
import os
import subprocess
import sys

import pytest

PINNED = ["pandas==3.1.1", "numpy==2.4.6"]

PROGRAM = """
import numpy
import pandas
import sys

def show():
    grid = numpy.zeros((3, 4))
    small = numpy.arange(10, dtype="int32")
    texts = numpy.array(["ab", "c"])
    anything = numpy.array([{}, 1], dtype=object)
    cube = numpy.zeros((2, 3, 4), order="F", dtype=complex)
    real = numpy.float64(2.5)
    whole = numpy.int16(-7)
    yes = numpy.bool_(True)
    table = pandas.DataFrame({"a": [1, 2], "b": [1.5, 2.5], "c": ["x", "y"]})
    column = pandas.Series([1, 2, 3], name="n")
    print("ready", flush=True)
    sys.stdin.read()

show()
"""

EXPECTED = {
    "grid": "ndarray(shape=(3, 4), dtype=float64)",
    "small": "ndarray(shape=(10,), dtype=int32)",
    "texts": "ndarray(shape=(2,), dtype=<U2)",
    "anything": "ndarray(shape=(2,), dtype=object)",
    "cube": "ndarray(shape=(2, 3, 4), dtype=complex128)",
    "real": "float64(2.5)",
    "whole": "int16(-7)",
    "yes": "bool(True)",
    "table": "DataFrame(shape=(2, 3), columns=['a', 'b', 'c'])",
    "column": "Series(length=3, name='n')",
}


def test_arrays_and_frames_are_told_by_shape_and_type(tmp_path):
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(tmp_path / "site"), *PINNED]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print("not tested: numpy and pandas could not be installed")
        pytest.skip(f"numpy and pandas could not be installed: {done.stderr.strip()[-200:]}")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    target = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert target.stdout.readline() == "ready\n"
        naja = [sys.executable, "-m", "naja", "dump", "--locals", "--json", str(target.pid)]
        dump = json.loads(subprocess.run(naja, capture_output=True, text=True, check=True).stdout)
        frames = [frame for thread in dump["threads"] for frame in thread["frames"]]
        shown = next(frame for frame in frames if frame["name"] == "show")
        assert {local["name"]: local["repr"] for local in shown["locals"]} == EXPECTED
    finally:
        target.communicate()
