"""Measures how much memory reading a large table takes, row by row: naja.dataset and naja.databases, each engine.

    memory.py [--short] [WORD…]     `cargo dev bench db memory` builds first and then starts this

WORD chooses the ways whose names contain it. The table is made by the database itself, with three columns. Each figure is of a
process of its own: the largest resident memory while it reads, above what there was after a first row had been read. The
originals read a million rows the same way, with their usual drivers; what both read is compared. Servers are started for it on
the same machine; where one is not installed its cases are left out.
"""

import json
import os
import pathlib
import platform
import sqlite3
import subprocess
import sys
import tempfile

import stored
from sides import arguments

HERE = pathlib.Path(__file__).resolve().parent
CHECKOUT = HERE.parents[2]
FOLDER = CHECKOUT / ".cache" / "bench" / "db" / "memory"
REQUIREMENTS = (
    "dataset==2.0.0 databases==0.9.0 sqlalchemy==2.1.9 alembic==1.20.1 mako==1.3.10 markupsafe==3.0.3 typing_extensions==4.15.0 "
    "aiosqlite==0.20.0 asyncpg==0.32.0 psycopg==3.3.9 psycopg_binary==3.3.9 pymysql==1.2.4 aiomysql==0.3.2"
).split()
SIZES = (1_000_000, 2_000_000, 5_000_000, 10_000_000)
ENGINES = {"SQLite": "sqlite", "PostgreSQL": "postgresql", "MariaDB": "mariadb"}
# The drivers that the originals use, as their URLs name them.
SCHEMES = {
    ("dataset", "PostgreSQL"): "postgresql+psycopg",
    ("dataset", "MariaDB"): "mysql+pymysql",
    ("databases", "MariaDB"): "mysql+aiomysql",
}

# What reads: the module, the URL and how many rows are its words; it says how many it read, their sum, and kilobytes.
_READ = """
import asyncio, importlib, re, sys

def status(name):
    return int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1])

module, way, url, count = importlib.import_module(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
SQL = f"SELECT id, n, text FROM facts WHERE id <= {count}"
start = 0

def begin():
    global start
    start = status("VmRSS")
    # The largest is forgotten.
    open("/proc/self/clear_refs", "w").write("5")

async def iterate():
    async with module.Database(url) as db:
        await db.fetch_one(SQL.replace("<=", "="))
        begin()
        number = total = 0
        async for row in db.iterate(SQL):
            number, total = number + 1, total + row["n"]
    return number, total

def read(rows):
    number = total = 0
    for row in rows():
        number, total = number + 1, total + row["n"]
    return number, total

if way == "iterate":
    done = asyncio.run(iterate())
else:
    db = module.connect(url)
    db["facts"].find_one(id=1)
    begin()
    done = read(lambda: db.query(SQL) if way == "query" else db["facts"])
print(*done, status("VmHWM") - start)
"""

WAYS = {"query": "dataset", "for row in table": "dataset", "iterate": "databases"}


def install():
    if not (FOLDER / "dataset").is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(FOLDER), *REQUIREMENTS]
        subprocess.run(command, check=True)


def made(engine, folder, rows):
    """The URL of a database with a filled table, and what ends its server."""
    parts = [(first, min(first + 999_999, rows)) for first in range(1, rows + 1, 1_000_000)]
    table = "CREATE TABLE facts (id bigint PRIMARY KEY, n bigint, text varchar(40))"
    if engine == "sqlite":
        base = sqlite3.connect(f"{folder}/facts.db")
        base.execute("PRAGMA synchronous = OFF")
        base.execute(table.replace("bigint PRIMARY KEY", "INTEGER PRIMARY KEY"))
        for first, last in parts:
            numbers = f"WITH RECURSIVE c(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM c WHERE i < {last})"
            base.execute(f"INSERT INTO facts {numbers} SELECT i, i % 1000, 'text of row ' || i FROM c")
            base.commit()
        base.close()
        return f"sqlite:///{folder}/facts.db", lambda: None
    from servers import Server

    from naja import dataset

    server = Server(engine)
    base = dataset.connect(server.url)
    base.query(table)
    for first, last in parts:
        if engine == "postgresql":
            numbers = f"SELECT i, i % 1000, 'text of row ' || i FROM generate_series({first}, {last}) AS i"
        else:
            numbers = f"SELECT seq, seq % 1000, concat('text of row ', seq) FROM seq_{first}_to_{last}"
        base.query(f"INSERT INTO facts {numbers}")
    base.close()
    return server.url, server.close


def read(module, way, url, rows):
    """Megabytes that reading takes, after a look at what was read."""
    environment = os.environ if module.startswith("naja") else {**os.environ, "PYTHONPATH": str(FOLDER)}
    command = [sys.executable, "-c", _READ, module, way, url, str(rows)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    number, total, kilobytes = map(int, done.stdout.split())
    if (number, total) != (rows, sum(range(1000)) * (rows // 1000)):
        raise SystemExit(f"WRONG ANSWER: {module} has read {number} rows, whose sum is {total}")
    return kilobytes / 1024


def measure(name, engine, folder, ways, sizes):
    import servers

    try:
        url, end = made(engine, folder, sizes[-1])
    except servers.NotInstalled:
        print(f"not measured: {name} is not installed", file=sys.stderr)
        return
    try:
        for way in ways:
            face = WAYS[way]
            # A whole table has one size.
            these = sizes[-1:] if way == "for row in table" else sizes
            ours = {rows: read(f"naja.{face}", way, url, rows) for rows in these}
            theirs_url = url.replace(url.partition(":")[0], SCHEMES.get((face, name), url.partition(":")[0]), 1)
            theirs = None if way == "for row in table" else read(face, way, theirs_url, sizes[0])
            print(f"{name}, {face}, {way}: {ours}, the original {theirs}", file=sys.stderr)
            yield {"original": face, "engine": name, "way": way, "unit": "MB", "naja": ours, "peer": theirs}
    finally:
        end()


def page(results):
    """All figures as a table."""
    megabytes = lambda value: "" if value is None else f"{value:.1f}"  # noqa: E731
    lines = [
        "# Memory of reading a large table",
        "",
        "Written by `memory.py` (`cargo dev bench db memory`); do not edit. Megabytes of resident memory at most while rows are read one by",
        "one, above what there was after a first row; each figure is of a process of its own. Three columns, about 24 bytes of text in a row.",
        "",
        f"{', '.join(REQUIREMENTS)}; CPython {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.system()}.",
        "",
        f"| engine | | {' | '.join(f'{rows:,} rows' for rows in SIZES)} | the original, {SIZES[0]:,} rows |",
        "| --- | --- |" + " ---: |" * (len(SIZES) + 1),
    ]
    for one in results:
        cells = [one["engine"], f"naja.{one['original']}, {one['way']}"]
        cells += [megabytes(one["naja"].get(str(rows))) for rows in SIZES] + [megabytes(one["peer"])]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    options = arguments(__doc__)
    sys.path.append(str(CHECKOUT / "python" / "tests"))
    install()
    ways = [way for way in WAYS if options.is_chosen(way)]
    sizes = (10_000, 20_000) if options.short else SIZES
    results = []
    for name, engine in ENGINES.items():
        with tempfile.TemporaryDirectory(dir=FOLDER.parent) as folder:
            results += measure(name, engine, folder, ways, sizes)
    if options.short:
        return
    file = HERE / "results.json"
    known = json.loads(file.read_text())
    known["memory"] = json.loads(json.dumps(results))
    file.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
    (HERE / "memory.md").write_text(page(known["memory"]))
    stored.write_index(known["cases"])


if __name__ == "__main__":
    main()
