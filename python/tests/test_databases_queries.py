"""naja.databases: queries, values, rows, errors, URLs."""

import asyncio
import datetime
import decimal
import logging
import sqlite3
import subprocess
import sys
import types
import uuid

import pytest

from naja.databases import Database, DatabaseURL
from naja.databases.backends.common.records import Record
from naja.databases.interfaces import Record as RecordInterface

pytestmark = pytest.mark.usefixtures("switched")


def run(path, work, **options):
    """What `work` gives of a new database."""

    async def main():
        async with Database(f"sqlite:///{path}", **options) as db:
            return await work(db)

    return asyncio.run(main())


@pytest.fixture
def path(tmp_path):
    base = sqlite3.connect(tmp_path / "rows.db")
    base.execute("create table rows (id integer primary key, name text, n integer)")
    base.executemany("insert into rows (name, n) values (?, ?)", [("one", 1), ("two", 2), ("three", 3)])
    base.commit()
    base.close()
    return tmp_path / "rows.db"


def value_of(path, query, values=None):
    return run(path, lambda db: db.fetch_val(query, values))


def test_text_queries_run_without_sqlalchemy(path):
    code = (
        "import asyncio, sys\n"
        "from naja.databases import Database\n"
        "async def main():\n"
        f"    async with Database('sqlite:///{path}') as db:\n"
        "        async with db.transaction():\n"
        "            await db.execute('insert into rows (name) values (:name)', {'name': 'four'})\n"
        "        return await db.fetch_val('select count(*) from rows where name > :a', {'a': ''})\n"
        "print(asyncio.run(main()), 'sqlalchemy' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "4 False\n" and done.stderr == ""


def test_execute_gives_the_new_row_s_id_or_the_number_of_changed_rows(path):
    async def work(db):
        yield_ids = [await db.execute("insert into rows (name) values (:name)", {"name": "four"})]
        yield_ids.append(await db.execute("update rows set n = 0"))
        yield_ids.append(await db.execute("delete from rows where id = 99"))
        yield_ids.append(await db.execute("select * from rows"))
        yield_ids.append(await db.execute("create table other (a)"))
        return yield_ids

    # Each statement has a connection as if it were new: the last row id of another task's does not show.
    assert run(path, work) == [4, 4, 0, -1, -1]


def test_a_comment_before_a_statement_changes_nothing_of_what_execute_gives(path):
    assert run(path, lambda db: db.execute("-- all\n/* of them */ update rows set n = 0")) == 3


def test_values_may_be_any_mapping_and_a_query_may_not_be_anything(path):
    values = types.MappingProxyType({"id": 2})
    row = run(path, lambda db: db.fetch_one("select id, name from rows where id = :id", values))
    assert run(path, lambda db: db.fetch_val("select :name || :id", row)) == "two2"
    with pytest.raises(TypeError, match="SQL in text, or an expression of SQLAlchemy's, and not 'bytes'"):
        value_of(path, b"select 1")


def test_a_row_is_found_by_name_place_and_attribute(path):
    row = run(path, lambda db: db.fetch_one("select id, name, n as count from rows where id = 2"))
    assert (row["id"], row[1], row[-1], row.name, row.count) == (2, "two", 2, "two", 2)
    assert dict(row) == dict(row._mapping) == {"id": 2, "name": "two", "count": 2}
    assert list(row) == ["id", "name", "count"] and list(row._mapping) == [2, "two", 2] and len(row) == 3
    assert row.keys() & {"id", "other"} == {"id"} and row._mapping.get("other", 7) == 7
    assert isinstance(row, Record) and isinstance(row, RecordInterface)
    assert repr(row) == "<Record id=2 name='two' count=2>"
    with pytest.raises(KeyError, match="other"):
        row["other"]
    with pytest.raises(AttributeError, match="other"):
        row.other
    with pytest.raises(IndexError):
        row[3]


def test_of_two_columns_with_one_name_both_values_stay_and_the_name_means_the_last(path):
    row = run(path, lambda db: db.fetch_one("select 1 as id, 2 as id"))
    assert list(row.keys()) == ["id", "id"] and list(row.values()) == [1, 2] and row["id"] == 2


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (None, None),
        (True, 1),
        (2**63 - 1, 2**63 - 1),
        (0.1, 0.1),
        ("a\0b ü €", "a\0b ü €"),
        (b"\0\xff", b"\0\xff"),
        (bytearray(b"x"), b"x"),
        (decimal.Decimal("1.00000000000000000001"), 1.0),
        (datetime.datetime(2020, 1, 2, 3, 4, 5), "2020-01-02 03:04:05.000000"),
        (datetime.date(2020, 1, 2), "2020-01-02"),
        (datetime.time(1, 2, 3), "01:02:03.000000"),
        (datetime.timedelta(days=1, seconds=2), "1970-01-02 00:00:02.000000"),
        (uuid.UUID(int=5), "00000000000000000000000000000005"),
    ],
)
def test_values_of_text_queries_are_stored_as_sqlalchemy_stores_them(path, value, stored):
    assert value_of(path, "select :value", {"value": value}) == stored


@pytest.mark.parametrize("value", [{}, [1], (1,), object()])
def test_a_value_that_no_database_has_is_refused(path, value):
    with pytest.raises(sqlite3.ProgrammingError, match="parameter 2: type"):
        value_of(path, "select :a, :b", {"a": 1, "b": value})


def test_a_number_that_is_too_large_is_refused(path):
    with pytest.raises(OverflowError, match="too large"):
        value_of(path, "select :a", {"a": 2**63})


def test_a_query_with_a_value_too_few_or_too_many_says_which(path):
    with pytest.raises(Exception, match="A value is required for bind parameter 'b'"):
        value_of(path, "select :a, :b", {"a": 1})
    with pytest.raises(Exception, match="doesn't define a bound parameter named 'c'"):
        value_of(path, "select :a", {"a": 1, "c": 2})


def test_what_the_database_refuses_is_sqlite3_s_exception_with_its_code(path):
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE constraint failed: rows.id") as caught:
        value_of(path, "insert into rows (id) values (1)")
    assert caught.value.sqlite_errorname == "SQLITE_CONSTRAINT_PRIMARYKEY"
    with pytest.raises(sqlite3.OperationalError, match="no such table: nowhere"):
        value_of(path, "select * from nowhere")
    with pytest.raises(sqlite3.ProgrammingError, match="one statement"):
        value_of(path, "select 1; drop table rows")
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        value_of(path.parent / "no" / "folder.db", "select 1")
    assert value_of(path, "select count(*) from rows") == 3


def test_rows_are_iterated_while_the_same_connection_writes(path):
    async def work(db):
        async with db.transaction():
            async for row in db.iterate("select * from rows order by id"):
                await db.execute("update rows set n = n * 10 where id = :id", {"id": row.id})
        return [row.n async for row in db.iterate("select n from rows order by id")]

    assert run(path, work) == [10, 20, 30]


def test_iterating_gives_every_row_of_many(path):
    many = "with recursive c(x) as (select 1 union all select x + 1 from c where x < 1000) select x from c"

    async def work(db):
        return [row.x async for row in db.iterate(many)]

    assert run(path, work) == list(range(1, 1001))


def test_who_stops_iterating_leaves_no_statement_open(path):
    async def work(db):
        async for row in db.iterate("select a.id from rows a, rows b, rows c, rows d, rows e, rows f, rows g"):
            break
        # The generator is closed by the loop, in a task of its own.
        while db.connection()._connection_counter:
            await asyncio.sleep(0)
        await db.execute("drop table rows")
        return await db.fetch_val("select count(*) from sqlite_master")

    assert run(path, work) == 0


def test_execute_many_runs_once_for_each_set_of_values_and_stops_at_the_first_error(path):
    async def work(db):
        query = "insert into rows (id, name) values (:id, :name)"
        await db.execute_many(query, [{"id": 10, "name": "a"}, {"id": 11, "name": "b"}])
        await db.execute_many(query, [])
        with pytest.raises(sqlite3.IntegrityError):
            await db.execute_many(query, [{"id": 12, "name": "c"}, {"id": 1, "name": "d"}, {"id": 13, "name": "e"}])
        return [row.id for row in await db.fetch_all("select id from rows where id > 3 order by id")]

    assert run(path, work) == [10, 11, 12]


def test_the_driver_s_connection_answers_as_aiosqlite_s(path):
    async def work(db):
        async with db.connection() as connection:
            raw = connection.raw_connection
            cursor = await raw.execute("insert into rows (name) values (?)", ("four",))
            assert (cursor.lastrowid, cursor.rowcount, cursor.description) == (4, 1, None)
            async with raw.execute("select id, name from rows order by id") as cursor:
                assert [name for name, *_ in cursor.description] == ["id", "name"]
                assert await cursor.fetchone() == (1, "one")
                assert await cursor.fetchmany(2) == [(2, "two"), (3, "three")]
                assert [row async for row in cursor] == [(4, "four")]

    run(path, work)


def test_options_that_have_no_meaning_here_are_told(path):
    for options, words in [({"factory": dict}, "factory"), ({"foo": 1}, "'foo' is an invalid keyword")]:
        with pytest.raises(TypeError, match=words):
            run(path, lambda db: db.fetch_val("select 1"), **options)
    assert run(path, lambda db: db.fetch_val("select 1"), timeout=0.5, check_same_thread=False) == 1


def test_an_unknown_kind_of_database_is_told_with_those_there_are():
    with pytest.raises(KeyError, match="'oracle' is no kind of database; there are mysql"):
        Database("oracle://host/facts")


def test_a_url_without_a_host_keeps_its_password_to_itself():
    url = DatabaseURL("postgresql://ada:secret@/facts?host=/run/postgresql")
    assert "secret" not in repr(url) and url.hostname == "/run/postgresql" and url.password == "secret"


def test_queries_are_logged_for_who_asks(path, caplog):
    with caplog.at_level(logging.DEBUG, logger="databases"):
        value_of(path, "select :a", {"a": 1})
    assert "Query: select :a Args: (1,)" in caplog.messages
    assert f"Connected to database sqlite:///{path}" in caplog.messages


def test_a_database_in_memory_ends_with_its_connection_unless_it_is_shared():
    async def rows(url, **options):
        async with Database(url, **options) as db:
            await db.execute("create table rows (a)")
            return await db.fetch_all("select * from rows")

    assert asyncio.run(rows("sqlite:///file:shared?mode=memory&cache=shared", uri=True)) == []
    # It went with the last of its connections.
    assert asyncio.run(rows("sqlite:///file:shared?mode=memory&cache=shared", uri=True)) == []
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        asyncio.run(rows("sqlite:///:memory:"))
