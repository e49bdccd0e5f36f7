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
    half = numpy.float16(0.1)
    halves = numpy.array([0.5, -1, 65504], dtype="float16")
    every_second = numpy.arange(10)[::-2]
    swapped = numpy.arange(3, dtype=">i4")
    days = numpy.array(["2024-01-01"], dtype="datetime64[D]")
    mixed = pandas.DataFrame({
        "i": [1], "f": pandas.Series([1.5], dtype="float32"), "j": [2], "s": ["x"],
        "c": pandas.Categorical(["a"]), "d": pandas.to_datetime(["2024-01-01"]).as_unit("ns"),
        "z": pandas.to_datetime(["2024-01-01"]).as_unit("ns").tz_localize("Europe/Berlin"),
        "n": pandas.array([1], dtype="Int64"), "y": pandas.array([True], dtype="boolean"), "o": [{}],
    })
    zone = pandas.Series(pandas.to_datetime(["2024-01-01"]).as_unit("us").tz_localize("UTC"))
    maybe = pandas.Series([1, None], dtype="UInt8")
    nullable_text = pandas.Series(["a"], dtype=pandas.StringDtype("python"))
    numbered, labelled = column.index, table.columns
    dated = pandas.date_range("2024-01-01", periods=3, name="day", unit="ns")
    several = pandas.MultiIndex.from_tuples([(1, "a")], names=["p", "q"])
    columns_by_number = pandas.DataFrame([[1, 2.5]])
    print("ready", flush=True)
    sys.stdin.read()

show()
"""

EXPECTED = {
    "grid": "ndarray(shape=(3, 4), dtype=float64)",
    "small": "ndarray(shape=(10,), dtype=int32, values=[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])",
    "texts": "ndarray(shape=(2,), dtype=<U2)",
    "anything": "ndarray(shape=(2,), dtype=object)",
    "cube": "ndarray(shape=(2, 3, 4), dtype=complex128)",
    "real": "float64(2.5)",
    "whole": "int16(-7)",
    "yes": "bool(True)",
    "table": "DataFrame(shape=(2, 3), columns={'a': int64, 'b': float64, 'c': str})",
    "column": "Series(length=3, dtype=int64, name='n')",
    "half": "float16(0.1)",
    "halves": "ndarray(shape=(3,), dtype=float16, values=[0.5, -1.0, 65500.0])",
    "every_second": "ndarray(shape=(5,), dtype=int64, values=[9, 7, 5, 3, 1])",
    "swapped": "ndarray(shape=(3,), dtype=int32)",
    "days": "ndarray(shape=(1,), dtype=datetime64[D])",
    "mixed": "DataFrame(shape=(1, 10), columns={'i': int64, 'f': float32, 'j': int64, 's': str, 'c': category, "
    "'d': datetime64[ns], 'z': datetime64[ns, Europe/Berlin], 'n': Int64, 'y': boolean, 'o': object})",
    "zone": "Series(length=1, dtype=datetime64[us, UTC])",
    "maybe": "Series(length=2, dtype=UInt8)",
    "nullable_text": "Series(length=1, dtype=string)",
    "numbered": "RangeIndex(0, 3)",
    "labelled": "Index(length=3, dtype=str)",
    "dated": "DatetimeIndex(length=3, dtype=datetime64[ns], name='day')",
    "several": "MultiIndex(names=['p', 'q'])",
    "columns_by_number": "DataFrame(shape=(1, 2), dtypes=[int64, float64])",
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
