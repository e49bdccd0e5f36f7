"""How long naja.databases holds up the event loop with `inline`: over random statements on a file of some 10 MB.

    held_up.py [--seed N] [--statements N]

Each step of a query's coroutine is timed by the clock and by the thread's own processor time, which leaves out what other
programs took away. A statement is asked for until the worker has seen it, and then with other values. `cold` drops the
file's pages from the system's memory before each statement. The table is for docs/design/databases.md; nothing is stored.
"""

import argparse
import asyncio
import collections
import os
import pathlib
import random
import re
import sqlite3
import tempfile
import time

from naja.databases import Database

ROWS = 50_000
WORDS = ["ada", "bert", "carl", "dora", "emil", "fritz", "gerd", "hans"]


def fill(path, chance):
    base = sqlite3.connect(path)
    base.execute("create table rows (id integer primary key, n integer, name text, note text, price real)")
    base.execute("create table links (a integer, b integer, weight real)")
    rows = ((chance.randrange(ROWS), chance.choice(WORDS), "x" * chance.randrange(200), chance.random()) for _ in range(ROWS))
    base.executemany("insert into rows (n, name, note, price) values (?, ?, ?, ?)", rows)
    links = ((chance.randrange(ROWS), chance.randrange(ROWS), chance.random()) for _ in range(ROWS))
    base.executemany("insert into links values (?, ?, ?)", links)
    base.executescript("create index by_n on rows (n); create index by_a on links (a)")
    base.commit()
    base.close()


def texts(chance):
    """Statements: what is read, from where, and how it is sorted and cut."""
    what = ["*", "id, name", "count(*)", "sum(n), avg(price)", "name, max(n)", "distinct name", "length(note), substr(name, 1, 2)"]
    what += ["row_number() over (order by n), id", "json_extract('{\"a\": [1, 2]}', '$.a[1]'), id", "hex(note), upper(name)"]
    where = ["id = :n", "id between :n and :n + :m", "n between :n and :n + :m", "n = :n or id = :m", "name = :name and n < :m"]
    where += ["id in (:n, :m, 7)", "price > 0.999", "name like :name", "id in (select b from links where a between :n and :n + :m)"]
    where += ["exists (select 1 from links where a = rows.id and b < :n)", "n > :n"]
    order = ["", "order by id", "order by price desc", "order by name, n", "group by name", "group by n % 10 order by 1"]
    limit = ["", "limit 1", "limit 10", "limit :m offset :m"]
    found = {f"select {chance.choice(what)} from rows where {chance.choice(where)} {chance.choice(order)} {chance.choice(limit)}" for _ in range(120)}
    joined = "rows a join links on links.a = a.id join rows b on b.id = links.b"
    found |= {f"select a.id, b.name from {joined} where a.{condition} {cut}" for condition in where[:2] for cut in limit}
    found.add("with recursive c(x) as (select :n union all select x + 1 from c where x < :n + :m) select count(x), sum(x) from c")
    return sorted(found)


class Timed:
    """Awaits something and notes how long each of its steps takes: by the clock, by the processor."""

    def __init__(self, awaitable):
        self.awaitable = awaitable
        self.steps = []

    def __await__(self):
        steps = self.awaitable.__await__()
        while True:
            clock, processor = time.perf_counter(), time.thread_time()
            try:
                waited_for = steps.send(None)
            except StopIteration as end:
                return end.value
            finally:
                self.steps.append((time.perf_counter() - clock, time.thread_time() - processor))
            yield waited_for


async def measure(path, chance, count, is_cold, **options):
    """The longest step of each statement, by what became of it."""
    found = collections.defaultdict(list)
    file = os.open(path, os.O_RDONLY)
    async with Database(f"sqlite:///{path}", **options) as db, db.connection():
        known = texts(chance)
        for number in range(count):
            text = chance.choice(known)
            values = {"n": chance.randrange(ROWS), "m": chance.choice([1, 10, 100, 1000, 100_000]), "name": chance.choice(WORDS)}
            values = {name: value for name, value in values.items() if re.search(f":{name}\\b", text)}
            if is_cold:
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            timed = Timed(db.connection().fetch_all(text, values))
            await timed
            clocks, processors = zip(*timed.steps)
            found["at once" if len(timed.steps) == 1 else "by the worker"].append((max(clocks), max(processors)))
    os.close(file)
    return found


def line(name, numbers):
    """A row of the table: µs."""
    cells = [name, f"{len(numbers):,}"]
    for kind in (0, 1):
        ordered = sorted(number[kind] for number in numbers)
        cells += [f"{1e6 * ordered[min(int(share * len(ordered)), len(ordered) - 1)]:,.0f}" for share in (0.5, 0.99, 0.999, 1)]
    print("| " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--statements", type=int, default=5_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "rows.db"
        fill(path, random.Random(options.seed))
        print("| statements | number | clock: half | 99 % | 99.9 % | longest | processor: half | 99 % | 99.9 % | longest |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
        for name, count, is_cold, words in (
            ("inline", options.statements, False, {"inline": True}),
            ("inline, cold", options.statements // 2, True, {"inline": True}),
            ("without", options.statements // 4, False, {}),
        ):
            found = asyncio.run(measure(path, random.Random(options.seed + 1), count, is_cold, **words))
            for how, numbers in sorted(found.items()):
                line(f"{name}, {how}", numbers)


if __name__ == "__main__":
    main()
