"""The same queries through databases 0.9.0 and through naja.databases give the same rows, and leave the same tables."""

import asyncio
import datetime
import decimal
import sqlite3

import pytest
from originals import importable

ORIGINAL = ("databases==0.9.0", "sqlalchemy==2.1.9", "aiosqlite==0.20.0", "typing_extensions==4.15.0")

pytestmark = pytest.mark.usefixtures("switched")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    forget = ("databases", "sqlalchemy", "aiosqlite", "typing_extensions")
    with importable(tmp_path_factory.mktemp("original"), *ORIGINAL, forget=forget):
        import databases

        from naja import databases as ours

        yield databases, ours


@pytest.fixture
def check(both, tmp_path):
    """What a coroutine sees, and the tables that it leaves, are the same on both sides."""

    def check(work):
        seen = []
        for number, module in enumerate(both):
            path = tmp_path / f"{number}.db"
            answers = asyncio.run(answers_of(module, path, work))
            base = sqlite3.connect(path)
            seen.append((answers, list(base.iterdump())))
            base.close()
        assert seen[0] == seen[1]
        return seen[0][0]

    return check


async def answers_of(module, path, work):
    import sqlalchemy as sa

    columns = [
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String),
        sa.Column("ok", sa.Boolean),
        sa.Column("at", sa.DateTime),
        sa.Column("data", sa.JSON),
        sa.Column("price", sa.Numeric(10, 2)),
        sa.Column("level", sa.Integer, default=7),
    ]
    table = sa.Table("rows", sa.MetaData(), *columns)
    async with module.Database(f"sqlite:///{path}") as db:
        await db.execute(sa.schema.CreateTable(table))
        for number in range(5):
            row = {"name": f"n{number}", "ok": number % 2 == 0, "data": {"i": number}, "price": decimal.Decimal("1.5")}
            await db.execute(table.insert(), {**row, "at": datetime.datetime(2020, 1, number + 1)})
        return [answer async for answer in work(db, table, sa)]


def plain(row):
    return None if row is None else (list(row.keys()), tuple(row._mapping))


def test_expressions_that_differ_in_their_values_alone(check):
    async def work(db, table, sa):
        for number in (1, 3, 99):
            yield plain(await db.fetch_one(table.select().where(table.c.id == number)))
        for numbers in ([1], [1, 2, 3], [], [2, 9]):
            found = await db.fetch_all(table.select().where(table.c.id.in_(numbers)).order_by(table.c.id))
            yield [plain(row) for row in found]
        for limit in (1, 3):
            yield [row.id for row in await db.fetch_all(sa.select(table.c.id).order_by(table.c.id).limit(limit).offset(1))]

    check(work)


def test_writing_expressions(check):
    async def work(db, table, sa):
        yield await db.execute(table.insert().values(name="q", ok=None))
        yield await db.execute_many(table.insert(), [{"name": "a", "data": [1]}, {"name": "b", "data": None}])
        # Rows of several shapes are statements of several texts.
        yield await db.execute_many(table.insert(), [{"name": "c"}, {"name": "d", "ok": True}, {"level": 3}, {"level": 4}])
        yield await db.execute(table.update().where(table.c.id == 1).values(name=table.c.name + "!"))
        yield await db.execute(table.update().where(table.c.id > 2), {"name": "zz"})
        yield await db.execute(table.insert().returning(table.c.id), {"name": "ret"})
        yield plain(await db.fetch_one(table.insert().returning(table.c.id, table.c.data), {"data": {"k": 1}}))
        yield await db.execute(table.delete().where(table.c.name == "ret"))

    check(work)


def test_columns_by_alias_label_and_function(check):
    async def work(db, table, sa):
        a, b = table.alias("a"), table.alias("b")
        joined = sa.select(a.c.id, b.c.id, a.c.name.label("label")).select_from(a.join(b, a.c.id < b.c.id))
        row = await db.fetch_one(joined.order_by(a.c.id, b.c.id))
        yield plain(row), row[a.c.id], row[b.c.id], row["label"], row["id"]
        yield await db.fetch_val(sa.select(sa.func.count()).select_from(table))
        yield await db.fetch_val(sa.select(sa.literal(decimal.Decimal("1.25"))))
        text = sa.text("select id, ok, at from rows where id = :id").bindparams(id=2)
        yield plain(await db.fetch_one(text))
        yield plain(await db.fetch_one(text.columns(id=sa.Integer, ok=sa.Boolean, at=sa.DateTime)))
        both = sa.union_all(sa.select(table.c.id, table.c.ok), sa.select(table.c.id + 100, table.c.ok))
        yield [plain(row) async for row in db.iterate(both.limit(7))]

    check(work)


def test_text_queries(check):
    async def work(db, table, sa):
        for value in (None, True, 1.5, "ü\0", b"x", datetime.datetime(2020, 1, 2), datetime.timedelta(1), decimal.Decimal("0.1")):
            yield await db.fetch_val("select :value", {"value": value})
        yield await db.execute("insert into rows (name) values (:name)", {"name": "text"})
        yield await db.execute("update rows set ok = 1 where id > :id", {"id": 100})
        yield plain(await db.fetch_one("select 'a:b' as c, \"id\" as \"d\" from rows where id = :id", {"id": 1}))
        yield plain(await db.fetch_one("select name from rows where name = :a or name = :a", {"a": "n1"}))
        async with db.transaction():
            yield await db.execute("insert into rows (name) values ('in')")
            yield await db.execute("update rows set ok = 0")
            yield await db.fetch_val("select count(*) from rows")

    check(work)


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("select * from nowhere", None),
        ("selec", None),
        ("select :a", None),
        ("select :a", {"a": 1, "b": 2}),
        ("select :a", {"a": []}),
        ("select :a", {"a": 2**64}),
        ("insert into rows (id) values (1)", None),
        ("select 1; select 2", None),
        ("commit", None),
    ],
)
def test_errors_are_of_the_original_s_classes(check, query, values):
    async def work(db, table, sa):
        try:
            await db.execute(query, values)
        except Exception as error:
            # Where ours is a class of its own too, SQLAlchemy's is among its bases.
            yield [one.__name__ for one in type(error).__mro__ if one.__module__ in ("sqlite3", "sqlalchemy.exc", "builtins")]
        yield await db.fetch_val("select count(*) from rows")

    check(work)
