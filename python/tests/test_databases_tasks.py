"""naja.databases: tasks, transactions, cancelled statements, loops, threads, processes."""

import asyncio
import gc
import os
import pathlib
import random
import signal
import sqlite3
import subprocess
import sys
import threading

import pytest

from naja.databases import Database

# It never ends by itself.
ENDLESS = "with recursive c(x) as (select 1 union all select x + 1 from c) select count(*) from c"
# While one of these runs nobody else may write; the second writes nothing.
ENDLESS_ROWS = "insert into rows with recursive c(x) as (select 100 union all select x + 1 from c) select x, 0 from c"
ENDLESS_WRITE = "insert into rows with recursive c(x) as (select 100 union all select x + 1 from c) select x, 0 from c where x < 0"

pytestmark = pytest.mark.usefixtures("switched")


@pytest.fixture
def path(tmp_path):
    base = sqlite3.connect(tmp_path / "rows.db")
    base.execute("create table rows (id integer primary key, n integer)")
    base.execute("insert into rows values (1, 1)")
    base.commit()
    base.close()
    return tmp_path / "rows.db"


def run(path, work, **options):
    async def main():
        async with Database(f"sqlite:///{path}", **options) as db:
            return await work(db)

    return asyncio.run(main())


def seen_by_others(path):
    base = sqlite3.connect(path, timeout=0)
    try:
        return [row[0] for row in base.execute("select n from rows order by id")]
    finally:
        base.close()


def may_write(path):
    base = sqlite3.connect(path, timeout=0)
    try:
        base.execute("begin immediate")
        return True
    except sqlite3.OperationalError:
        return False
    finally:
        base.close()


async def until(condition):
    while not condition():
        await asyncio.sleep(0)


def descriptors(path):
    return sum(os.path.realpath(f"/proc/self/fd/{one}") == str(path) for one in os.listdir("/proc/self/fd"))


def workers():
    names = [pathlib.Path(f"/proc/self/task/{one}/comm") for one in os.listdir("/proc/self/task")]
    return sum(name.read_text().startswith("naja-sqlite") for name in names if name.exists())


def test_a_transaction_is_seen_by_others_when_it_is_committed(path):
    async def work(db):
        async with db.transaction():
            await db.execute("update rows set n = 2")
            assert seen_by_others(path) == [1]
        assert seen_by_others(path) == [2]

    run(path, work)


def test_an_inner_transaction_is_undone_alone(path):
    async def work(db):
        async with db.transaction():
            await db.execute("insert into rows values (2, 2)")
            with pytest.raises(ZeroDivisionError):
                async with db.transaction():
                    await db.execute("insert into rows values (3, 3)")
                    1 / 0  # noqa: B018
            async with db.transaction():
                await db.execute("insert into rows values (4, 4)")

    run(path, work)
    assert seen_by_others(path) == [1, 2, 4]


def test_tasks_do_not_see_each_other_s_open_transactions(path):
    async def work(db):
        async with db.transaction():
            await db.execute("update rows set n = 2")
            other = asyncio.create_task(db.fetch_val("select n from rows"))
            assert (await other, await db.fetch_val("select n from rows")) == (1, 2)

    run(path, work)


def test_what_was_set_or_attached_in_a_connection_does_not_reach_the_next_task(path):
    async def work(db):
        async def spoil():
            async with db.connection():
                await db.execute("create temp table mine (a)")
                await db.execute("pragma foreign_keys = on")
                await db.execute("attach ':memory:' as beside")

        await asyncio.create_task(spoil())
        assert await db.fetch_val("select count(*) from sqlite_temp_master") == 0
        assert await db.fetch_val("pragma foreign_keys") == 0
        assert len(await db.fetch_all("pragma database_list")) == 1

    run(path, work)


def test_a_file_that_was_replaced_is_opened_anew(path):
    async def work(db):
        assert await db.fetch_val("select n from rows") == 1
        other = path.with_name("other.db")
        base = sqlite3.connect(other)
        base.executescript("create table rows (id integer primary key, n integer); insert into rows values (1, 7)")
        base.close()
        other.replace(path)
        return await db.fetch_val("select n from rows")

    assert run(path, work) == 7


def test_a_cancelled_statement_is_interrupted_and_its_connection_goes_on_clean(path):
    async def work(db):
        task = asyncio.create_task(db.execute(ENDLESS_WRITE))
        await until(lambda: not may_write(path))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert may_write(path)
        assert await db.fetch_val("select count(*) from rows") == 1

    run(path, work)


def test_a_cancelled_statement_on_a_shared_connection_takes_no_other_with_it(path):
    async def work(db):
        async with db.connection() as connection:
            first = asyncio.create_task(connection.fetch_val(ENDLESS))
            second = asyncio.create_task(connection.fetch_val("select n from rows"))
            await asyncio.sleep(0)
            first.cancel()
            assert await second == 1
            with pytest.raises(asyncio.CancelledError):
                await first

    run(path, work)


def test_a_task_cancelled_in_a_transaction_leaves_nothing_of_it(path):
    async def work(db):
        is_in = asyncio.Event()

        async def change():
            async with db.transaction():
                await db.execute("update rows set n = 2")
                is_in.set()
                await db.execute(ENDLESS_WRITE)

        task = asyncio.create_task(change())
        await is_in.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert may_write(path)

    run(path, work)
    assert seen_by_others(path) == [1]


def test_after_an_interrupt_ended_the_transaction_nothing_more_is_written_in_it(path):
    async def work(db):
        with pytest.raises(sqlite3.OperationalError, match="rolled back by the database"):
            async with db.transaction():
                await db.execute("update rows set n = 2")
                writing = asyncio.create_task(db.connection().execute(ENDLESS_ROWS))
                # It runs when what it writes no longer fits into SQLite's memory.
                await until(lambda: path.stat().st_size > 1 << 20)
                writing.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await writing
                await db.execute("update rows set n = 3")
        await db.execute("insert into rows values (2, 2)")

    run(path, work)
    assert seen_by_others(path) == [1, 2]


def test_a_commit_that_fails_is_undone_and_its_connection_is_given_back(path):
    async def work(db):
        reader = sqlite3.connect(path)
        reader.execute("begin")
        reader.execute("select * from rows").fetchall()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            async with db.transaction():
                await db.execute("update rows set n = 2")
        reader.close()
        assert may_write(path) and await db.fetch_val("select n from rows") == 1
        async with db.transaction():
            await db.execute("update rows set n = 3")

    run(path, work, timeout=0)
    assert seen_by_others(path) == [3]


def test_a_locked_file_is_waited_for_and_then_told(path):
    async def work(db):
        writer = sqlite3.connect(path)
        writer.execute("begin immediate")
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            await db.execute("update rows set n = 2")
        writer.close()
        await db.execute("update rows set n = 2")

    run(path, work, timeout=0.05)
    assert seen_by_others(path) == [2]


def test_disconnect_closes_every_connection_and_ends_every_thread(path):
    async def work(db):
        await asyncio.gather(*[db.fetch_val("select n from rows") for _ in range(20)])
        assert 0 < descriptors(path) <= 8

    run(path, work)
    gc.collect()
    assert descriptors(path) == 0
    asyncio.run(until(lambda: workers() == 0))


def test_a_database_that_is_dropped_ends_its_threads(path):
    async def work():
        db = Database(f"sqlite:///{path}")
        await db.connect()
        await db.fetch_val("select 1")

    asyncio.run(work())
    gc.collect()
    asyncio.run(until(lambda: workers() == 0))


def test_sixty_four_threads_with_loops_of_their_own_share_one_database(path):
    db = Database(f"sqlite:///{path}", timeout=60)
    found = []

    async def work(number):
        await db.execute("insert into rows values (:id, :id)", {"id": number})
        found.append(await db.fetch_val("select n from rows where id = :id", {"id": number}))

    threads = [threading.Thread(target=lambda number=number: asyncio.run(work(number))) for number in range(2, 66)]
    asyncio.run(db.connect())
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    asyncio.run(db.disconnect())
    assert sorted(found) == list(range(2, 66)) and len(seen_by_others(path)) == 65


def test_a_loop_that_was_closed_in_mid_statement_leaves_a_database_that_works(path):
    db = Database(f"sqlite:///{path}")
    loop = asyncio.new_event_loop()
    loop.run_until_complete(db.connect())
    task = loop.create_task(db.fetch_val(ENDLESS))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    task._log_destroy_pending = False
    del task
    gc.collect()
    assert asyncio.run(db.fetch_val("select n from rows")) == 1
    asyncio.run(db.disconnect())


def test_outside_of_a_task_it_says_so(path):
    db = Database(f"sqlite:///{path}")
    with pytest.raises(RuntimeError, match="no running event loop"):
        db.connection()


FORKED = """
import asyncio, os, sys
from naja.databases import Database

db = Database(sys.argv[1])

async def first():
    await db.connect()
    async with db.connection() as held:
        await held.fetch_val("select n from rows")
        return held

async def before():
    global held
    held = db.connection()
    await held.__aenter__()
    await held.fetch_val("select n from rows")

async def stale():
    try:
        await held.fetch_val("select n from rows")
    except RuntimeError as error:
        print("told:", error, flush=True)

async def anew():
    print("child:", await db.fetch_val("select n from rows"), flush=True)

asyncio.run(db.connect())
loop = asyncio.new_event_loop()
loop.run_until_complete(before())
if os.fork() == 0:
    asyncio.run(stale())
    asyncio.run(anew())
    sys.exit(0)
_, status = os.wait()
print("parent:", loop.run_until_complete(held.fetch_val("select n from rows")), status, flush=True)
"""


def output(code, path, **options):
    done = subprocess.run(
        [sys.executable, "-c", code, f"sqlite:///{path}"], capture_output=True, text=True, timeout=60, **options
    )
    return done.stdout, done.stderr, done.returncode


def test_a_child_after_a_fork_is_told_about_old_connections_and_makes_new_ones(path):
    stdout, stderr, code = output(FORKED, path)
    assert stdout.splitlines() == [
        "told: this connection belongs to the process that this one was forked from; connect again in the child",
        "child: 1",
        "parent: 1 0",
    ]
    assert code == 0, stderr


LEFT = """
import asyncio, sys
from naja.databases import Database

db = Database(sys.argv[1])

async def main():
    await db.connect()
    transaction = await db.transaction()
    await db.execute("update rows set n = 2")
    asyncio.get_running_loop().create_task(db.fetch_val(%r))
    await asyncio.sleep(0)
    print("left", flush=True)

loop = asyncio.new_event_loop()
loop.run_until_complete(main())
"""


def test_the_interpreter_ends_while_a_statement_runs(path):
    stdout, _, code = output(LEFT % ENDLESS, path)
    assert (stdout, code) == ("left\n", 0)
    assert seen_by_others(path) == [1] and may_write(path)


INTERRUPTED = """
import asyncio, sys
from naja.databases import Database

async def main():
    async with Database(sys.argv[1]) as db:
        try:
            await db.execute(%r)
        finally:
            print("over", await db.fetch_val("select n from rows"), flush=True)

asyncio.run(main())
"""


CHILD = """
import asyncio, os, sys
from naja.databases import Database

async def work(db):
    await db.connect()
    await (await db.transaction()).commit()
    await db.execute("insert into rows (n) values (:n)", {"n": os.getpid()})
    db.connection()
    await db.transaction()
    asyncio.get_running_loop().create_task(db.fetch_val(sys.argv[2]))
    await asyncio.sleep(0)

asyncio.run(Database(sys.argv[1]).connect())
child = os.fork()
loop = asyncio.new_event_loop()
loop.run_until_complete(work(Database(sys.argv[1])))
if child:
    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
"""


def test_a_forked_child_ends_as_its_parent_does_while_a_statement_runs(path):
    command = [sys.executable, "-c", CHILD, f"sqlite:///{path}", ENDLESS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("0\n", 0), done.stderr
    assert len(seen_by_others(path)) == 3 and may_write(path)


def test_control_c_ends_a_statement_that_runs(path):
    child = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED % ENDLESS_WRITE, f"sqlite:///{path}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while may_write(path):
        assert child.poll() is None
    child.send_signal(signal.SIGINT)
    stdout, stderr = child.communicate(timeout=60)
    assert stdout == "over 1\n" and "KeyboardInterrupt" in stderr
    assert may_write(path)


def test_force_rollback_undoes_everything_at_the_end(path):
    async def work(db):
        await asyncio.gather(*[db.execute("insert into rows values (:id, 0)", {"id": id}) for id in range(2, 9)])
        async with db.transaction():
            await db.execute("update rows set n = 5")
        return await db.fetch_val("select count(*) from rows where n = 5")

    assert run(path, work, force_rollback=True) == 8
    assert seen_by_others(path) == [1]


def test_three_hundred_statements_at_once_come_back_each_with_its_own_result(path):
    async def work(db):
        async with db.connection() as connection:
            numbers = await asyncio.gather(
                *[connection.fetch_val("select :n", {"n": number}) for number in range(300)]
            )
        assert numbers == list(range(300))

    run(path, work)


def test_a_result_that_is_left_in_the_middle_undoes_nothing_that_is_written_after_it(path):
    async def work(db):
        async with db.transaction():
            async for _ in db.iterate("select 1 union select 2"):
                break
            await db.execute("update rows set n = 2")
            async with db.transaction():
                await db.execute("insert into rows values (2, 3)")

    run(path, work)
    assert seen_by_others(path) == [2, 3]


def test_transfers_that_are_cancelled_anywhere_leave_the_sum_as_it_was(path):
    chance = random.Random(7)
    # A statement of a loop that was closed under it runs on until the interpreter ends.
    before = workers()
    base = sqlite3.connect(path)
    base.execute("delete from rows")
    base.executemany("insert into rows values (?, 100)", [(id,) for id in range(10)])
    base.commit()
    base.close()
    acknowledged = []

    async def transfer(db, one, other):
        async with db.transaction():
            await db.execute("update rows set n = n - 1 where id = :id", {"id": one})
            async for row in db.iterate("select id from rows, (select 1 union select 2)"):
                if row.id == other:
                    break
            await db.execute("update rows set n = n + 1 where id = :id", {"id": other})
            await db.execute("insert into rows values (null, 0)")
        acknowledged.append(one)

    async def work(db):
        for _ in range(150):
            tasks = [asyncio.create_task(transfer(db, *chance.sample(range(10), 2))) for _ in range(3)]
            for task in tasks:
                for _ in range(chance.randrange(40)):
                    await asyncio.sleep(0)
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                # Two who read first and write then may not wait for each other: SQLite tells one of them.
                assert outcome is None or isinstance(outcome, (asyncio.CancelledError, sqlite3.OperationalError)), outcome
        # Generators that were left in the middle are closed by the loop, in tasks of its own.
        await until(lambda: not any(one._connection_counter for one in db._connection_map.values()))
        return await db.fetch_val("select sum(n) from rows"), await db.fetch_val("select count(*) from rows")

    total, count = run(path, work)
    # A commit that was cancelled may have been done all the same; what was acknowledged has been.
    assert total == 1000 and count >= 10 + len(acknowledged)
    # Tasks that ended by an error are in circles with it, and their connections with them.
    gc.collect()
    asyncio.run(until(lambda: workers() <= before))
    assert may_write(path)
