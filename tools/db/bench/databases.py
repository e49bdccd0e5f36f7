"""Measures naja.databases beside databases: on SQLite with aiosqlite, on PostgreSQL with asyncpg, on MariaDB with aiomysql
and asyncmy, and beside asyncpg and asyncmy alone.

    databases.py [--short] [WORD…]     `cargo dev bench db databases` builds first and then starts this

WORD chooses the cases whose names contain it; the others keep the results that they have. Both sides read and write
files of their own on the same disk, with the same journal and durability. What they stored or read is compared before
costs; the sides run in turn; a figure is the median, shown with the smallest and the largest. Costs are by the clock:
an awaited statement waits for another thread, or for the server. Servers are started here, on the same machine, without
waiting for their disk; PostgreSQL is spoken to by a Unix socket, MariaDB over TCP on 127.0.0.1. Where one is not installed, its
cases are left out.
"""

import asyncio
import importlib
import pathlib
import sqlite3
import sys
import tempfile
import time

import stored
from sides import arguments, import_costs, install

HERE = pathlib.Path(__file__).resolve().parent
FOLDER = HERE.parents[2] / ".cache" / "bench" / "db" / "databases"
ORIGINAL = "databases==0.9.0"
# What the original needs, as its own metadata allows it.
NEEDED = [
    "sqlalchemy==2.1.9",
    "aiosqlite==0.20.0",
    "asyncpg==0.32.0",
    "aiomysql==0.3.2",
    "pymysql==1.2.4",
    "asyncmy==0.2.18",
    "typing_extensions==4.15.0",
]

NAJA, PEER = "naja.databases", "databases"
ROWS = 5000
SECONDS_MIN = 0.1


def notes():
    import sqlalchemy

    columns = [
        sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True),
        sqlalchemy.Column("text", sqlalchemy.String(100)),
        sqlalchemy.Column("done", sqlalchemy.Boolean),
    ]
    return sqlalchemy.Table("notes", sqlalchemy.MetaData(), *columns)


async def fetch_one(db):
    for number in range(300):
        row = await db.fetch_one("select * from notes where id = :id", {"id": number + 1})
    return dict(row), 300


async def fetch_one_held(db):
    async with db.connection():
        return await fetch_one(db)


async def fetch_one_expression(db):
    table = notes()
    async with db.connection():
        for number in range(300):
            row = await db.fetch_one(table.select().where(table.c.id == number + 1))
    return dict(row), 300


async def gathered(db):
    rows = await asyncio.gather(*[db.fetch_one("select * from notes where id = :id", {"id": n + 1}) for n in range(100)])
    return [dict(row) for row in rows], 100


async def fetch_all(db):
    rows = [dict(row) for row in await db.fetch_all("select * from notes")]
    return rows[:100], ROWS


async def iterate(db):
    rows = [row["text"] async for row in db.iterate("select * from notes")]
    return rows, ROWS


async def execute(db):
    async with db.transaction():
        for number in range(300):
            await db.execute("insert into other (text, done) values (:text, :done)", {"text": f"n{number}", "done": True})
        count = await db.fetch_val("select count(*) from other")
        await db.execute("delete from other")
    return count, 300


async def execute_many(db):
    async with db.transaction():
        rows = [{"text": f"n{number}", "done": True} for number in range(1000)]
        await db.execute_many("insert into other (text, done) values (:text, :done)", rows)
        count = await db.fetch_val("select count(*) from other")
        await db.execute("delete from other")
    return count, 1000


# Each case: its name, its target, and what both sides do.
CASES = [
    ("fetch_one", 10, fetch_one),
    ("fetch_one, a connection held", None, fetch_one_held),
    ("fetch_one of an expression, a connection held", None, fetch_one_expression),
    ("fetch_one, 100 tasks at once", None, gathered),
    ("fetch_all, each row a dictionary", None, fetch_all),
    ("iterate", None, iterate),
    ("execute, in a transaction", None, execute),
    ("execute_many, 1,000 rows in a transaction", None, execute_many),
]

# The same with naja's switch `inline` on; the original has none.
INLINE_CASES = [
    (f"inline: {name}", target, work)
    for name, target, work in (
        ("fetch_one", 40, fetch_one),
        ("fetch_one, a connection held", None, fetch_one_held),
        ("fetch_one of an expression, a connection held", None, fetch_one_expression),
        ("fetch_one, 100 tasks at once", None, gathered),
        ("fetch_all, each row a dictionary", None, fetch_all),
        ("execute, in a transaction", None, execute),
    )
]


# The same on PostgreSQL, with targets of its own.
SERVER_CASES = [
    (f"PostgreSQL: {name}", target, work)
    for name, target, work in (
        ("fetch_one", 3, fetch_one),
        ("fetch_one, a connection held", None, fetch_one_held),
        ("fetch_one of an expression, a connection held", None, fetch_one_expression),
        ("fetch_one, 100 tasks at once", None, gathered),
        ("fetch_all, each row a dictionary", None, fetch_all),
        ("iterate", None, iterate),
        ("execute, in a transaction", None, execute),
        ("execute_many, 1,000 rows in a transaction", 20, execute_many),
    )
]


async def bare_fetch_one(connection):
    for number in range(300):
        row = await connection.fetchrow("select * from notes where id = $1", number + 1)
    return dict(row), 300


async def bare_fetch_all(connection):
    rows = [dict(row) for row in await connection.fetch("select * from notes")]
    return rows[:100], ROWS


async def bare_execute(connection):
    async with connection.transaction():
        for number in range(300):
            await connection.execute("insert into other (text, done) values ($1, $2)", f"n{number}", True)
        count = await connection.fetchval("select count(*) from other")
        await connection.execute("delete from other")
    return count, 300


async def bare_execute_many(connection):
    async with connection.transaction():
        rows = [(f"n{number}", True) for number in range(1000)]
        await connection.executemany("insert into other (text, done) values ($1, $2)", rows)
        count = await connection.fetchval("select count(*) from other")
        await connection.execute("delete from other")
    return count, 1000


# On MariaDB the original has two drivers.
MARIADB_CASES = [
    (f"MariaDB: {name}", None, work)
    for name, work in (
        ("fetch_one", fetch_one),
        ("fetch_one, a connection held", fetch_one_held),
        ("fetch_one, 100 tasks at once", gathered),
        ("fetch_all, each row a dictionary", fetch_all),
        ("iterate", iterate),
        ("execute, in a transaction", execute),
        ("execute_many, 1,000 rows in a transaction", execute_many),
    )
]


# Beside asyncpg itself: what both do, the second with a connection of asyncpg's.
BARE_CASES = [
    ("PostgreSQL: fetch_one, a connection held", 1 / 1.1, fetch_one_held, bare_fetch_one),
    ("PostgreSQL: fetch_all, each row a dictionary", None, fetch_all, bare_fetch_all),
    ("PostgreSQL: execute, in a transaction", None, execute, bare_execute),
    ("PostgreSQL: execute_many, 1,000 rows in a transaction", None, execute_many, bare_execute_many),
]


async def asyncmy_fetch_one(connection):
    for number in range(300):
        async with named(connection) as cursor:
            await cursor.execute("select * from notes where id = %s", (number + 1,))
            row = await cursor.fetchone()
    return row, 300


async def asyncmy_fetch_all(connection):
    async with named(connection) as cursor:
        await cursor.execute("select * from notes")
        rows = await cursor.fetchall()
    return rows[:100], ROWS


async def asyncmy_execute(connection):
    await connection.begin()
    for number in range(300):
        async with connection.cursor() as cursor:
            await cursor.execute("insert into other (text, done) values (%s, %s)", (f"n{number}", True))
    return await asyncmy_end(connection), 300


async def asyncmy_execute_many(connection):
    await connection.begin()
    async with connection.cursor() as cursor:
        rows = [(f"n{number}", True) for number in range(1000)]
        await cursor.executemany("insert into other (text, done) values (%s, %s)", rows)
    return await asyncmy_end(connection), 1000


def named(connection):
    """A cursor whose rows are dictionaries."""
    from asyncmy.cursors import DictCursor

    return connection.cursor(DictCursor)


async def asyncmy_end(connection):
    async with connection.cursor() as cursor:
        await cursor.execute("select count(*) from other")
        (count,) = await cursor.fetchone()
        await cursor.execute("delete from other")
    await connection.commit()
    return count


# Beside asyncmy itself.
ASYNCMY_CASES = [
    ("MariaDB: fetch_one, a connection held", None, fetch_one_held, asyncmy_fetch_one),
    ("MariaDB: fetch_all, each row a dictionary", None, fetch_all, asyncmy_fetch_all),
    ("MariaDB: execute, in a transaction", None, execute, asyncmy_execute),
    ("MariaDB: execute_many, 1,000 rows in a transaction", None, execute_many, asyncmy_execute_many),
]


def fill(path):
    base = sqlite3.connect(path)
    for name in ("notes", "other"):
        base.execute(f"create table {name} (id integer primary key, text varchar(100), done boolean)")
    base.executemany("insert into notes (text, done) values (?, ?)", [(f"n{number}", number % 2) for number in range(ROWS)])
    base.commit()
    base.close()


async def timed(module, url, case, options):
    async with module.Database(url, **options) as db:
        # What a connection prepares once is no part of the case.
        await case(db)
        return await lasting(case, db)


async def lasting(case, base):
    """What a case gives, and what one of its steps takes; it is done again until the time says something."""
    start, times = time.perf_counter(), 0
    while not times or time.perf_counter() - start < SECONDS_MIN:
        answer, count = await case(base)
        times += count
    return answer, (time.perf_counter() - start) / times


async def timed_bare(connect, case):
    connection = await connect()
    try:
        await case(connection)
        return await lasting(case, connection)
    finally:
        closing = connection.close()
        if closing is not None:
            await closing


def measure(case, urls, runs, beside=None, **ours):
    """A case on both sides; `ours` are options of naja's."""
    name, target, work = case
    modules = importlib.import_module(NAJA), importlib.import_module(PEER)
    sides = [lambda side=side: timed(modules[side], urls[side], work, {} if side else ours) for side in (0, 1)]
    return stored.result(PEER, name, "s", *in_turn(name, sides, runs), target, beside)


def measure_bare(case, url, connect, runs, beside):
    """A case of naja's, and what a driver alone does for it."""
    name, target, work, bare = case
    module = importlib.import_module(NAJA)
    sides = [lambda: timed(module, url, work, {}), lambda: timed_bare(connect, bare)]
    return stored.result(PEER, name, "s", *in_turn(name, sides, runs), target, beside)


def in_turn(name, sides, runs):
    """What both sides took, after their answers were found to be the same."""
    columns, answers = ([], []), [None, None]
    for number in range(runs + 1):
        for side in (0, 1) if number % 2 else (1, 0):
            answers[side], took = asyncio.run(sides[side]())
            # The first round is for warming up.
            if number:
                columns[side].append(took)
        if answers[0] != answers[1]:
            raise SystemExit(f"WRONG ANSWER in {name}: {str(answers[0])[:200]} and {str(answers[1])[:200]}")
    return columns


def on_postgres(options, runs):
    """The cases of PostgreSQL, on a server of their own; each side has a database."""
    import servers

    cases = [case for case in SERVER_CASES if options.is_chosen(case[0])]
    bare_cases = [case for case in BARE_CASES if options.is_chosen(case[0])]
    if not cases and not bare_cases:
        return []
    try:
        server = servers.Server("postgresql")
    except servers.NotInstalled:
        print("not measured: PostgreSQL is not installed", file=sys.stderr)
        return []

    def bare():
        import asyncpg

        return asyncpg.connect(host=server.socket, port=server.port, user="postgres", database="theirs")

    try:
        urls = [server.socket_url(database=name) for name in ("ours", "theirs")]
        asyncio.run(fill_server(server.socket_url(), urls, "serial primary key", "vacuum analyze"))
        results = [measure(case, urls, runs) for case in cases]
        return results + [measure_bare(case, urls[0], bare, runs, "asyncpg") for case in bare_cases]
    finally:
        server.close()


def on_mariadb(options, runs):
    """The same on MariaDB."""
    import servers

    cases = [case for case in MARIADB_CASES if options.is_chosen(case[0])]
    bare_cases = [case for case in ASYNCMY_CASES if options.is_chosen(case[0])]
    if not cases and not bare_cases:
        return []
    try:
        server = servers.Server("mariadb")
    except servers.NotInstalled:
        print("not measured: MariaDB is not installed", file=sys.stderr)
        return []

    def bare():
        import asyncmy

        return asyncmy.connect(host="127.0.0.1", port=server.port, user="root", db="theirs", autocommit=True)

    try:
        base = f"mysql://root@127.0.0.1:{server.port}"
        urls = [f"{base}/{name}" for name in ("ours", "theirs")]
        asyncio.run(fill_server(f"{base}/mysql", urls, "int primary key auto_increment", "analyze table notes"))
        results = [measure(case, urls, runs) for case in cases]
        of_asyncmy = [url.replace("mysql:", "mysql+asyncmy:") for url in urls]
        results += [measure(case, of_asyncmy, runs, "databases with asyncmy") for case in cases]
        return results + [measure_bare(case, urls[0], bare, runs, "asyncmy") for case in bare_cases]
    finally:
        server.close()


async def fill_server(base, urls, key, count):
    """Makes both sides' databases; `key` is how a column counts by itself, `count` has the server look at the tables."""
    databases = importlib.import_module(NAJA)
    for url in urls:
        async with databases.Database(base) as db:
            await db.execute(f"create database {databases.DatabaseURL(url).database}")
        async with databases.Database(url) as db:
            for table in ("notes", "other"):
                await db.execute(f"create table {table} (id {key}, text varchar(100), done boolean)")
            rows = [{"text": f"n{n}", "done": bool(n % 2)} for n in range(ROWS)]
            await db.execute_many("insert into notes (text, done) values (:text, :done)", rows)
            await db.execute(count)


def imports(runs):
    """What importing adds to a bare Python, in milliseconds of the clock."""
    costs = import_costs("import naja.databases", "import databases, databases.backends.sqlite", max(runs, 5))
    return stored.result(PEER, "import, over bare Python", "ms", *costs, None)


def main():
    options = arguments(__doc__)
    install(FOLDER, "databases", [ORIGINAL, *NEEDED])
    sys.path.append(str(HERE.parents[2] / "python" / "tests"))
    runs = 3 if options.short else 9
    results = []
    with tempfile.TemporaryDirectory(dir=FOLDER.parent) as folder:
        paths = [pathlib.Path(folder) / f"{name}.db" for name in (NAJA, PEER)]
        for path in paths:
            fill(path)
        urls = [f"sqlite:///{path}" for path in paths]
        results += [measure(case, urls, runs) for case in CASES if options.is_chosen(case[0])]
        results += [measure(case, urls, runs, inline=True) for case in INLINE_CASES if options.is_chosen(case[0])]
        results += on_postgres(options, runs) + on_mariadb(options, runs)
        if options.is_chosen("import"):
            results.append(imports(runs))
    for one in results:
        print(f"{one['case']}, beside {one.get('beside', PEER)}: {one['ratio']:.2f}", file=sys.stderr)
    if not options.short:
        stored.store(PEER, ORIGINAL, results)


if __name__ == "__main__":
    main()
