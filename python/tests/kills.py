"""A program that writes through one of the faces is killed at random points, or the server that it writes to; then what is
stored is held against what the program was told.

Each program has a number, `run`. Its workers do one thing after another, each of `whole` rows that differ in `part`
alone, and when one is done say so in a line: worker, number, count of rows.
"""

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import time

from naja import dataset
from naja.databases import Database

# How often something is killed in a test; thousands of times have been tried by hand (`docs/design/databases.md`).
KILLS = int(os.environ.get("NAJA_TEST_KILLS", 16))

_INDEX = ["run", "worker", "number"]
_INSERT = "insert into facts (run, worker, number, part, whole) values (:run, :worker, :number, :part, :whole)"


def _rows(run, worker, number, count):
    return [{"run": run, "worker": worker, "number": number, "part": part, "whole": count} for part in range(count)]


def _by_dataset(url, run, mode, said):
    db = dataset.connect(url, sqlite_wal_mode=mode == "wal")
    chance = random.Random(run)
    number = 0
    while True:
        number += 1
        kind = chance.randint(0, 3)
        count = (1, chance.randint(1, 250), chance.randint(1, 40), chance.randint(1, 40))[kind]
        rows = _rows(run, 0, number, count)
        match kind:
            case 0:
                db["facts"].insert(rows[0])
            case 1:
                db["facts"].insert_many(rows)
            case 2:
                with db:
                    for row in rows:
                        db["facts"].insert(row)
            case 3:
                db["facts"].upsert_many(rows, [*_INDEX, "part"])
        said.write(f"0 {number} {count}\n".encode())


def _by_databases(url, run, _mode, said):
    is_sqlite = url.startswith("sqlite")

    async def work(db, worker):
        chance = random.Random(f"{run} {worker}")
        number = 0
        while True:
            number += 1
            kind = chance.randint(0, 3)
            count = (1, chance.randint(1, 250), chance.randint(1, 20), chance.randint(2, 40))[kind]
            rows = _rows(run, worker, number, count)
            match kind:
                case 0:
                    await db.execute(_INSERT, rows[0])
                case 1:
                    # On SQLite each row is stored for itself, as the original does it.
                    async with db.transaction() if is_sqlite else contextlib.nullcontext():
                        await db.execute_many(_INSERT, rows)
                case 2:
                    async with db.transaction():
                        for row in rows:
                            await db.execute(_INSERT, row)
                case 3:
                    async with db.transaction():
                        await db.execute(_INSERT, rows[0])
                        async with db.transaction():
                            await db.execute_many(_INSERT, rows[1:])
            said.write(f"{worker} {number} {count}\n".encode())

    async def main():
        # SQLite lets one write at a time, and the others wait for it.
        words = {"timeout": 600} if is_sqlite else {"min_size": 4, "max_size": 4}
        async with Database(url, **words) as db:
            await asyncio.gather(*(work(db, worker) for worker in range(4)))

    asyncio.run(main())


FACES = {"dataset": _by_dataset, "databases": _by_databases}

_OTHERS = {
    "postgresql": "SELECT count(*) AS n FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
    "mariadb": "SELECT count(*) AS n FROM information_schema.processlist WHERE user = 'root' AND id <> connection_id()",
}


def check(face, url, mode="", server=None):
    """Kills a program of `face` again and again that writes to `url`, every eighth time its `server` if there is one."""
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    base = dataset.connect(url, sqlite_wal_mode=mode == "wal")
    # First of all, since on MariaDB what makes a table ends a transaction.
    for name in (*_INDEX, "part", "whole"):
        base["facts"].create_column_by_example(name, 1)
    base["facts"].create_index(_INDEX)
    base.close()
    told = {}
    for run in range(KILLS):
        is_server = server is not None and run % 8 == 7
        lines = _run_until_killed(FACES[face], (url, run, mode), chance, server if is_server else None)
        assert lines[0], "the program has told of something"
        for worker, number, count in (map(int, line.split()) for line in lines if line.endswith(b"\n")):
            told.setdefault((run, worker), {})[number] = count
    stored = _stored(url, server)
    for who, numbers in told.items():
        of_worker = stored.get(who, {})
        assert {number: count for number, count in of_worker.items() if number in numbers} == numbers, who
        # One may be stored that nobody could be told of any more.
        assert set(of_worker) - set(numbers) <= {max(numbers) + 1}, who
    assert {run for run, _ in told} == set(range(KILLS))
    print(f"{KILLS} kills, {sum(map(len, told.values()))} acknowledged, {sum(map(len, stored.values()))} stored")


def _run_until_killed(write, words, chance, server):
    """The lines that a program says until it or the server is killed."""
    process, said = _start(write, words)
    with said:
        first = said.readline()
        time.sleep(chance.random() * 0.1)
        if server is None:
            os.kill(process, signal.SIGKILL)
        else:
            server.kill()
        lines = [first, *said.read().splitlines(keepends=True)]
    os.waitpid(process, 0)
    if server is not None:
        server.restart()
    return lines


def _start(write, words):
    """A process of its own, which has imported everything already: its number, and what it says."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        try:
            os.close(reading)
            with contextlib.suppress(Exception), open(writing, "wb", buffering=0) as said:
                write(*words, said)
        finally:
            os._exit(0)
    os.close(writing)
    return process, open(reading, "rb")


def _stored(url, server):
    """How many rows each number has, by run and worker; no row is missing or there twice."""
    if server is None:
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file:
            assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    base = dataset.connect(url)
    # A server finishes what it was asked by a program that is gone.
    while server is not None and base.query(_OTHERS[server.engine]).next()["n"]:
        time.sleep(0.01)
    parts = "count(*) AS n, count(DISTINCT part) AS different, min(whole) AS least, max(whole) AS most"
    stored = {}
    for row in base.query(f"SELECT run, worker, number, {parts} FROM facts GROUP BY run, worker, number"):
        assert row["different"] == row["least"] == row["most"] == row["n"], dict(row)
        stored.setdefault((row["run"], row["worker"]), {})[row["number"]] = row["n"]
    base.close()
    return stored
