"""naja.databases on MariaDB: values, errors, transactions, cancelled tasks."""

import asyncio
import datetime
import decimal

import pytest

from naja.databases import Database

SCHEMES = ("mysql", "mysql+asyncmy")


@pytest.fixture
def run(mariadb):
    """Runs a coroutine with a database that has an empty table `rows`."""

    def run(work, scheme="mysql", **options):
        async def main():
            async with Database(mariadb.url.replace("mysql", scheme), **options) as db:
                await db.execute("drop table if exists `rows`")
                await db.execute("create table `rows` (id integer primary key auto_increment, name varchar(20), n integer unique)")
                return await work(db)

        return asyncio.run(asyncio.wait_for(main(), 120))

    return run


async def refusal(awaitable):
    with pytest.raises(Exception) as caught:
        await awaitable
    return caught.value


EVERYTHING = {
    "small": ("smallint", -32768),
    "whole": ("integer", 2147483647),
    "big": ("bigint", -(2**63)),
    "real_": ("double", 0.1),
    "number": ("decimal(30, 5)", decimal.Decimal("-12345678901234567890.00123")),
    "words": ("text", "it's ü\n"),
    "raw": ("blob", b"\x00\xff'"),
    "day": ("date", datetime.date(1000, 1, 1)),
    "moment": ("datetime(6)", datetime.datetime(2024, 2, 29, 12, 30, 0, 1)),
}


def test_values_come_back_as_they_were(run):
    async def work(db):
        columns = ", ".join(f"{name} {kind}" for name, (kind, _) in EVERYTHING.items())
        await db.execute("drop table if exists everything")
        await db.execute(f"create table everything ({columns})")
        places = ", ".join(f":{name}" for name in EVERYTHING)
        values = {name: value for name, (_, value) in EVERYTHING.items()}
        await db.execute(f"insert into everything values ({places})", values)
        await db.execute(f"insert into everything values ({places})", dict.fromkeys(EVERYTHING))
        full, empty = await db.fetch_all("select * from everything")
        assert dict(full._mapping.items()) == values
        assert set(empty.values()) == {None}

    run(work)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_execute_gives_the_new_id_or_how_many_rows(run, scheme):
    async def work(db):
        assert await db.execute("insert into `rows` (n) values (5)") == 1
        assert await db.execute("insert into `rows` (n) values (6)") == 2
        assert await db.execute("update `rows` set name = 'a'") == 2
        assert await db.fetch_val("select count(*) from `rows` where n = :n or :n is null", {"n": 5}) == 1

    run(work, scheme)


def test_refusals_have_their_number(run):
    async def work(db):
        await db.execute("insert into `rows` (n) values (1)")
        error = await refusal(db.execute("insert into `rows` (n) values (1)"))
        assert type(error).__name__ == "IntegrityError" and error.args[0] == 1062
        assert type(await refusal(db.execute("select * from nowhere"))).__name__ == "ProgrammingError"
        error = await refusal(db.execute("insert into `rows` (name) values (:name)", {"name": {"a": 1}}))
        assert "(`name`)" in str(error)

    run(work)


def test_many_rows_are_all_or_none(run):
    async def work(db):
        await db.execute_many("insert into `rows` (n) values (:n)", [{"n": n} for n in range(5_000)])
        assert await db.fetch_val("select count(*) from `rows`") == 5_000
        many = [{"n": -1}, {"n": 7}, {"n": -2}]
        assert (await refusal(db.execute_many("insert into `rows` (n) values (:n)", many))).args[0] == 1062
        assert await db.fetch_val("select count(*) from `rows` where n < 0") == 0
        async with db.transaction():
            await db.execute("insert into `rows` (n) values (-5)")
            await refusal(db.execute_many("insert into `rows` (n) values (:n)", many))
        assert [row.n for row in await db.fetch_all("select n from `rows` where n < 0")] == [-5]

    run(work)


def test_transactions_nest(run):
    async def work(db):
        async with db.transaction():
            await db.execute("insert into `rows` (n) values (1)")
            with pytest.raises(ZeroDivisionError):
                async with db.transaction():
                    await db.execute("insert into `rows` (n) values (2)")
                    raise ZeroDivisionError
            async with db.transaction():
                await db.execute("insert into `rows` (n) values (3)")
        assert [row.n for row in await db.fetch_all("select n from `rows` order by n")] == [1, 3]

    run(work)


def test_rows_are_read_as_they_are_asked_for(run):
    async def work(db):
        await db.execute_many("insert into `rows` (n) values (:n)", [{"n": n} for n in range(1_000)])
        seen = []
        async for row in db.iterate("select n from `rows` order by n"):
            seen.append(row.n)
            if row.n % 300 == 0:
                assert await db.fetch_val("select 5") == 5
        assert seen == list(range(1_000))
        async for row in db.iterate("select n from `rows` order by n"):
            if row.n == 250:
                break
        assert await db.fetch_val("select count(*) from `rows`") == 1_000

    run(work)


def test_raw_connections_have_cursors(run):
    async def work(db):
        async with db.connection() as connection:
            cursor = await connection.raw_connection.cursor()
            await cursor.execute("insert into `rows` (name, n) values (%s, %s)", ("a %", 1))
            assert (cursor.rowcount, cursor.lastrowid) == (1, 1)
            await cursor.executemany("insert into `rows` (n) values (%s)", [(2,), (3,)])
            async with connection.raw_connection.cursor() as cursor:
                await cursor.execute("select n from `rows` where n > %(n)s", {"n": 1})
                assert await cursor.fetchall() == [(2,), (3,)]

    run(work)


def test_a_wrong_login_keeps_its_password_to_itself(mariadb):
    async def main():
        url = mariadb.url.replace("root@", "root:5ecr3t@")
        error = await refusal(Database(url).connect())
        assert error.args[0] == 1045 and "5ecr3t" not in repr(error)

    asyncio.run(main())
