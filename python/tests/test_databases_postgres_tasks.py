"""naja.databases on PostgreSQL: cancelled tasks, dropped connections, restarted servers, killed processes, TLS."""

import asyncio
import os
import pathlib
import random
import signal
import subprocess
import sys
import textwrap

import pytest
from postgres_server import Server, postgres, programs  # noqa: F401

from naja.databases import Database


@pytest.fixture
def url(postgres):  # noqa: F811
    async def main():
        async with Database(postgres.url()) as db:
            await db.execute("drop table if exists rows")
            await db.execute("create table rows (id integer primary key, n integer)")

    asyncio.run(main())
    return postgres.url()


async def until(holds):
    """Waits for a condition, never for a time."""
    while not await holds():
        await asyncio.sleep(0.01)


def running(watch, sql):
    """Whether the server is running a statement that begins so."""

    async def holds():
        query = "select count(*) from pg_stat_activity where state = 'active' and query like :sql and pid <> pg_backend_pid()"
        return await watch.fetch_val(query, {"sql": sql + "%"}) > 0

    return holds


def not_running(watch, sql):
    async def holds():
        return not await running(watch, sql)()

    return holds


def test_a_cancelled_task_ends_its_statement(url):
    async def main():
        async with Database(url) as watch, Database(url, min_size=1, max_size=1) as db:
            process = await db.fetch_val("select pg_backend_pid()")
            task = asyncio.create_task(db.execute("select pg_sleep(3600)"))
            await until(running(watch, "select pg_sleep(3600)"))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            # It is the same connection, cleaned.
            assert await db.fetch_val("select pg_backend_pid()") == process
            assert not await running(watch, "select pg_sleep(3600)")()

    asyncio.run(main())


def test_a_cancelled_task_gives_its_transaction_back(url):
    async def main():
        async with Database(url) as watch, Database(url, min_size=1, max_size=1) as db:

            async def work():
                async with db.transaction():
                    await db.execute("insert into rows values (1, 1)")
                    await db.execute("select pg_sleep(3600)")

            task = asyncio.create_task(work())
            await until(running(watch, "select pg_sleep(3600)"))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await db.execute("insert into rows values (1, 2)")
            assert [row.n for row in await watch.fetch_all("select n from rows")] == [2]

    asyncio.run(main())


def test_a_cancelled_iteration_and_a_cancelled_load_leave_nothing(url):
    async def main():
        async with Database(url) as watch, Database(url, min_size=1, max_size=1) as db:

            async def iterate():
                async for _ in db.iterate("select pg_sleep(case when i > 150 then 3600 else 0 end), i from generate_series(1, 200) i"):
                    pass

            task = asyncio.create_task(iterate())
            await until(running(watch, "select pg_sleep(case"))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await db.fetch_val("select count(*) from pg_cursors where name <> ''") == 0

            rows = [{"id": number, "n": 0} for number in range(300_000)]
            task = asyncio.create_task(db.execute_many("insert into rows values (:id, :n)", rows))
            await until(running(watch, "insert into rows"))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await db.fetch_val("select count(*) from rows") == 0

    asyncio.run(main())


def test_tasks_cancelled_at_any_point_leave_no_dirty_connection(url):
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)

    async def main():
        async with Database(url, min_size=1, max_size=4) as db:
            await db.execute_many("insert into rows values (:id, 0)", [{"id": number} for number in range(50)])

            async def transfer(number):
                one, other = chance.sample(range(50), 2)
                async with db.transaction():
                    await db.execute("set local work_mem = '1234kB'")
                    await db.execute("update rows set n = n - 1 where id = :id", {"id": min(one, other)})
                    if number % 3 == 0:
                        async for _ in db.iterate("select * from rows"):
                            pass
                    await db.execute("update rows set n = n + 1 where id = :id", {"id": max(one, other)})
                    if number % 7 == 0:
                        await db.execute("select pg_sleep(0.05)")

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
                        raw = connection.raw_connection
                        assert not raw.is_in_transaction()
                        assert await raw.fetchval("show work_mem") == "4MB"
                        assert await db.fetch_val("select :n ::int", {"n": 5}) == 5
                    await asyncio.sleep(0.001)

            await asyncio.gather(checked(), *(one(number) for number in range(300)))
            assert await db.fetch_val("select sum(n) from rows") == 0

    asyncio.run(asyncio.wait_for(main(), 300))


def test_a_session_that_is_being_set_back_is_in_no_transaction(url):
    async def main():
        async with Database(url, min_size=1, max_size=1) as db:
            async with db.connection() as connection:
                await connection.raw_connection.execute("BEGIN")
            # It comes back at once, with its ROLLBACK still on the way.
            async with db.transaction():
                await db.execute("insert into rows values (1, 1)")
            async with db.connection() as connection:
                await connection.raw_connection.execute("BEGIN")
            async with db.connection() as connection:
                assert not connection.raw_connection.is_in_transaction()
            assert await db.fetch_val("select count(*) from rows") == 1

    asyncio.run(main())


def test_tasks_that_are_cancelled_in_the_queue_hold_nobody_up(url):
    async def main():
        async with Database(url, min_size=1, max_size=1) as db:
            async with db.connection():
                tasks = [asyncio.create_task(db.fetch_val("select 1")) for _ in range(10)]
                await asyncio.sleep(0)
                for task in tasks[::2]:
                    task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert [result if result == 1 else type(result) for result in results] == [asyncio.CancelledError, 1] * 5
            assert await db.fetch_val("select 2") == 2

    asyncio.run(main())


def test_one_connection_of_many_tasks_answers_each(url):
    async def main():
        async with Database(url) as db:
            async with db.connection() as connection:
                answers = await asyncio.gather(
                    *(connection.fetch_val("select :n ::int", {"n": number}) for number in range(500)),
                    *(connection.fetch_val(f"select {number}") for number in range(20)),
                )
                assert answers == [*range(500), *range(20)]
                # One that is wrong, and one that nobody waits for, are nothing to the others.
                waited = [asyncio.ensure_future(connection.fetch_val(f"select 1 / :n ::int", {"n": n % 3})) for n in range(30)]
                await asyncio.sleep(0)
                waited[4].cancel()
                results = await asyncio.gather(*waited, return_exceptions=True)
                for number, result in enumerate(results):
                    if number % 3 == 0:
                        assert result.sqlstate == "22012"
                    elif number != 4:
                        assert result == (1 if number % 3 == 1 else 0)

    asyncio.run(main())


def test_a_connection_that_drops_in_a_transaction_is_said_and_replaced(url):
    async def main():
        async with Database(url) as watch, Database(url, min_size=1, max_size=1) as db:
            with pytest.raises(Exception) as caught:
                async with db.transaction():
                    await db.execute("insert into rows values (1, 1)")
                    process = await db.fetch_val("select pg_backend_pid()")
                    await watch.execute("select pg_terminate_backend(:process ::int)", {"process": process})
                    await db.execute("insert into rows values (2, 2)")
            # By then it may have been seen already that the connection is closed.
            assert getattr(caught.value, "sqlstate", "08003") in ("57P01", "08003")
            assert "terminating connection" in str(caught.value)
            assert await db.fetch_val("select count(*) from rows") == 0
            # One that is dropped while nobody uses it is not handed out.
            process = await db.fetch_val("select pg_backend_pid()")
            await watch.execute("select pg_terminate_backend(:process ::int)", {"process": process})

            async def is_gone():
                query = "select count(*) from pg_stat_activity where pid = :process ::int"
                return await watch.fetch_val(query, {"process": process}) == 0

            await until(is_gone)
            assert await db.fetch_val("select 1") == 1

    asyncio.run(main())


def test_a_server_that_starts_again_is_used_again():
    if programs() is None:
        pytest.skip("no server of PostgreSQL is installed")
    server = Server()

    async def main():
        async with Database(server.url(), min_size=3, max_size=3) as db:
            await db.execute("create table kept (n integer)")
            waiting = asyncio.ensure_future(db.execute("select pg_sleep(3600)"))

            async def is_asleep():
                return await db.fetch_val("select count(*) from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'") > 0

            await until(is_asleep)
            await asyncio.to_thread(server.restart)
            with pytest.raises(Exception) as caught:
                await waiting
            assert caught.value.sqlstate in ("57P01", "57P02", "57P03", "08003")
            await asyncio.gather(*(db.execute("insert into kept values (1)") for _ in range(10)))
            assert await db.fetch_val("select count(*) from kept") == 10

    try:
        asyncio.run(main())
    finally:
        server.stop()


CHILD = """
import asyncio, sys
from naja.databases import Database

async def main():
    async with Database(sys.argv[1], min_size=4, max_size=4) as db:
        async def work(first):
            number = first
            while True:
                async with db.transaction():
                    await db.execute("insert into killed values (:n, 'first')", {"n": number})
                    await db.execute_many("insert into killed values (:n, :what)", [{"n": number, "what": what} for what in "abc"])
                print(number, flush=True)
                number += 4
        await asyncio.gather(*(work(first) for first in range(int(sys.argv[2]), int(sys.argv[2]) + 4)))

asyncio.run(main())
"""


def test_what_was_acknowledged_is_there_however_the_process_ends(tmp_path):
    if programs() is None:
        pytest.skip("no server of PostgreSQL is installed")
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    script = tmp_path / "child.py"
    script.write_text(textwrap.dedent(CHILD))
    server = Server(fsync=True)

    async def prepare():
        async with Database(server.url()) as db:
            await db.execute("create table killed (n integer, what text)")

    async def found():
        async with Database(server.url()) as db:

            async def nobody_else():
                query = "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
                return await db.fetch_val(query) == 0

            await until(nobody_else)
            rows = await db.fetch_all("select n, array_agg(what order by what) as all from killed group by n")
            return {row.n: row.all for row in rows}

    try:
        asyncio.run(prepare())
        acknowledged = set()
        for number in range(int(os.environ.get("NAJA_KILLS", "12"))):
            child = subprocess.Popen([sys.executable, script, server.url(), str(number * 1_000_000)], stdout=subprocess.PIPE)
            # The first answer says that it works; then it is ended after some more of them.
            for _ in range(chance.randrange(1, 120)):
                acknowledged.add(int(child.stdout.readline()))
            child.send_signal(signal.SIGKILL)
            acknowledged.update(int(line) for line in child.stdout.read().splitlines(keepends=True) if line.endswith(b"\n"))
            child.wait()
        rows = asyncio.run(found())
        assert acknowledged <= rows.keys()
        assert all(whole == ["a", "b", "c", "first"] for whole in rows.values())
    finally:
        server.stop()


def test_a_child_makes_its_own_connections(url):
    db = Database(url)
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


def test_a_pool_belongs_to_its_loop(url):
    db = Database(url)
    asyncio.run(db.connect())

    async def other():
        with pytest.raises(Exception, match="another event loop"):
            await db.fetch_val("select 1")

    asyncio.run(other())


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory):
    """A server that speaks TLS, and whose certificate is signed by itself."""
    if programs() is None:
        pytest.skip("no server of PostgreSQL is installed")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "server.crt", folder / "server.key"
    command = ["openssl", "req", "-new", "-x509", "-days", "30", "-nodes", "-subj", "/CN=localhost", "-addext"]
    command += ["subjectAltName=DNS:localhost", "-out", certificate, "-keyout", key]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no openssl to make a certificate")
    server = Server(certificate=(certificate, key))

    async def prepare():
        async with Database(server.url(), ssl=False) as db:
            await db.execute("create role tls_user login password 'secret'")

    asyncio.run(prepare())
    yield server, str(certificate)
    server.stop()


ENCRYPTED = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"


def test_tls_is_used_as_the_options_say(encrypted):
    server, certificate = encrypted
    here = server.url().replace("127.0.0.1", "localhost")

    async def is_encrypted(url, **options):
        async with Database(url, **options) as db:
            return await db.fetch_val(ENCRYPTED)

    async def main():
        assert await is_encrypted(here) is True
        assert await is_encrypted(here, ssl="prefer") is True
        assert await is_encrypted(here + "?ssl=require") is True
        assert await is_encrypted(here, ssl=False) is False
        assert await is_encrypted(here, ssl="allow") is False
        assert await is_encrypted(f"{here}?sslmode=verify-full&sslrootcert={certificate}") is True
        assert await is_encrypted(server.socket_url()) is False
        # Nobody trusted has signed it.
        import ssl

        for word in (True, "verify-full", "verify-ca"):
            with pytest.raises(ssl.SSLCertVerificationError):
                await is_encrypted(here, ssl=word)
        # It is for another host.
        other = f"{server.url()}?sslmode=verify-full&sslrootcert={certificate}"
        with pytest.raises(ssl.SSLCertVerificationError):
            await is_encrypted(other)
        assert await is_encrypted(other.replace("verify-full", "verify-ca")) is True

    asyncio.run(main())


def test_a_login_is_tied_to_the_encryption_and_statements_are_cancelled_through_it(encrypted):
    server, _ = encrypted

    async def main():
        url = server.url(user="tls_user", password="secret")
        async with Database(url, min_size=1, max_size=1, channel_binding="require") as db:
            assert await db.fetch_val(ENCRYPTED) is True
            async with Database(server.url()) as watch:
                task = asyncio.create_task(db.execute("select pg_sleep(3600)"))
                await until(running(watch, "select pg_sleep(3600)"))
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await db.fetch_val("select 1") == 1
        with pytest.raises(Exception, match="pg_hba.conf"):
            async with Database(url, ssl=False):
                pass

    asyncio.run(main())
