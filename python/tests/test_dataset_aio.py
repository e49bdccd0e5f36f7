"""`naja.dataset.aio`: the same tables under `await`."""

import asyncio
import gc
import inspect
import threading

import naja.dataset
import pytest
from naja.dataset import aio, table

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(params=["file", "memory", "postgres"])
def url(request, tmp_path):
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        return server.database(f"aio_{abs(hash(request.node.nodeid))}")
    return "sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path / 'facts.db'}"


def run(url, body, **options):
    async def main():
        db = aio.connect(url, **options)
        try:
            return await asyncio.wait_for(body(db), 60)
        finally:
            await db.close()

    return asyncio.run(main())


def test_rows_go_in_and_come_out(url):
    async def body(db):
        people = db["people"]
        assert await people.insert({"name": "Ada", "born": 1815}) == 1
        await people.insert_many([{"name": f"p{number}", "born": number} for number in range(1200)])
        await people.upsert({"name": "Ada", "country": "GB"}, ["name"])
        assert (await people.find_one(name="Ada"))["country"] == "GB"
        assert await people.count() == 1201
        assert await db.tables == ["people"] and await people.columns == ["id", "name", "born", "country"]
        assert await people.exists and await db.has_table("people") and not await db.has_table("cities")
        born = [row["born"] async for row in people.find(born={"<": 1100}, order_by="born")]
        assert born == list(range(1100))
        assert len(await people.find(name={"like": "p1%"}, _limit=7)) == 7
        assert [row["n"] for row in await db.query("select count(*) as n from people where born > :year", year=1000)] == [200]
        assert [row["country"] for row in await people.distinct("country", country="GB")] == ["GB"]
        assert await people.delete(name="Ada")
        assert [row async for row in people][0]["name"] == "p0"

    run(url, body)


def test_every_method_of_a_table_is_there_and_is_described():
    own = {name for name in vars(aio.Table) if not name.startswith("_")}
    original = {name for name in dir(naja.dataset.Table) if not name.startswith("_")}
    # SQLAlchemy's objects belong to a thread.
    assert original - own == {"PRIMARY_DEFAULT", "table"}
    for name in own & {name for name in dir(table.Table) if callable(getattr(table.Table, name))}:
        assert inspect.getdoc(getattr(aio.Table, name)), name


def test_a_transaction_is_its_tasks_own(url):
    async def body(db):
        people = db["people"]
        await people.insert({"name": "first"})

        async def other():
            return await people.count()

        async with db:
            # A column that is new is nothing to be warned of, as the connection is the task's own. (On a server the others
            # would have to wait for it.)
            await people.insert({"name": "second"} | ({} if url.startswith("postgres") else {"new": 1}))
            assert await people.count() == 2
            if url != "sqlite://":
                # Not seen from another connection before it is committed.
                assert await asyncio.create_task(other()) == 1
        assert await other() == 2
        with pytest.raises(ZeroDivisionError):
            async with db:
                await people.insert({"name": "third"})
                async with db:
                    await people.insert({"name": "fourth"})
                raise ZeroDivisionError
        assert await people.count() == 2

    run(url, body)


def test_many_tasks_write_and_read_at_once(url):
    async def body(db):
        rows = db["rows"]
        await rows.insert({"task": -1, "number": -1})

        async def work(task):
            for number in range(5):
                async with db:
                    await rows.insert({"task": task, "number": number})
                    await rows.insert({"task": task, "number": -number})
            return [row["number"] async for row in rows.find(task=task, number={">": 0}, order_by="id")]

        results = await asyncio.gather(*(work(task) for task in range(40)))
        assert all(result == [1, 2, 3, 4] for result in results)
        assert await rows.count() == 1 + 40 * 10

    run(url, body)


def test_a_task_may_write_while_it_reads(url):
    async def body(db):
        numbers = db["numbers"]
        await numbers.insert_many([{"n": number} for number in range(1200)])
        async for row in numbers.find(order_by="n"):
            if row["n"] % 400 == 0:
                await db["copies"].insert({"n": row["n"]})
        assert [row["n"] for row in await db["copies"].find()] == [0, 400, 800]

    run(url, body)


def test_a_cancelled_task_leaves_no_transaction_behind(url):
    async def body(db):
        rows = db["rows"]
        await rows.insert({"task": -1})
        for round_ in range(60):
            begun = asyncio.Event()

            async def work(begun=begun, round_=round_):
                async with db:
                    begun.set()
                    for _ in range(50):
                        await rows.insert({"task": round_})
                    raise AssertionError("it was to be cancelled")

            task = asyncio.create_task(work())
            if round_ % 3:
                await begun.wait()
                for _ in range(round_ % 7):
                    await asyncio.sleep(0)
            else:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await rows.count() == 1

    run(url, body)


def test_rows_can_come_from_an_asynchronous_source(url, tmp_path):
    async def source():
        for number in range(2500):
            yield {"n": number}

    async def body(db):
        await db["t"].insert_many(source())
        assert await db["t"].count() == 2500
        path = await aio.freeze(db["t"].find(order_by="n"), filename=str(tmp_path / "t.csv"))
        assert await db["u"].load(path) == 2500
        assert await db["u"].count(n={">=": 100}) == 2400

    run(url, body)


def test_what_is_used_wrongly_is_told(url):
    async def body(db):
        await db["t"].insert({"a": 1})
        with pytest.raises(naja.dataset.DatabaseError, match="nowhere"):
            await db.query("select * from nowhere")
        with pytest.raises(ZeroDivisionError):
            async for row in db["t"]:
                raise ZeroDivisionError
        assert await db["t"].count() == 1
        with pytest.warns(RuntimeWarning, match="rows were never asked for"):
            db["t"].find()
            gc.collect()
        with pytest.raises(TypeError, match="freeze takes the rows of `find`"):
            await aio.freeze([{"a": 1}])

    run(url, body)

    async def later():
        db = aio.connect(url)
        await db.close()
        with pytest.raises(RuntimeError, match="Database is closed"):
            await db["t"].count()

    asyncio.run(later())


def test_one_who_waits_too_long_is_told_why(url):
    async def body(db):
        await db["t"].insert({"a": 1})

        async def hold(held, end):
            async with db:
                held.set()
                await end.wait()

        held, end = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(hold(held, end))
        await held.wait()
        with pytest.raises(TimeoutError, match="all 1 connections were in use for 0.05 s"):
            await db["t"].count()
        waiting = asyncio.create_task(db["t"].count())
        end.set()
        await task
        assert await waiting == 1

    run(url, body, engine_kwargs={"pool_size": 1, "pool_timeout": 0.05})


def test_a_database_belongs_to_one_loop_and_its_threads_end_with_it(url):
    db = aio.connect(url)
    asyncio.run(db["t"].insert({"a": 1}))
    with pytest.raises(RuntimeError, match="used by another event loop"):
        asyncio.run(db["t"].count())
    del db
    gc.collect()
    for thread in threading.enumerate():
        if thread.name.startswith("naja.dataset-"):
            thread.join(30)
            assert not thread.is_alive()


def test_the_loop_goes_on_while_a_statement_runs(tmp_path):
    async def body(db):
        slow = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000000) select max(i) as m from n"
        task = asyncio.create_task(db.query(slow)._use(list))
        turns = 0
        while not task.done():
            turns += 1
            await asyncio.sleep(0)
        assert task.result()[0]["m"] == 3000000 and turns > 10

    run(f"sqlite:///{tmp_path / 'a.db'}", body)
