"""Measures naja.dataset beside dataset and Python's own sqlite3.

    dataset.py [--short] [WORD…]     `cargo dev bench db` builds first and then starts this

WORD chooses the cases whose names contain it; the others keep the results that they have. Both sides write to files of
their own on the same disk, with the same journal and the same promise that what is committed is on the disk. What they
stored or read is compared before costs; the sides run in turn; a figure is the median, shown with the smallest and the
largest. Costs are processor time, except where commits are counted: those wait for the disk.
"""

import contextlib
import datetime
import importlib
import pathlib
import sqlite3
import sys
import tempfile
import time

import stored
from sides import arguments, import_costs, install

HERE = pathlib.Path(__file__).resolve().parent
FOLDER = HERE.parents[2] / ".cache" / "bench" / "db" / "dataset"
ORIGINAL = "dataset==2.0.0"
# What the original needs, as its own metadata allows it.
NEEDED = ["sqlalchemy==2.1.9", "alembic==1.20.1", "mako==1.3.10", "markupsafe==3.0.3", "typing_extensions==4.15.0"]

NAJA, PEER, FLOOR = "naja.dataset", "dataset", "sqlite3.executemany"

DAY = datetime.datetime(2020, 1, 1)
ROWS = [
    {"name": f"user{number}", "age": number % 90, "score": number * 0.5, "city": f"city{number % 100}", "ok": number % 2 == 0}
    for number in range(100_000)
]


class Filled:
    """A database with 50,000 rows and an index, made once for each side."""

    def __init__(self, module, folder):
        self.base = module.connect(f"sqlite:///{folder}/filled.db")
        self.table = self.base["people"]
        self.table.insert_many([{**row, "at": DAY} for row in ROWS[:50_000]])
        self.table.create_index(["name"])


def connect(module, folder):
    return module.connect(f"sqlite:///{tempfile.mkdtemp(dir=folder)}/new.db")


def insert_many(module, folder):
    base = connect(module, folder)
    base["people"].insert(ROWS[0])
    return lambda: base["people"].insert_many(ROWS), lambda: len(base["people"]), len(ROWS)


def executemany(_, folder):
    base = sqlite3.connect(f"{tempfile.mkdtemp(dir=folder)}/new.db")
    base.execute("pragma journal_mode = wal")
    base.execute("pragma synchronous = full")
    base.execute("create table people (id integer primary key, name text, age bigint, score float, city text, ok boolean)")
    base.execute("insert into people (name) values ('first')")
    base.commit()

    def run():
        # A commit for every 1,000 rows, as the others.
        for start in range(0, len(ROWS), 1000):
            with base:
                base.executemany("insert into people (name, age, score, city, ok) values (:name, :age, :score, :city, :ok)", ROWS[start : start + 1000])

    return run, lambda: base.execute("select count(*) from people").fetchone()[0], len(ROWS)


def insert(module, folder, count=3000):
    base = connect(module, folder)
    base["people"].insert(ROWS[0])

    def run():
        with base:
            for row in ROWS[:count]:
                base["people"].insert(row)

    return run, lambda: len(base["people"]), count


def upsert(module, folder, count=3000):
    base = connect(module, folder)
    base["people"].insert_many(ROWS[:count:2])
    base["people"].create_index(["name"])

    def run():
        with base:
            for row in ROWS[:count]:
                base["people"].upsert(row, ["name"])

    return run, lambda: len(base["people"]), count


def upsert_many(module, folder, count=1000):
    base = connect(module, folder)
    base["people"].insert_many(ROWS[:count:2])
    base["people"].create_index(["name"])
    return lambda: base["people"].upsert_many(ROWS[:count], ["name"]), lambda: len(base["people"]), count


def find_one(module, folder, count=3000):
    table = filled(module, folder).table

    def run():
        for number in range(count):
            table.find_one(name=f"user{number * 7}")

    return run, lambda: [dict(table.find_one(name=f"user{number}")) for number in (1, 77)], count


def iterate(module, folder):
    table = filled(module, folder).table

    def run():
        for _ in table:
            pass

    return run, lambda: [dict(row) for row in table.find(_limit=100)], 50_000


def find(module, folder, count=20):
    table = filled(module, folder).table

    def run():
        for _ in range(count):
            list(table.find(city="city7", age={">=": 30}))

    return run, lambda: [dict(row) for row in table.find(city="city7", age={">=": 30})], count


FILLED = {}


def filled(module, folder):
    if module not in FILLED:
        FILLED[module] = Filled(module, folder)
    return FILLED[module]


# Each case: its name, its target, what both sides do, what stands on the other side, and whether it is timed by the clock.
CASES = [
    ("insert_many, 100,000 rows as dictionaries", 5, insert_many, insert_many, PEER, False),
    ("insert_many, 100,000 rows as dictionaries", 2, insert_many, executemany, FLOOR, False),
    ("insert, in a transaction", 15, insert, insert, PEER, False),
    ("upsert, in a transaction", 25, upsert, upsert, PEER, False),
    ("upsert_many, 1,000 rows", 100, upsert_many, upsert_many, PEER, True),
    ("find_one by an index", 10, find_one, find_one, PEER, False),
    ("iterating over 50,000 rows", 3.5, iterate, iterate, PEER, False),
    ("find, 167 rows of 50,000 without an index", None, find, find, PEER, False),
]


def measure(case, folder, runs):
    name, target, ours, theirs, peer, by_clock = case
    modules = importlib.import_module("naja.dataset"), importlib.import_module("dataset")
    clock = time.perf_counter if by_clock else time.process_time
    columns, answers = ([], []), [None, None]
    for number in range(runs + 1):
        for side in (0, 1) if number % 2 else (1, 0):
            run, answer, count = (ours, theirs)[side](modules[side], folder)
            start = clock()
            run()
            took = (clock() - start) / count
            answers[side] = answer()
            # The first round is for warming up.
            if number:
                columns[side].append(took)
        if answers[0] != answers[1]:
            raise SystemExit(f"WRONG ANSWER in {name}: {str(answers[0])[:200]} and {str(answers[1])[:200]}")
    return stored.result(PEER, name, "s", *columns, target, beside=None if peer == PEER else peer)


def imports(runs):
    """What importing adds to a bare Python, in milliseconds of the clock."""
    costs = import_costs("import naja.dataset", "import dataset", max(runs, 5) * 2)
    return stored.result(PEER, "import, over bare Python", "ms", *costs, 10)


def main():
    options = arguments(__doc__)
    install(FOLDER, "dataset", [ORIGINAL, *NEEDED])
    runs = 3 if options.short else 9
    results = []
    # On a disk, since commits are on the disk.
    with tempfile.TemporaryDirectory(dir=FOLDER.parent) as folder, contextlib.ExitStack() as stack:
        stack.callback(lambda: [one.base.close() for one in FILLED.values()])
        for case in CASES:
            if options.is_chosen(case[0]):
                results.append(measure(case, folder, runs))
        if options.is_chosen("import"):
            results.append(imports(runs))
    for one in results:
        print(f"{one['case']}, beside {one.get('beside', PEER)}: {one['ratio']:.1f}", file=sys.stderr)
    if not options.short:
        stored.store(PEER, ORIGINAL, results)


if __name__ == "__main__":
    main()
