"""naja.databases on servers: cancelled tasks, dropped connections, restarted servers, many tasks and threads."""

import asyncio
import os
import random
import threading
import time

import engines
import pytest
from servers import Server

from naja.databases import Database

SCHEMES = ("postgresql", "mysql+aiomysql", "mysql+asyncmy")

# What differs between the engines, in lower case as a test writes it.
OWN = {"postgresql": "select pg_backend_pid()", "mariadb": "select connection_id()"}
SLEEP = {"postgresql": "select pg_sleep(3600)", "mariadb": "select sleep(3600)"}
SHORT_SLEEP = {"postgresql": "select pg_sleep(0.05)", "mariadb": "select sleep(0.05)"}
SLEEPING_ROWS = {
    "postgresql": "select pg_sleep(case when n > 150 then 3600 else 0 end), n from generate_series(1, 200) n",
    "mariadb": "select sleep(case when seq > 150 then 3600 else 0 end), seq from seq_1_to_200",
}
# More than one row where there may be one: an error to both, for a value of nought.
FAILS_FOR_NOUGHT = "select case when :n = 0 then (select 1 union select 2) else 1 end"


@pytest.fixture(params=SCHEMES)
def engine(request, tmp_path):
    """A database with an empty table `counts`; `address` is its URL with the driver whose place naja takes."""
    made = engines.make(request, tmp_path, "mariadb" if request.param.startswith("mysql") else "postgresql")
    made.address = made.url.replace(made.url.partition(":")[0], request.param)
    base = made.connect()
    base.query("create table counts (id integer primary key, n integer)")
    base.close()
    yield made
    made.close()


async def until(holds, *values):
    """Waits for a condition, never for a time."""
    while not holds(*values):
        await asyncio.sleep(0.01)


async def turns():
    """Lets the loop hear what has arrived."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_cancelled_task_ends_its_statement(engine):
    async def main():
        async with Database(engine.address, min_size=1, max_size=1) as db:
            process = await db.fetch_val(OWN[engine.name])
            task = asyncio.create_task(db.execute(SLEEP[engine.name]))
            await until(engine.is_running, SLEEP[engine.name])
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            # It is the same connection, cleaned.
            assert await db.fetch_val(OWN[engine.name]) == process
            assert not engine.is_running(SLEEP[engine.name])

    asyncio.run(main())


def test_a_cancelled_task_gives_its_transaction_back(engine):
    async def main():
        async with Database(engine.address, min_size=1, max_size=1) as db:

            async def work():
                async with db.transaction():
                    await db.execute("insert into counts values (1, 1)")
                    await db.execute(SLEEP[engine.name])

            task = asyncio.create_task(work())
            await until(engine.is_running, SLEEP[engine.name])
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await db.execute("insert into counts values (1, 2)")
            assert engine.ask("select sum(n) from counts") == 2

    asyncio.run(main())


def test_a_cancelled_iteration_and_a_cancelled_load_leave_nothing(engine):
    async def main():
        async with Database(engine.address, min_size=1, max_size=1) as db:

            async def iterate():
                async for _ in db.iterate(SLEEPING_ROWS[engine.name]):
                    pass

            task = asyncio.create_task(iterate())
            await until(engine.is_running, SLEEPING_ROWS[engine.name][:20])
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not engine.is_running(SLEEPING_ROWS[engine.name][:20])
            if engine.name == "postgresql":
                assert await db.fetch_val("select count(*) from pg_cursors where name <> ''") == 0

            rows = [{"id": number, "n": 0} for number in range(300_000)]
            task = asyncio.create_task(db.execute_many("insert into counts values (:id, :n)", rows))
            await until(engine.is_running, "insert into counts")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await db.fetch_val("select count(*) from counts") == 0

    asyncio.run(main())


def test_a_connection_that_is_given_back_within_a_transaction_is_at_once_out_of_it(engine):
    async def main():
        async with Database(engine.address, min_size=1, max_size=1) as db:
            async with db.connection() as connection:
                await connection.execute("start transaction")
                await connection.execute("insert into counts values (1, 1)")
            # It is being set back, and no answer has come yet.
            async with db.transaction():
                assert await db.fetch_val("select count(*) from counts") == 0
                await db.execute("insert into counts values (2, 2)")
            assert engine.ask("select sum(n) from counts") == 2

    asyncio.run(main())


def test_tasks_cancelled_at_any_point_leave_no_dirty_connection(engine):
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)

    async def main():
        async with Database(engine.address, min_size=1, max_size=4) as db:
            await db.execute_many("insert into counts values (:id, 0)", [{"id": number} for number in range(50)])

            async def transfer(number):
                one, other = chance.sample(range(50), 2)
                async with db.transaction():
                    if engine.name == "postgresql":
                        await db.execute("set local work_mem = '1234kB'")
                    await db.execute("update counts set n = n - 1 where id = :id", {"id": min(one, other)})
                    if number % 3 == 0:
                        async for _ in db.iterate("select * from counts"):
                            pass
                    await db.execute("update counts set n = n + 1 where id = :id", {"id": max(one, other)})
                    if number % 7 == 0:
                        await db.execute(SHORT_SLEEP[engine.name])

            async def one(number):
                task = asyncio.create_task(transfer(number))
                await asyncio.sleep(chance.random() * 0.02)
                if chance.random() < 0.8:
                    task.cancel()
                try:
                    await task
                except asyncio.CancelledError:
                    pass

            async def checked():
                for _ in range(100):
                    # A connection that is handed out is in no transaction and has nothing of anybody's.
                    async with db.connection() as connection:
                        if engine.name == "mariadb":
                            assert await connection.fetch_val("select @@in_transaction") == 0
                        else:
                            assert not connection.raw_connection.is_in_transaction()
                            assert await connection.fetch_val("show work_mem") == "4MB"
                        assert await db.fetch_val("select cast(:n as integer)", {"n": 5}) == 5
                    await asyncio.sleep(0.001)

            await asyncio.gather(checked(), *(one(number) for number in range(300)))
            assert await db.fetch_val("select sum(n) from counts") == 0

    asyncio.run(asyncio.wait_for(main(), 300))


def test_tasks_that_are_cancelled_in_the_queue_hold_nobody_up(engine):
    async def main():
        async with Database(engine.address, min_size=1, max_size=1) as db:
            async with db.connection():
                tasks = [asyncio.create_task(db.fetch_val("select 1")) for _ in range(10)]
                await asyncio.sleep(0)
                for task in tasks[::2]:
                    task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert [result if result == 1 else type(result) for result in results] == [asyncio.CancelledError, 1] * 5
            assert await db.fetch_val("select 2") == 2

    asyncio.run(main())


def test_one_connection_of_many_tasks_answers_each(engine):
    async def main():
        async with Database(engine.address) as db:
            async with db.connection() as connection:
                answers = await asyncio.gather(
                    *(connection.fetch_val("select cast(:n as integer)", {"n": number}) for number in range(500)),
                    *(connection.fetch_val(f"select {number}") for number in range(20)),
                )
                assert answers == [*range(500), *range(20)]
                # One that is wrong, and one that nobody waits for, are nothing to the others.
                waited = [asyncio.ensure_future(connection.fetch_val(FAILS_FOR_NOUGHT, {"n": n % 3})) for n in range(30)]
                await asyncio.sleep(0)
                waited[4].cancel()
                results = await asyncio.gather(*waited, return_exceptions=True)
                for number, result in enumerate(results):
                    if number % 3 == 0:
                        assert result.sqlstate == "21000"
                    elif number != 4:
                        assert result == 1

    asyncio.run(main())


def test_many_rows_that_fail_are_answered_however_slow_the_loop_is(engine):
    async def main():
        loop = asyncio.get_running_loop()

        def hold_up():
            # Between what is sent and what is read the server has time to answer all of it.
            time.sleep(0.01)
            loop.call_soon(hold_up)

        async with Database(engine.address, min_size=1, max_size=1) as db:
            await db.execute("create table wide (id integer primary key, text varchar(1000))")
            insert, row = "insert into wide values (:id, :text)", {"id": 1, "text": "x" * 1000}
            await db.execute_many(insert, [row])
            task = asyncio.create_task(db.execute_many(insert, [row] * 500))
            # From then on it is sent piece by piece, and this comes after each of them.
            await asyncio.sleep(0)
            loop.call_soon(hold_up)
            with pytest.raises(Exception, match="(?i)duplicate"):
                await asyncio.wait_for(task, 60)
            assert await db.fetch_val("select count(*) from wide") == 1

    asyncio.run(main())


def test_sixty_four_tasks_share_a_database(engine):
    async def main():
        async with Database(engine.address, min_size=1, max_size=8) as db:

            async def work(number):
                for turn in range(5):
                    async with db.transaction():
                        await db.execute("insert into counts values (:id, :n)", {"id": number * 5 + turn, "n": number})
                        assert await db.fetch_val("select count(*) from counts where n = :n", {"n": number}) == turn + 1

            await asyncio.gather(*(work(number) for number in range(64)))
            assert await db.fetch_val("select count(*) from counts") == 320

    asyncio.run(main())


def test_sixty_four_threads_have_a_loop_and_a_database_each(engine):
    errors = []

    async def work(number):
        async with Database(engine.address, min_size=1, max_size=1) as db:
            await db.execute("insert into counts values (:id, :n)", {"id": number, "n": number})
            assert await db.fetch_val("select n from counts where id = :id", {"id": number}) == number

    def run(number):
        try:
            asyncio.run(work(number))
        except Exception as error:  # noqa: BLE001: told below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert engine.ask("select count(*) from counts") == 64


def test_a_connection_that_drops_in_a_transaction_is_said_and_replaced(engine):
    async def main():
        async with Database(engine.address, min_size=1, max_size=1) as db:
            with pytest.raises(Exception, match="terminating connection|killed|closed|broke") as caught:
                async with db.transaction():
                    await db.execute("insert into counts values (1, 1)")
                    process = await db.fetch_val(OWN[engine.name])
                    engine.end(process)
                    while True:
                        # The server may not have seen it yet.
                        await db.execute("update counts set n = 2")
            # By then it may have been seen already that the connection is closed.
            if engine.name == "postgresql":
                assert getattr(caught.value, "sqlstate", "08003") in ("57P01", "08003")
            else:
                assert caught.value.args[0] in (1927, 2013)
            assert await db.fetch_val("select count(*) from counts") == 0
            # One that is dropped while nobody uses it is not handed out.
            process = await db.fetch_val(OWN[engine.name])
            engine.end(process)
            await until(lambda: engine.ask(engine.is_there, process=process) == 0)
            await turns()
            assert await db.fetch_val("select 1") == 1

    asyncio.run(main())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_server_that_starts_again_is_used_again(scheme):
    name = "mariadb" if scheme.startswith("mysql") else "postgresql"
    server = Server(name)
    watched = engines.KINDS[name](name, server.url)

    async def main():
        async with Database(server.at(scheme), min_size=3, max_size=3) as db:
            await db.execute("create table kept (n integer)")
            waiting = asyncio.ensure_future(db.execute(SLEEP[name]))
            await until(watched.is_running, SLEEP[name])
            in_transaction = await db.transaction()
            await db.execute("insert into kept values (0)")
            await asyncio.to_thread(server.restart)
            with pytest.raises(Exception) as caught:
                await waiting
            if name == "postgresql":
                assert caught.value.sqlstate in ("57P01", "57P02", "57P03", "08003")
            else:
                assert caught.value.args[0] in (1053, 2013)
            with pytest.raises(Exception, match="terminating|closed|broke|shutdown"):
                await db.execute("insert into kept values (0)")
            await in_transaction.rollback()

            async def store():
                await db.execute("insert into kept values (1)")

            # Tasks of their own, since this one has had a transaction.
            await asyncio.gather(*(asyncio.create_task(store()) for _ in range(10)))
            assert await db.fetch_val("select count(*) from kept where n = 1") == 10
            assert await db.fetch_val("select count(*) from kept") == 10

    try:
        asyncio.run(asyncio.wait_for(main(), 120))
    finally:
        watched.close()
        server.close()


def test_a_child_makes_its_own_connections(engine):
    db = Database(engine.address)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(db.connect())
    child = os.fork()
    if not child:
        try:
            asyncio.run(db.fetch_val("select 1"))
        except Exception as error:
            os._exit(0 if "forked" in str(error) else 2)
        os._exit(3)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert loop.run_until_complete(asyncio.wait_for(until_answered(db), 60)) == 2
    loop.run_until_complete(db.disconnect())
    loop.close()


async def until_answered(db):
    return await db.fetch_val("select 2")


def test_a_pool_belongs_to_its_loop(engine):
    db = Database(engine.address)
    asyncio.run(db.connect())

    async def other():
        with pytest.raises(Exception, match="another event loop"):
            await db.fetch_val("select 1")

    asyncio.run(other())
