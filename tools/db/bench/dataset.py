"""Measures naja.dataset beside dataset and Python's own sqlite3.

    dataset.py [--short] [WORD…]     `cargo dev bench db` builds first and then starts this

WORD chooses the cases whose names contain it; the others keep the results that they have. Both sides write to files of
their own on the same disk, with the same journal and the same promise that what is committed is on the disk; on PostgreSQL
to databases of one server that is started for it and waits for no disk, dataset by psycopg 3. What they stored or read is
compared before costs; the sides run in turn; a figure is the median, shown with the smallest and the largest. Costs are
processor time, except where commits are counted, which wait for the disk, and on PostgreSQL, where the server works.
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
# Where the servers for tests are.
sys.path.append(str(HERE.parents[2] / "python/tests"))
from servers import Server  # noqa: E402

FOLDER = HERE.parents[2] / ".cache" / "bench" / "db" / "dataset"
ORIGINAL = "dataset==2.0.0"
# What the original needs, as its own metadata allows it.
NEEDED = ["sqlalchemy==2.1.9", "alembic==1.20.1", "mako==1.3.10", "markupsafe==3.0.3", "typing_extensions==4.15.0"]
DRIVER = ["psycopg==3.3.9", "psycopg_binary==3.3.9"]

PEER, FLOOR, PSYCOPG = "dataset", "sqlite3.executemany", "dataset with psycopg"

DAY = datetime.datetime(2020, 1, 1)
ROWS = [
    {"name": f"user{number}", "age": number % 90, "score": number * 0.5, "city": f"city{number % 100}", "ok": number % 2 == 0}
    for number in range(100_000)
]


class Files:
    """SQLite."""

    def __init__(self, folder):
        self.folder = folder

    def connect(self, module, name="new"):
        """A new and empty database."""
        return module.connect(f"sqlite:///{self.new_file()}")

    def new_file(self):
        return f"{tempfile.mkdtemp(dir=self.folder)}/new.db"


class PostgresServer:
    """PostgreSQL, started when it is first needed."""

    def __init__(self):
        self.server = None
        self.urls = {}
        self.bases = {}

    def connect(self, module, name="bench"):
        """An empty database, whose tables are gone when there is to be the next one of this name."""
        if self.server is None:
            self.server = Server("postgresql")
        of = name, module
        if of not in self.urls:
            self.urls[of] = self.server.database(f"{name}_{len(self.urls)}").replace("postgresql:", "postgresql+psycopg:")
        if of in self.bases:
            self.bases[of].executable.rollback()
            self.bases[of]["people"].drop()
            self.bases[of].close()
        self.bases[of] = module.connect(self.urls[of])
        return self.bases[of]

    def close(self):
        for base in self.bases.values():
            base.close()
        if self.server is not None:
            self.server.close()


class Filled:
    """A database with 50,000 rows and an index, made once for each side."""

    def __init__(self, module, place):
        self.base = place.connect(module, "filled")
        self.table = self.base["people"]
        self.table.insert_many([{**row, "at": DAY} for row in ROWS[:50_000]])
        self.table.create_index(["name"])


def insert_many(module, place):
    base = place.connect(module)
    base["people"].insert(ROWS[0])
    return lambda: base["people"].insert_many(ROWS), lambda: len(base["people"]), len(ROWS)


def executemany(_, place):
    base = sqlite3.connect(place.new_file())
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


def insert(module, place, count=3000):
    base = place.connect(module)
    base["people"].insert(ROWS[0])

    def run():
        with base:
            for row in ROWS[:count]:
                base["people"].insert(row)

    return run, lambda: len(base["people"]), count


def upsert(module, place, count=3000):
    base = place.connect(module)
    base["people"].insert_many(ROWS[:count:2])
    base["people"].create_index(["name"])

    def run():
        with base:
            for row in ROWS[:count]:
                base["people"].upsert(row, ["name"])

    return run, lambda: len(base["people"]), count


def upsert_many(module, place, count=1000):
    base = place.connect(module)
    base["people"].insert_many(ROWS[:count:2])
    base["people"].create_index(["name"])
    return lambda: base["people"].upsert_many(ROWS[:count], ["name"]), lambda: len(base["people"]), count


def upsert_unique(module, place):
    """As `upsert_many`, where a unique index says that there is one row at most."""
    base = place.connect(module)
    base["people"].insert_many(ROWS[:1000:2])
    base.query("CREATE UNIQUE INDEX people_name ON people (name)")
    base.executable.commit()
    return lambda: base["people"].upsert_many(ROWS[:1000], ["name"]), lambda: len(base["people"]), 1000


def find_one(module, place, count=3000):
    table = filled(module, place).table

    def run():
        for number in range(count):
            table.find_one(name=f"user{number * 7}")

    return run, lambda: [dict(table.find_one(name=f"user{number}")) for number in (1, 77)], count


def iterate(module, place):
    table = filled(module, place).table

    def run():
        for _ in table:
            pass

    return run, lambda: [dict(row) for row in table.find(_limit=100)], 50_000


def find(module, place, count=20):
    table = filled(module, place).table

    def run():
        for _ in range(count):
            list(table.find(city="city7", age={">=": 30}))

    return run, lambda: [dict(row) for row in table.find(city="city7", age={">=": 30})], count


FILLED = {}


def filled(module, place):
    if (module, place) not in FILLED:
        FILLED[module, place] = Filled(module, place)
    return FILLED[module, place]


# Each case: its name, its target, what both sides do, what stands on the other side, and whether it is timed by the clock.
CASES = [
    ("insert_many, 100,000 rows as dictionaries", 5, insert_many, insert_many, PEER, False),
    ("insert_many, 100,000 rows as dictionaries", 2, insert_many, executemany, FLOOR, False),
    ("insert, in a transaction", 15, insert, insert, PEER, False),
    ("upsert, in a transaction", 25, upsert, upsert, PEER, False),
    ("upsert_many, 1,000 rows", 100, upsert_many, upsert_many, PEER, True),
    ("upsert_many, 1,000 rows, by a unique index", 100, upsert_unique, upsert_unique, PEER, True),
    ("find_one by an index", 10, find_one, find_one, PEER, False),
    ("iterating over 50,000 rows", 3.5, iterate, iterate, PEER, False),
    ("find, 167 rows of 50,000 without an index", None, find, find, PEER, False),
]

# Those that are measured on PostgreSQL as well: there are no targets, since the server's part is the same for both.
ON_POSTGRES = [
    ("insert_many, 100,000 rows as dictionaries", insert_many),
    ("insert, in a transaction", insert),
    ("upsert, in a transaction", upsert),
    ("upsert_many, 1,000 rows", upsert_many),
    ("upsert_many, 1,000 rows, by a unique index", upsert_unique),
    ("find_one by an index", find_one),
    ("iterating over 50,000 rows", iterate),
    ("find, 167 rows of 50,000 without an index", find),
]


def measure(case, place, runs):
    name, target, ours, theirs, peer, by_clock = case
    modules = importlib.import_module("naja.dataset"), importlib.import_module("dataset")
    clock = time.perf_counter if by_clock else time.process_time
    columns, answers = ([], []), [None, None]
    for number in range(runs + 1):
        for side in (0, 1) if number % 2 else (1, 0):
            run, answer, count = (ours, theirs)[side](modules[side], place)
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
    install(FOLDER, "psycopg", DRIVER)
    runs = 3 if options.short else 9
    results = []
    # On a disk, since commits are on the disk.
    with tempfile.TemporaryDirectory(dir=FOLDER.parent) as folder, contextlib.ExitStack() as stack:
        files, server = Files(folder), PostgresServer()
        stack.callback(server.close)
        stack.callback(lambda: [one.base.close() for (_, place), one in FILLED.items() if place is files])
        for case in CASES:
            if options.is_chosen(case[0]):
                results.append(measure(case, files, runs))
        for name, do in ON_POSTGRES:
            case = f"PostgreSQL: {name}", None, do, do, PSYCOPG, True
            if options.is_chosen(case[0]):
                results.append(measure(case, server, runs))
        if options.is_chosen("import"):
            results.append(imports(runs))
    for one in results:
        print(f"{one['case']}, beside {one.get('beside', PEER)}: {one['ratio']:.1f}", file=sys.stderr)
    if not options.short:
        stored.store(PEER, ORIGINAL, results)


if __name__ == "__main__":
    main()
