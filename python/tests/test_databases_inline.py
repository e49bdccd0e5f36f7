"""naja.databases with `inline`: short statements on the event loop's own thread, all others by the worker."""

import asyncio
import random
import re
import sqlite3

import pytest

from naja.databases import Database

BY_ID = "select n, name from rows where id = :id"
# How many steps it takes is up to the value.
STEPS = "with recursive c(x) as (select 1 union all select x + 1 from c where x < :n) select max(x) from c"
LONG, SHORT = {"n": 3_000_000}, {"n": 3}


@pytest.fixture
def path(tmp_path):
    base = sqlite3.connect(tmp_path / "rows.db")
    base.execute("create table rows (id integer primary key, n integer, name text)")
    base.executemany("insert into rows values (?, ?, ?)", [(id, id, f"n{id}") for id in range(1, 101)])
    base.commit()
    base.close()
    return tmp_path / "rows.db"


def run(path, work, **options):
    async def main():
        async with Database(f"sqlite:///{path}", **{"inline": True, **options}) as db:
            return await work(db)

    return asyncio.run(main())


async def seen(awaitable):
    """What it gives, and whether the loop had no turn before."""
    turns = []
    asyncio.get_running_loop().call_soon(turns.append, 1)
    return await awaitable, not turns


async def at_once(ask):
    """What `ask` gives when the loop runs it itself. On a busy machine that may need more than one try: a thread that was
    kept waiting in mid-statement has run over its time."""
    for _ in range(500):
        answer, is_at_once = await seen(ask())
        if is_at_once:
            return answer
    raise AssertionError("it is never run by the loop")


async def is_never_at_once(ask):
    """Whether the worker runs it, however often it was run before."""
    return not any([(await seen(ask()))[1] for _ in range(5)])


def test_a_statement_that_was_run_before_is_answered_without_a_turn_of_the_loop(path):
    async def work(db):
        first, is_first_at_once = await seen(db.fetch_one(BY_ID, {"id": 7}))
        assert first.name == "n7" and not is_first_at_once
        assert (await at_once(lambda: db.fetch_one(BY_ID, {"id": 8}))).name == "n8"
        assert await at_once(lambda: db.fetch_val(BY_ID, {"id": 9}, column="name")) == "n9"
        assert await at_once(lambda: db.fetch_one(BY_ID, {"id": 101})) is None
        rows = await at_once(lambda: db.fetch_all(BY_ID, {"id": 9}))
        assert [tuple(row._mapping) for row in rows] == [(9, "n9")]
        async with db.connection() as held:
            assert await at_once(lambda: held.fetch_val(BY_ID, {"id": 10})) == 10
            assert await at_once(lambda: held.execute(BY_ID, {"id": 10})) == -1

    run(path, work)


def test_the_switch_is_a_word_of_the_url_or_an_option_and_is_off(path):
    async def is_on(url, **options):
        async with Database(url, **options) as db:
            ask = lambda: db.fetch_val(BY_ID, {"id": 1})  # noqa: E731
            return not await is_never_at_once(ask) and await at_once(ask) == 1

    url = f"sqlite:///{path}"
    assert [asyncio.run(is_on(url + words)) for words in ("", "?inline=0", "?inline=1")] == [False, False, True]
    assert asyncio.run(is_on(url, inline=True)) and not asyncio.run(is_on(url, inline=False))
    with pytest.raises(ValueError, match="`inline` is 0 or 1, and not 'perhaps'"):
        Database(url + "?inline=perhaps")
    with pytest.raises(TypeError, match="`inline` is for a file by its path"):
        asyncio.run(is_on(f"sqlite:///file:{path}", uri=True, inline=True))


def test_a_database_in_memory_is_read_at_once_too():
    async def work():
        async with Database("sqlite:///:memory:", inline=True) as db, db.connection():
            await db.execute("create table rows (a)")
            await db.execute("insert into rows values (1)")
            assert await at_once(lambda: db.fetch_val("select a from rows")) == 1

    asyncio.run(work())


@pytest.mark.parametrize(
    "query",
    [
        # Each has an instruction that nothing can end: the first reads a whole table.
        "select count(*) from rows",
        "select * from rows where name like '%1%'",
        "select replace(name, 'n', 'm') from rows where id = 1",
        "select * from json_each('[1]')",
        "select * from pragma_table_info('rows')",
        "pragma user_version",
        "explain select 1",
        "insert into rows (n) values (0) returning id",
        "with a as (select 1) insert into rows (n) select * from a returning id",
    ],
)
def test_what_writes_or_may_take_long_in_one_step_is_the_worker_s(path, query):
    async def work(db):
        assert await is_never_at_once(lambda: db.fetch_all(query))
        async with db.connection():
            assert await is_never_at_once(lambda: db.fetch_all(query))

    run(path, work)


@pytest.mark.parametrize(
    "query",
    [
        "select count(n) c, name from rows group by name having c > 0 order by c desc, name limit 3 offset 1",
        "select a.id from rows a join rows b on b.id = a.n where a.id between 3 and 5 order by b.n desc",
        "select * from rows where id in (1, 2, 3) or name = 'n7'",
        "select row_number() over (order by n) from rows where id < 5",
        "select substr(upper(name), 1, 1), json_extract('{\"a\": 1}', '$.a'), date('2020-01-01') from rows where id = 1",
        "select exists (select 1 from rows where n = 3), (select max(n) from rows), cast('7' as integer)",
        "values (1), (2)",
        "/* a comment */ select 1 union select 2 except select 3",
    ],
)
def test_what_reads_is_the_loop_s_and_gives_what_the_worker_gives(path, query):
    async def work(db):
        rows = await at_once(lambda: db.fetch_all(query)) if db.options["inline"] else await db.fetch_all(query)
        return [(row.keys(), tuple(row._mapping)) for row in rows]

    assert run(path, work) == run(path, work, inline=False)


def test_a_statement_that_runs_over_its_time_is_the_worker_s_and_the_loop_goes_on_meanwhile(path):
    async def work(db):
        assert await at_once(lambda: db.fetch_val(STEPS, SHORT)) == 3
        turns = 0
        task = asyncio.ensure_future(db.fetch_val(STEPS, LONG))
        while not task.done():
            await asyncio.sleep(0)
            turns += 1
        assert await task == LONG["n"] and turns > 100
        # It is remembered for some runs, then tried again.
        assert await is_never_at_once(lambda: db.fetch_val(STEPS, SHORT))
        assert await at_once(lambda: db.fetch_val(STEPS, SHORT)) == 3

    run(path, work)


def test_a_task_that_asks_for_one_short_thing_after_the_other_lets_others_have_their_turn(path):
    async def work(db):
        turns = 0
        await at_once(lambda: db.fetch_one(BY_ID, {"id": 1}))

        async def beat():
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        beating = asyncio.create_task(beat())
        for connection in (db, db.connection()):
            turns = 0
            async with contextless(connection):
                for _ in range(1000):
                    await connection.fetch_one(BY_ID, {"id": 1})
            # Each counts for at least 5 µs, and 200 µs are a turn's worth.
            assert turns >= 1000 * 5 // 200

        async def forever():
            while True:
                await db.fetch_one(BY_ID, {"id": 1})

        task = asyncio.create_task(forever())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        beating.cancel()

    run(path, work)


def contextless(connection):
    """A database's connection is held meanwhile; the database itself needs no `async with`."""

    class Nothing:
        async def __aenter__(self):
            pass

        async def __aexit__(self, *error):
            pass

    return Nothing() if isinstance(connection, Database) else connection


def test_statements_of_one_connection_stay_in_the_order_in_which_they_were_asked_for(path):
    async def work(db):
        query = "select n from rows where id = 1"
        async with db.connection() as held:
            await at_once(lambda: held.fetch_val(query))
            asked = []
            for number in range(50):
                asked += [held.fetch_val(query), held.execute("update rows set n = :n where id = 1", {"n": number + 1000})]
                asked += [held.fetch_val(query)]
            found = await asyncio.gather(*asked)
        expected = [1, *(number + 1000 for number in range(49))]
        assert found[0::3] == expected and found[2::3] == [number + 1000 for number in range(50)]

    run(path, work)


def test_in_a_transaction_reads_are_the_loop_s_until_something_was_written(path):
    async def work(db):
        query = "select n from rows where id = 1"
        async with db.transaction():
            assert await at_once(lambda: db.fetch_val(query)) == 1
            await db.execute("update rows set n = 5 where id = 1")
            # Reading a page may now write another out, and wait for the disk.
            assert await is_never_at_once(lambda: db.fetch_val(query))
            async with db.transaction():
                assert await is_never_at_once(lambda: db.fetch_val(query))
            assert await db.fetch_val(query) == 5
        async with db.transaction(force_rollback=True):
            assert await at_once(lambda: db.fetch_val(query)) == 5
            await db.execute_many("update rows set n = :n where id = 1", [{"n": 6}, {"n": 7}])
            assert await is_never_at_once(lambda: db.fetch_val(query))
            assert await db.fetch_val(query) == 7
        assert await at_once(lambda: db.fetch_val(query)) == 5

    run(path, work)


def test_a_locked_file_is_waited_for_by_the_worker(path):
    async def work(db):
        await at_once(lambda: db.fetch_val(BY_ID, {"id": 1}))
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("begin exclusive")
        other.execute("update rows set n = 99 where id = 1")
        task = asyncio.create_task(db.fetch_val(BY_ID, {"id": 1}))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not task.done()
        other.execute("commit")
        other.close()
        assert await task == 99
        # That it was locked says nothing of the statement.
        assert await at_once(lambda: db.fetch_val(BY_ID, {"id": 1})) == 99

    run(path, work, timeout=60)


def test_a_locked_file_is_told_after_the_time_that_was_given(path):
    async def work(db):
        await at_once(lambda: db.fetch_val(BY_ID, {"id": 1}))
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("begin exclusive")
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            await db.fetch_val(BY_ID, {"id": 1})
        other.close()

    run(path, work, timeout=0.05)


def test_a_value_that_is_long_is_the_worker_s_to_read(path):
    async def work(db):
        query = "select name from rows where id = :id"
        await at_once(lambda: db.fetch_val(query, {"id": 1}))
        await db.execute("update rows set name = :name where id = 2", {"name": "x" * 100_000})
        assert await seen(db.fetch_val(query, {"id": 2})) == ("x" * 100_000, False)
        assert await db.fetch_val("select :a", {"a": "y" * 100_000}) == "y" * 100_000
        assert await db.fetch_val("select :a", {"a": "y" * 100_000}) == "y" * 100_000

    run(path, work)


def test_a_table_that_was_changed_by_others_is_read_as_it_is(path):
    async def work(db):
        query = "select * from rows where id = 1"
        await at_once(lambda: db.fetch_one(query))
        other = sqlite3.connect(path)
        other.executescript("alter table rows add column more default 7; update rows set n = 2 where id = 1")
        other.close()
        for _ in range(3):
            assert dict(await db.fetch_one(query)) == {"id": 1, "n": 2, "name": "n1", "more": 7}
        other = sqlite3.connect(path)
        other.executescript("drop table rows; create view rows as select 1 as id, 'x' like '%' as c")
        other.close()
        for _ in range(3):
            assert (await db.fetch_one(query)).keys() == {"id", "c"}
        # It is not what it was.
        assert await is_never_at_once(lambda: db.fetch_one(query))

    run(path, work)


def test_what_the_loop_is_refused_is_told_as_by_the_worker(path):
    async def told(db, query, values):
        try:
            await db.fetch_all(query, values)
        except Exception as error:
            return type(error), str(error), getattr(error, "sqlite_errorname", None)

    async def work(db):
        found = []
        for query, values in [
            ("select abs(:a)", {"a": -(2**63)}),
            ("select :a", {"a": []}),
            ("select :a", {}),
            ("select :a", {"a": 1, "b": 2}),
            ("select json_extract(:a, '$.a')", {"a": "{"}),
        ]:
            await db.fetch_all(query, {"a": "{}" if "json" in query else 1})
            found.append(await told(db, query, values))
        return found

    found = run(path, work)
    assert None not in found and found == run(path, work, inline=False)


def test_rows_are_iterated_while_the_loop_runs_others_on_the_same_connection(path):
    async def work(db):
        async with db.connection():
            await at_once(lambda: db.fetch_val(BY_ID, {"id": 1}))
            pairs = [(row.id, await db.fetch_val(BY_ID, {"id": row.id})) async for row in db.iterate("select id from rows")]
        assert pairs == [(id, id) for id in range(1, 101)]

    run(path, work)


def test_the_same_random_work_gives_the_same_with_and_without_the_switch(path, tmp_path):
    seed = random.randrange(2**32)
    print("seed", seed)
    reads = [
        BY_ID,
        STEPS,
        "select count(*) as c, sum(n) as s from rows where n > :n",
        "select a.id, b.n from rows a join rows b on a.n = b.id where a.n < :n order by a.id desc limit 20",
        "select name, max(n) from rows where n between :n and :n + 40 group by substr(name, 1, 2) order by 1",
        "select n from rows where name like :name order by id",
    ]
    writes = ["update rows set n = n + 1 where id % 7 = :n % 7", "insert into rows (n, name) values (:n, :name)"]

    async def one(db, chance, answers):
        query = chance.choice(reads if chance.random() < 0.8 else writes)
        values = {"id": chance.randrange(120), "n": chance.choice([3, 50, 90, 20_000]), "name": f"n{chance.randrange(9)}%"}
        values = {name: value for name, value in values.items() if re.search(f":{name}\\b", query)}
        way = chance.choice(["fetch_all", "fetch_one", "fetch_val", "execute", "iterate"])
        if way == "iterate":
            answers.append([tuple(row._mapping) async for row in db.iterate(query, values)])
            return
        answer = await getattr(db, way)(query, values)
        rows = answer if isinstance(answer, list) else [answer]
        answers.append([tuple(row._mapping) if hasattr(row, "_mapping") else row for row in rows])

    async def work(db):
        chance, answers = random.Random(seed), []
        for _ in range(40):
            kind = chance.randrange(3)
            if kind == 0:
                for _ in range(8):
                    await one(db, chance, answers)
            elif kind == 1:
                async with db.transaction(force_rollback=chance.random() < 0.5):
                    for _ in range(8):
                        await one(db, chance, answers)
            else:
                async with db.connection() as held:
                    for _ in range(8):
                        await one(held, chance, answers)
        return answers

    copy = tmp_path / "copy.db"
    copy.write_bytes(path.read_bytes())
    assert run(path, work) == run(copy, work, inline=False)
    assert [*sqlite3.connect(path).iterdump()] == [*sqlite3.connect(copy).iterdump()]
