"""naja.databases on PostgreSQL: values, errors, pools, options."""

import asyncio
import datetime
import decimal
import uuid

import pytest

from naja.databases import Database

SCHEMES = ("postgresql", "postgresql+aiopg")


@pytest.fixture
def run(postgres):
    """Runs a coroutine with a database that has an empty table `rows`."""

    def run(work, scheme="postgresql", **options):
        async def main():
            async with Database(postgres.at(scheme), **options) as db:
                await db.execute("drop table if exists rows")
                await db.execute("create table rows (id serial primary key, name varchar(20), n integer unique)")
                return await work(db)

        return asyncio.run(main())

    return run


async def refusal(awaitable):
    """The class and the words of what is raised."""
    with pytest.raises(Exception) as caught:
        await awaitable
    return caught.value


EVERYTHING = {
    "yes": ("boolean", True),
    "small": ("smallint", -32768),
    "whole": ("integer", 2147483647),
    "big": ("bigint", -(2**63)),
    "real": ("double precision", 0.1),
    "single": ("real", 0.5),
    "number": ("numeric", decimal.Decimal("-12345678901234567890.00123")),
    "words": ("text", "it's ü\n"),
    "padded": ("char(4)", "a   "),
    "raw": ("bytea", b"\x00\xff'"),
    "day": ("date", datetime.date(1, 1, 1)),
    "clock": ("time", datetime.time(23, 59, 59, 999999)),
    "moment": ("timestamp", datetime.datetime(2024, 2, 29, 12, 30, 0, 1)),
    "zoned": ("timestamptz", datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.timezone.utc)),
    "stretch": ("interval", datetime.timedelta(days=-3, seconds=7, microseconds=5)),
    "key": ("uuid", uuid.UUID("12345678-1234-5678-1234-567812345678")),
    "list": ("integer[]", [1, None, 3]),
    "lists": ("text[]", [["a", "b"], ["c", 'd"\\']]),
    "empty": ("integer[]", []),
    "document": ("jsonb", '{"a": [1, 2]}'),
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
        assert [type(value) for value in full.values()] == [type(value) for value in values.values()]
        assert set(empty.values()) == {None}
        assert full.zoned.tzinfo is datetime.timezone.utc

    run(work)


def test_driver_decides_what_json_and_floats_of_32_bits_become(run):
    async def work(db):
        return tuple((await db.fetch_one("""select '{"a": [1]}'::json a, 'true'::jsonb b, 1.1::real c"""))._mapping)

    assert run(work) == ('{"a": [1]}', "true", 1.100000023841858)
    assert run(work, "postgresql+aiopg") == ({"a": [1]}, True, 1.1)


def test_infinity_is_the_last_day(run):
    async def work(db):
        row = await db.fetch_one(
            "select 'infinity'::date a, '-infinity'::date b, 'infinity'::timestamp c, '-infinity'::timestamptz d"
        )
        return tuple(row._mapping)

    utc = datetime.timezone.utc
    expected = (datetime.date.max, datetime.date.min, datetime.datetime.max, datetime.datetime.min.replace(tzinfo=utc))
    assert run(work) == expected


def test_what_has_no_object_names_its_column_and_the_connection_goes_on(run):
    async def work(db):
        async with db.connection():
            for sql in ("select 1 as a, '4713-01-01 BC'::date as day", "select '24:00'::time as day"):
                error = await refusal(db.fetch_one(sql))
                assert isinstance(error, ValueError) and "column `day`" in str(error)
            assert await db.fetch_val("select 1") == 1

    run(work)


def test_bad_values_name_their_parameter(run):
    wrong = {
        "id": ("a", 2.5, 2**31, 2**63, datetime.date(2020, 1, 1)),
        "name": (5, b"a", "with \0 in it", "\ud800", {"a": 1}),
    }

    async def work(db):
        async with db.connection():
            for name, values in wrong.items():
                for value in values:
                    error = await refusal(
                        db.execute("insert into rows (id, name) values (:id, :name)", {"id": 1, "name": "a", name: value})
                    )
                    assert type(error).__name__ == "DataError", (value, error)
                    assert f"(`{name}`)" in str(error), error
            many = [{"n": 1}, {"n": 2}, {"n": "three"}]
            error = await refusal(db.execute_many("insert into rows (n) values (:n)", many))
            assert "(`n`) of row 3" in str(error)
            # All of it, or nothing.
            assert await db.fetch_val("select count(*) from rows") == 0

    run(work)


def test_zones_are_not_lost_in_silence(run):
    async def work(db):
        zoned = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
        error = await refusal(db.fetch_val("select :at ::timestamp", {"at": zoned}))
        assert "time zones" in str(error)
        naive = datetime.datetime(2020, 6, 1, 12)
        seen = await db.fetch_val("select :at ::timestamptz", {"at": naive})
        assert seen == naive.astimezone(datetime.timezone.utc)

    run(work)


def test_names_have_one_place_each(run):
    async def work(db):
        query = "select id from rows where (n = :n or :n is null) and name = :name order by id"
        await db.execute_many("insert into rows (name, n) values (:name, :n)", [{"name": "a", "n": n} for n in range(3)])
        assert [row.id for row in await db.fetch_all(query, {"n": 1, "name": "a"})] == [2]
        assert [row.id for row in await db.fetch_all(query, {"n": None, "name": "a"})] == [1, 2, 3]
        # Neither a type nor what stands in quotes is a name.
        row = await db.fetch_one("select '1'::int, ':a', $$ :b $$, E'\\' :c', :d ::int", {"d": 4})
        assert tuple(row._mapping) == (1, ":a", " :b ", "' :c", 4)

    run(work)


def test_names_that_do_not_fit(run):
    async def work(db):
        async with db.connection():
            assert type(await refusal(db.fetch_one("select :a ::int", {}))).__name__ == "InvalidRequestError"
            for values in ({"a": 1, "b": 2}, {"b": 2}):
                assert type(await refusal(db.fetch_one("select :a ::int", values))).__name__ == "ArgumentError"
            assert await db.fetch_val("select :a ::int", {"a": 1}) == 1

    run(work)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_refusals_say_what_the_server_said(run, scheme):
    async def work(db):
        await db.execute("insert into rows (n) values (1)")
        error = await refusal(db.execute("insert into rows (n) values (1)"))
        assert error.sqlstate == "23505" and error.constraint_name == "rows_n_key" and error.table_name == "rows"
        assert "DETAIL:  Key (n)=(1) already exists." in str(error)
        assert type(await refusal(db.execute("select * from nowhere"))).__name__ == "ProgrammingError"
        assert type(await refusal(db.execute("not sql"))).__name__ == "ProgrammingError"
        assert type(await refusal(db.execute("select 1/0"))).__name__ == "DataError"

    run(work, scheme)


def test_execute_gives_the_first_value(run):
    async def work(db):
        assert await db.execute("insert into rows (n) values (5) returning id, n") == 1
        assert await db.execute("update rows set n = 6") is None
        assert await db.execute("select n from rows where n > 100") is None

    run(work)


def test_what_is_prepared_follows_its_table(run):
    async def work(db):
        async with db.connection():
            await db.execute("insert into rows (n) values (1)")
            assert len((await db.fetch_one("select * from rows")).keys()) == 3
            await db.execute("alter table rows add column extra text default 'new'")
            assert (await db.fetch_one("select * from rows")).extra == "new"
            await db.execute("deallocate all")
            assert (await db.fetch_one("select * from rows")).extra == "new"

    run(work)


def test_no_statement_is_kept_where_that_is_asked_for(run):
    async def work(db):
        async with db.connection() as connection:
            for number in range(3):
                assert await db.fetch_val("select :n ::int", {"n": number}) == number
                assert await db.fetch_val("select :n ::int + 1", {"n": number}) == number + 1
            kept = await connection.raw_connection.fetch("select * from pg_prepared_statements where name <> ''")
            assert kept == []

    run(work, statement_cache_size=0)


def test_iterating_needs_no_memory_for_the_whole(run):
    async def work(db):
        count = 0
        async with db.connection() as connection:
            async for row in db.iterate("select i, repeat('x', 1000) as filling from generate_series(1, 5000) as i"):
                count += 1
                assert row.i == count
                if count % 1000 == 1:
                    # Whoever is slow is given no more than was asked for, and may ask something else meanwhile.
                    await asyncio.sleep(0.01)
                    assert await db.fetch_val("select :n ::int", {"n": count}) == count
                    open_now = await connection.raw_connection.fetchval("select count(*) from pg_cursors where name <> ''")
                    assert open_now == 1
            assert await connection.raw_connection.fetchval("select count(*) from pg_cursors where name <> ''") == 0
        return count

    assert run(work) == 5000


def test_a_loop_that_is_left_leaves_nothing(run):
    async def work(db):
        async with db.transaction():
            await db.execute("insert into rows (n) values (1)")
            async for row in db.iterate("select i from generate_series(1, 1000000) as i"):
                if row.i == 250:
                    break
            await asyncio.sleep(0)
            assert await db.fetch_val("select count(*) from rows") == 1
        assert await db.fetch_val("select count(*) from rows") == 1

    run(work)


def test_a_loop_that_is_left_does_not_hold_up_the_end(run, caplog):
    async def work(db):
        # Its connection is given back by another task, while the database is being disconnected.
        async for row in db.iterate("select i from generate_series(1, 1000) as i"):
            if row.i == 250:
                break
        assert await db.fetch_val("select 1") == 1

    # A connection that is not given back is told at the end.
    with caplog.at_level("WARNING", "databases"):
        run(work)
    assert not caplog.records


def test_transactions_nest_and_take_options(run):
    async def work(db):
        async with db.transaction(isolation="serializable", readonly=True, deferrable=True):
            assert await db.fetch_val("show transaction_isolation") == "serializable"
            assert await db.fetch_val("show transaction_read_only") == "on"
        with pytest.raises(ValueError, match="isolation"):
            async with db.transaction(isolation="none"):
                pass
        async with db.transaction():
            await db.execute("insert into rows (n) values (1)")
            for ending in (True, False):
                with pytest.raises(ZeroDivisionError):
                    async with db.transaction():
                        await db.execute("insert into rows (n) values (2)")
                        if ending:
                            # The server has ended the savepoint's part, and that alone.
                            await refusal(db.execute("insert into rows (n) values (1)"))
                        raise ZeroDivisionError
            async with db.transaction():
                await db.execute("insert into rows (n) values (3)")
        assert [row.n for row in await db.fetch_all("select n from rows order by n")] == [1, 3]

    run(work)


def test_force_rollback_leaves_nothing(postgres, run):  # noqa: F811
    async def work(db):
        async with Database(postgres.url, force_rollback=True) as undone:
            await asyncio.gather(*(undone.execute("insert into rows (n) values (:n)", {"n": n}) for n in range(20)))
            assert await undone.fetch_val("select count(*) from rows") == 20
        assert await db.fetch_val("select count(*) from rows") == 0

    run(work)


def test_many_rows_are_all_or_none(run):
    async def work(db):
        rows = [{"n": n} for n in range(50_000)]
        await db.execute_many("insert into rows (n) values (:n)", rows)
        assert await db.fetch_val("select count(*) from rows") == 50_000
        error = await refusal(db.execute_many("insert into rows (n) values (:n)", [{"n": -1}, {"n": 7}, {"n": -2}]))
        assert error.sqlstate == "23505"
        assert await db.fetch_val("select count(*) from rows where n < 0") == 0
        await db.execute_many("insert into rows (n) values (:n)", [])

    run(work)


def test_sixty_four_tasks_share_a_pool(run):
    async def work(db):
        async def one(number):
            async with db.transaction():
                await db.execute("insert into rows (n) values (:n)", {"n": number})
                await asyncio.sleep(0)
                assert await db.fetch_val("select n from rows where n = :n", {"n": number}) == number

        await asyncio.gather(*(one(number) for number in range(64)))
        assert await db.fetch_val("select count(*) from rows") == 64
        # More were never open than were allowed.
        assert await db.fetch_val("select count(*) from pg_stat_activity where application_name = 'shared'") <= 5

    run(work, max_size=5, application_name="shared")


def test_the_next_task_finds_nothing_of_the_last(run):
    async def work(db):
        for leaving in (
            "set work_mem = '1234kB'",
            "select set_config('work_mem', '1234kB', false)",
            "select pg_advisory_lock(17)",
            "begin",
            "declare c cursor with hold for select 1",
            "listen somewhere",
            "select pg_catalog.set_config('work_mem', '1234kB', false)",
        ):
            await db.execute(leaving)
            assert await db.fetch_val("show work_mem") == "4MB", leaving
            assert await db.fetch_val("select count(*) from pg_locks where locktype = 'advisory'") == 0, leaving
            assert await db.fetch_val("select count(*) from pg_cursors where is_holdable") == 0, leaving
            assert await db.fetch_val("select count(*) from pg_listening_channels()") == 0, leaving
            async with db.connection() as connection:
                assert not connection.raw_connection.is_in_transaction(), leaving

    run(work, min_size=1, max_size=1)


def test_options_reach_the_server_and_others_are_refused(run, postgres):  # noqa: F811
    async def work(db):
        assert await db.fetch_val("show search_path") == "elsewhere"
        return await db.fetch_val("show application_name")

    async def main():
        words = {"server_settings": {"search_path": "elsewhere"}, "application_name": "mine"}
        async with Database(postgres.url, **words) as db:
            assert await work(db) == "mine"
        for options, error in (({"nonsense": 1}, TypeError), ({"max_size": 0}, ValueError), ({"ssl": "maybe"}, ValueError)):
            db = Database(postgres.url, **options)
            with pytest.raises(error):
                await db.connect()

    asyncio.run(main())


def test_a_statement_may_be_given_so_much_time(run):
    async def work(db):
        with pytest.raises(asyncio.TimeoutError):
            await db.execute("select pg_sleep(60)")
        assert await db.fetch_val("select count(*) from pg_stat_activity where query like 'select pg_sleep(60)%' and state = 'active'") == 0

    run(work, command_timeout=0.2, max_size=1)


def test_raw_connections_are_the_drivers(run):
    async def theirs(db):
        async with db.connection() as connection:
            raw = connection.raw_connection
            assert raw is connection.raw_connection
            assert await raw.execute("insert into rows (name, n) values ($1, $2)", "a", 1) == "INSERT 0 1"
            await raw.executemany("insert into rows (name, n) values ($1, $2)", [("b", 2), ("c", 3)])
            assert [tuple(row) for row in await raw.fetch("select name, n from rows where n > $1", 1)] == [("b", 2), ("c", 3)]
            assert (await raw.fetchrow("select * from rows where n = $1", 3))["name"] == "c"
            assert await raw.fetchval("select count(*) from rows") == 3
            assert "values" in str(await refusal(raw.fetchval("select $1::int")))
            with pytest.raises(ZeroDivisionError):
                async with raw.transaction():
                    await raw.execute("delete from rows; delete from rows")
                    raise ZeroDivisionError
            assert await raw.fetchval("select count(*) from rows") == 3

    run(theirs)

    async def aiopg(db):
        async with db.connection() as connection:
            cursor = await connection.raw_connection.cursor()
            await cursor.execute("insert into rows (name, n) values (%s, %s)", ("a %", 1))
            assert cursor.rowcount == 1
            await cursor.execute("select name, n from rows where n = %(n)s and name like '%%'", {"n": 1})
            assert [column[0] for column in cursor.description] == ["name", "n"]
            assert await cursor.fetchall() == [("a %", 1)]
            assert await cursor.fetchone() is None

    run(aiopg, "postgresql+aiopg")


def test_a_password_that_nobody_says_comes_from_the_file_of_libpq(postgres, tmp_path, monkeypatch):
    file = tmp_path / "passwords"
    file.write_text("127.0.0.1:1:*:scram_user:wrong\n*:*:*:scram_user:right\n")
    file.chmod(0o600)

    async def main():
        admin = Database(postgres.url)
        await admin.connect()
        await admin.execute("drop role if exists scram_user")
        await admin.execute("create role scram_user login password 'right'")
        async with Database(postgres.at(user="scram_user"), passfile=file) as db:
            assert await db.fetch_val("select current_user") == "scram_user"
        monkeypatch.setenv("PGPASSFILE", str(file))
        async with Database(postgres.at(user="scram_user")) as db:
            assert await db.fetch_val("select current_user") == "scram_user"
        await admin.execute("drop role scram_user")
        await admin.disconnect()

    asyncio.run(main())


def test_nothing_answers_or_the_login_is_wrong(postgres):
    async def main():
        secret = "5ecr3t-w0rd"
        admin = Database(postgres.url)
        await admin.connect()
        await admin.execute("drop role if exists scram_user")
        await admin.execute("create role scram_user login password 'right'")
        wrong = (
            (postgres.at(user="scram_user", password=secret), "28P01"),
            (postgres.at(database="nowhere"), "3D000"),
            (postgres.at(user="nobody_here", password=secret), "28000"),
            (f"postgresql://postgres:{secret}@127.0.0.1:1/postgres", None),
            (f"postgresql://postgres:{secret}@no-such-host.invalid/postgres", None),
            (f"postgresql://postgres:{secret}@/postgres?host=/no/such/folder", None),
        )
        for url, code in wrong:
            for scheme in SCHEMES:
                db = Database(url.replace("postgresql", scheme))
                error = await refusal(db.connect())
                while error is not None:
                    assert secret not in str(error) and secret not in repr(error) and secret not in repr(db.url)
                    error, code_seen = error.__context__, getattr(error, "sqlstate", None)
                    assert code is None or code_seen == code
                assert not db.is_connected
        async with Database(postgres.at(user="scram_user", password="right")) as db:
            assert await db.fetch_val("select current_user") == "scram_user"
        await admin.execute("drop role scram_user")
        await admin.disconnect()

    asyncio.run(main())
