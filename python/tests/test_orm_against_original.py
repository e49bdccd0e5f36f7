"""The same random operations through orm 0.3.1 and through naja.orm give the same answers and leave equal tables.

The original works with nothing current: it runs in a process of its own, with the packages that it was written for.
"""

import json
import os
import pathlib
import sqlite3
import subprocess
import sys

import pytest

ORIGINAL = (
    "orm==0.3.1",
    "databases==0.6.2",
    "typesystem==0.3.1",
    "sqlalchemy==1.4.41",
    "aiosqlite==0.17.0",
    "greenlet==3.5.6",
    "typing_extensions==4.15.0",
)
OPERATIONS = pathlib.Path(__file__).with_name("orm_operations.py")
COUNT = 250


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The folder of the original."""
    folder = tmp_path_factory.mktemp("original")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *ORIGINAL]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print("not tested: the original orm could not be installed")
        pytest.skip(f"the original could not be installed: {done.stderr.strip()[-200:]}")
    return folder


def run(side, path, seed, folder=None):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if folder is not None:
        environment["PYTHONPATH"] = str(folder)
    command = [sys.executable, str(OPERATIONS), side, str(path), str(seed), str(COUNT)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def rows(path):
    base = sqlite3.connect(path)
    found = {}
    for table in ("owners", "items"):
        names = [row[1] for row in base.execute(f"PRAGMA table_info({table})")]
        types = ", ".join(f"typeof({name})" for name in names)
        found[table] = names, base.execute(f"SELECT {', '.join(names)}, {types} FROM {table} ORDER BY id").fetchall()
    base.close()
    return found


@pytest.mark.parametrize("seed", range(4))
def test_answers_and_tables_are_the_same(original, tmp_path, seed):
    theirs = run("original", tmp_path / "theirs.db", seed, original)
    ours = run("naja", tmp_path / "ours.db", seed)
    assert len(theirs) == COUNT
    for number, (one, other) in enumerate(zip(theirs, ours)):
        assert one == other, f"operation {number} of seed {seed}"
    assert rows(tmp_path / "theirs.db") == rows(tmp_path / "ours.db")


def test_a_table_of_the_original_is_read_and_written_on(original, tmp_path):
    path = tmp_path / "shared.db"
    run("original", path, 5, original)
    before = rows(path)
    run("naja", path, 6)
    run("original", path, 7, original)
    assert rows(path) != before
