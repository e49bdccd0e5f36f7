"""The same calls through databases 0.9.0 with its drivers and through naja.databases give the same answers and exceptions, and
leave the same tables, on PostgreSQL and on MariaDB."""

import asyncio
import datetime
import decimal
import random
import uuid

import pytest
from originals import importable

ORIGINAL = (
    "databases==0.9.0",
    "sqlalchemy==2.1.9",
    "asyncpg==0.32.0",
    "asyncmy==0.2.18",
    "aiomysql==0.3.2",
    "pymysql==1.2.4",
    "typing_extensions==4.15.0",
)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    forget = ("databases", "sqlalchemy", "asyncpg", "asyncmy", "aiomysql", "pymysql", "typing_extensions")
    with importable(tmp_path_factory.mktemp("original"), *ORIGINAL, forget=forget):
        # Their exceptions are raised by both where a program has them.
        import aiomysql  # noqa: F401
        import asyncmy  # noqa: F401
        import asyncpg  # noqa: F401
        import databases

        from naja import databases as ours

        yield databases, ours


SCHEMES = ("postgresql", "mysql+aiomysql", "mysql+asyncmy")


@pytest.fixture(params=SCHEMES)
def scheme(request):
    return request.param


def on(*schemes):
    """For a test that is not for every driver."""
    return pytest.mark.parametrize("scheme", schemes, indirect=True)


on_postgres = on("postgresql")
on_mariadb = on("mysql+aiomysql", "mysql+asyncmy")


@pytest.fixture
def check(both, scheme, request):
    """What a coroutine sees, and the table that it leaves, are the same on both sides."""
    server = request.getfixturevalue("mariadb" if scheme.startswith("mysql") else "postgres")

    def check(work):
        seen = [asyncio.run(answers_of(module, server.at(scheme), work)) for module in both]
        differing = [(number, *pair) for number, pair in enumerate(zip(seen[0][0], seen[1][0])) if pair[0] != pair[1]]
        assert differing == []
        assert seen[0] == seen[1]
        return seen[0]

    return check


async def answers_of(module, url, work):
    import sqlalchemy as sa
    from sqlalchemy.dialects import mysql

    dialect = mysql.dialect() if url.startswith("mysql") else None
    columns = [
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(20)),
        sa.Column("ok", sa.Boolean),
        sa.Column("at", sa.DateTime),
        sa.Column("data", sa.JSON),
        sa.Column("price", sa.Numeric(10, 2)),
        sa.Column("level", sa.Integer, default=7, unique=True),
    ]
    table = sa.Table("compared", sa.MetaData(), *columns)
    async with module.Database(url) as db:
        await db.execute("drop table if exists compared")
        create = sa.schema.CreateTable(table)
        await db.execute(str(create.compile(dialect=dialect)) if dialect else create)
        for number in range(5):
            row = {"name": f"n{number}", "ok": number % 2 == 0, "data": {"i": number}, "price": decimal.Decimal("1.5")}
            await db.execute(table.insert(), {**row, "at": datetime.datetime(2020, 1, number + 1), "level": number})
        answers = [answer async for answer in work(db, table, sa)]
        rows = await db.fetch_all("select * from compared order by id")
        return answers, [tuple(row._mapping.values()) for row in rows]


async def outcome(awaitable):
    """The answer, or the class and code of the exception."""
    try:
        answer = await awaitable
    except Exception as error:
        number = error.args[0] if error.args and isinstance(error.args[0], int) else None
        # Only asyncpg's exceptions tell these.
        own = () if number is not None else (getattr(error, "sqlstate", None), getattr(error, "constraint_name", None))
        return type(error).__name__, number, *own
    if isinstance(answer, list):
        return [plain(row) for row in answer]
    return plain(answer)


def plain(row):
    if hasattr(row, "_mapping"):
        return list(row.keys()), [(type(value).__name__, value) for value in row._mapping.values()]
    return type(row).__name__, row


def test_expressions_and_their_values(check):
    async def work(db, table, sa):
        for number in (1, 3, 99):
            yield await outcome(db.fetch_one(table.select().where(table.c.id == number)))
            row = await db.fetch_one(table.select().where(table.c.id == number))
            yield row and (row["data"], row.data, row[table.c.data], row[4], row[table.c.price], row.at, row["ok"])
        for numbers in ([1], [1, 2, 3], [], [2, 9]):
            yield await outcome(db.fetch_all(table.select().where(table.c.id.in_(numbers)).order_by(table.c.id)))
        yield await outcome(db.fetch_val(sa.select(sa.func.count()).select_from(table)))
        yield await outcome(db.fetch_one(sa.select(table.c.name.label("other"), sa.func.sum(table.c.level)).group_by(table.c.name).order_by(table.c.name)))
        yield await outcome(db.execute(table.insert(), {"name": "new", "level": 50}))
        yield await outcome(db.execute(table.update().where(table.c.id == 1).values(price=decimal.Decimal("9.99"))))
        yield await outcome(db.execute(table.delete().where(table.c.id == 2)))
        yield await outcome(db.execute_many(table.insert(), [{"name": f"m{n}", "level": 100 + n, "data": [n]} for n in range(5)]))
        yield [plain(row) async for row in db.iterate(table.select().order_by(table.c.id))]

    check(work)


@on_postgres
def test_texts_and_their_values(check):
    values = {
        "int": [1, -(2**31), 2**31 - 1, True, None],
        "bigint": [2**63 - 1, -(2**63)],
        "float8": [1, 0.1, -1e300],
        "numeric": [1, 0.5, decimal.Decimal("1e-10"), decimal.Decimal("NaN"), "12.50"],
        "text": ["", "ü", "it's"],
        "bytea": [b"", b"\x00\xff", bytearray(b"a"), memoryview(b"b")],
        "bool": [True, False],
        "date": [datetime.date(2020, 2, 29), datetime.datetime(2020, 2, 29, 12)],
        "time": [datetime.time(1, 2, 3, 4)],
        "timestamp": [datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31, 23, 59, 59, 999999), datetime.date(2020, 1, 1)],
        "timestamptz": [
            datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=5, minutes=30))),
            datetime.datetime(2020, 6, 1, 12),
        ],
        "interval": [datetime.timedelta(days=400, seconds=1), datetime.timedelta(microseconds=-1)],
        "uuid": [uuid.UUID(int=7), "12345678-1234-5678-1234-567812345678"],
        "json": ['{"a": 1}', "null"],
        "int[]": [[1, 2], [], [[1, 2], [3, None]], (4, 5)],
        "text[]": [["a", None, 'q"']],
    }

    async def work(db, table, sa):
        for kind, all_of_kind in values.items():
            for value in all_of_kind:
                answer = await outcome(db.fetch_val(f"select cast(:value as {kind})", {"value": value}))
                # asyncpg has a UUID of its own, which is one of Python's.
                yield kind, ("UUID", uuid.UUID(str(answer[1]))) if kind == "uuid" else repr(answer)

    check(work)


@on_postgres
def test_exceptions_are_of_the_same_class(check):
    async def work(db, table, sa):
        wrong = {
            # asyncpg cuts a fraction off; here it is refused.
            "int": ["a", 2**31, b"a", "1"],
            "bigint": [2**63],
            "text": [1, b"a", None],
            "bool": [1, "true"],
            "bytea": ["a", 1],
            "date": ["2020-01-01", 1],
            "timestamp": ["2020-01-01", datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)],
            "timestamptz": ["now"],
            "interval": [5, "1 day"],
            "float8": ["a"],
            "uuid": [5, "nonsense"],
            "int[]": [5, ["a"]],
        }
        for kind, values in wrong.items():
            for value in values:
                yield kind, value, (await outcome(db.fetch_val(f"select cast(:value as {kind})", {"value": value})))[0]
        for sql in (
            "nonsense",
            "select * from nowhere",
            "select nothing from compared",
            "insert into compared (id) values (1)",
            "insert into compared (level) values (1)",
            "insert into compared (name) values (repeat('x', 50))",
            "insert into compared (id) values (null)",
            "select 1 / 0",
            "select 'a'::int",
            "select 99999999999::int",
            "select 1; select 2",
            "select no_such_function()",
            "create table compared (a int)",
            "drop table nowhere",
            "set no_such_setting = 1",
            "select * from compared for update nowait",
            "commit",
            "savepoint a",
        ):
            yield sql, await outcome(db.execute(sql))
            yield await outcome(db.fetch_val("select count(*) from compared"))
        # A level that there is not makes the original hang when it is closed.
        for options in ({"isolation": "serializable"}, {"readonly": True}):
            try:
                async with db.transaction(**options):
                    yield options, await outcome(db.execute("update compared set ok = true where id = 1"))
            except Exception as error:
                yield options, type(error).__name__

    check(work)


@on_postgres
def test_results_without_rows_or_columns(check):
    async def work(db, table, sa):
        for query in ("select * from compared where false", "select", "create table if not exists compared (a int)", "update compared set ok = ok"):
            yield query, await outcome(db.fetch_all(query))
            yield query, await outcome(db.fetch_one(query))
        yield await outcome(db.fetch_val("select null"))
        row = await db.fetch_one("select 1 as a, 2 as b, 3 as a")
        yield list(row.keys()), list(row.values()), row["b"], row["a"], row[0], len(row), list(row)

    check(work)


def test_transactions_leave_the_same_tables(check):
    chance = random.Random(20260)
    plan = [(chance.random(), chance.randrange(1000)) for _ in range(120)]

    async def work(db, table, sa):
        answers = []

        async def nested(depth, steps):
            for kind, number in steps:
                if kind < 0.5:
                    answers.append(await outcome(db.execute("insert into compared (level) values (:n)", {"n": number % 40})))
                    # An error within a transaction ends it: a savepoint is then rolled back, as it has to be.
                    if depth and answers[-1][0] != "NoneType":
                        raise ZeroDivisionError
                elif kind < 0.7:
                    answers.append(await outcome(db.execute("delete from compared where level = :n", {"n": number % 40})))
                elif depth < 3:
                    try:
                        async with db.transaction(force_rollback=number % 5 == 0):
                            await nested(depth + 1, steps[number % 3 : number % 3 + 4])
                            if number % 3 == 0:
                                raise ZeroDivisionError
                    except ZeroDivisionError:
                        pass
                    except Exception as error:
                        answers.append(type(error).__name__)

        for start in range(0, len(plan), 6):
            await nested(0, plan[start : start + 6])
        for answer in answers:
            yield answer
        yield await outcome(db.fetch_val("select sum(level) from compared"))

    check(work)


@on_mariadb
def test_texts_and_their_values_on_mariadb(check):
    values = {
        "signed": [1, -(2**63), 2**63 - 1, True, None],
        "double": [1, 0.1, -1e300, decimal.Decimal("2.5")],
        "decimal(30, 10)": [1, 0.5, decimal.Decimal("1e-10"), "12.50"],
        "char": ["", "ü", "it's", "\\ \" %", 5, "%s"],
        "binary": ["a"],
        "date": [datetime.date(2020, 2, 29), datetime.datetime(2020, 2, 29, 12), "2020-01-01"],
        "datetime(6)": [datetime.datetime(1000, 1, 1), datetime.datetime(9999, 12, 31, 23, 59, 59, 999999), datetime.date(2020, 1, 1)],
        # The drivers lose the days and the sign of a stretch of time.
        "time(6)": [datetime.timedelta(hours=23, seconds=1), datetime.time(1, 2, 3, 4)],
    }

    async def work(db, table, sa):
        for kind, all_of_kind in values.items():
            for value in all_of_kind:
                answer = await outcome(db.fetch_val(f"select cast(:value as {kind})", {"value": value}))
                yield kind, value, repr(answer)
        row = await db.fetch_one("select 1 as a, 'b' as b, null as c")
        yield dict(row._mapping), row["b"], row[0]
        for query in ("select * from compared where false", "select * from compared order by id", "show tables like 'compared'"):
            yield query, await outcome(db.fetch_all(query))
            yield query, await outcome(db.fetch_one(query))

    check(work)


@on_mariadb
def test_exceptions_are_of_the_same_class_on_mariadb(check):
    async def work(db, table, sa):
        for sql in (
            "nonsense",
            "select * from nowhere",
            "select nothing from compared",
            "insert into compared (id) values (1)",
            "insert into compared (level) values (1)",
            "insert into compared (name) values (repeat('x', 50))",
            "insert into compared (id, price) values (77, 1e30)",
            "insert into compared (level) values ('a')",
            "select (select 1 union select 2)",
            "select exp(1000)",
            "select no_such_function()",
            "create table compared (a int)",
            "drop table nowhere",
            "set no_such_setting = 1",
            "use nowhere",
            "signal sqlstate '45000' set message_text = 'own'",
            "commit",
            "savepoint a",
        ):
            yield sql, await outcome(db.execute(sql))
            yield await outcome(db.fetch_val("select count(*) from compared"))
        # Every number that servers have had for long, and some of the newer ones; after some a server says no more.
        ends = {1040, 1053, 1077, 1129, 1130, *range(1152, 1162), 1184, 1189, 1190, 1203, 1927}
        async with db.connection() as connection:
            for number in (*(number for number in range(1000, 2000) if number not in ends), 3024, 3819, 4025):
                yield await outcome(connection.execute(f"signal sqlstate '45000' set mysql_errno = {number}"))

    check(work)
