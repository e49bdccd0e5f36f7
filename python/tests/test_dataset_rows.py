"""Rows through naja.dataset: values of every type, names of every kind, and what is said of those that cannot be."""

import datetime
import decimal
import enum
import os
import sqlite3
import subprocess
import sys

import pytest

from naja import dataset

HOSTILE = [
    'a"b',
    "a'b",
    'x" INTEGER); DROP TABLE people; --',
    "x`y",
    "[x]",
    "a;b",
    "ünï cödé",
    "select",
    "a\nb",
    "%s",
    ":name",
    "?1",
    "\\",
]


@pytest.fixture
def db(tmp_path):
    base = dataset.connect(f"sqlite:///{tmp_path}/rows.db")
    yield base
    base.close()


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        0,
        -(2**63),
        2**63 - 1,
        0.1,
        float("inf"),
        "",
        "text",
        "with\0nul",
        "€" * 1000,
        b"",
        b"\0\xff",
        datetime.date(1, 1, 1),
        datetime.datetime(9999, 12, 31, 23, 59, 59, 999999),
        datetime.time(1, 2, 3, 4),
        decimal.Decimal("12.50"),
        decimal.Decimal("-0.000001"),
        {"a": [1, {"b": None}], "ü": "€"},
        [1, "two", None],
        None,
    ],
)
def test_a_value_comes_back_as_it_was_stored(db, value):
    table = db["values"]
    table.insert({"value": value})
    stored = table.find_one()["value"]
    assert stored == value
    assert type(stored) is type(value)
    table.insert_many([{"value": value}] * 3)
    assert [row["value"] for row in table] == [value] * 4


def test_subclasses_are_stored_as_what_they_are(db):
    class Name(str):
        pass

    class Level(enum.IntEnum):
        HIGH = 3

    table = db["values"]
    table.insert({"name": Name("Ada"), "level": Level.HIGH})
    assert dict(table.find_one()) == {"id": 1, "name": "Ada", "level": 3}


def test_a_row_may_be_any_mapping(db):
    import collections
    import types

    table = db["values"]
    table.insert(types.MappingProxyType({"a": 1}))
    table.insert(collections.ChainMap({"a": 2}, {"b": 3}))
    table.insert(collections.OrderedDict(a=4))
    assert [row["a"] for row in table] == [1, 2, 4]
    with pytest.raises(TypeError, match="a row is a dictionary, and this is of type list"):
        table.insert(["a", 1])


def test_many_rows_may_come_from_a_generator(db):
    db["values"].insert_many({"a": number, "b": None} for number in range(2500))
    assert db["values"].count(a={">=": 0}) == 2500


@pytest.mark.parametrize("count", [1, 99, 100, 101, 250, 1000, 1001])
def test_every_number_of_rows_is_stored_once(db, count):
    db["values"].insert_many([{"a": number} for number in range(count)])
    assert [row["a"] for row in db["values"].find(order_by="id")] == list(range(count))


def test_more_columns_than_a_statement_has_parameters_for(db):
    row = {f"c{number}": number for number in range(900)}
    db["wide"].insert_many([row] * 50)
    assert db["wide"].count(c899=899) == 50


def test_rows_of_different_shapes_fill_one_table(db):
    db["values"].insert_many([{"a": 1}, {"b": 2.5}, {"c": "x", "a": 3}])
    assert [tuple(row.values()) for row in db["values"]] == [(1, 1, None, None), (2, None, 2.5, None), (3, 3, None, "x")]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_never_anything_but_a_name(db, name):
    db["people"].insert({"safe": 1})
    table = db[name]
    column = name.replace("-", "_").replace(".", "_")
    table.insert({column: "value"})
    table.upsert({column: "value", "other": 2}, [column])
    table.update_many([{column: "value", "other": 3}], [column])
    table.insert_ignore({column: "value"}, [column])
    table.create_index([column])
    assert table.count(**{column: "value"}) == 1
    assert table.find_one(order_by=[f"-{column}"], **{column: {"like": "val%"}})["other"] == 3
    assert [row[table._get_column_name(column)] for row in table.distinct(column)] == ["value"]
    assert sorted(db.tables) == sorted(["people", name.strip()])
    assert table.delete(**{column: "value"})
    table.drop()
    assert db.tables == ["people"] and len(db["people"]) == 1


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_is_never_anything_but_a_value(db, value):
    table = db["people"]
    table.insert({"name": value})
    assert table.find_one(name=value)["name"] == value
    assert table.count(name={"startswith": value}) == 1
    assert table.count(name=[value, "x"]) == 1
    assert next(db.query("SELECT name FROM people WHERE name = :name", name=value))["name"] == value


@pytest.mark.parametrize(
    ("row", "kind", "words"),
    [
        ({"age": 2**63}, OverflowError, ["table `people`", "column `age`", "too large"]),
        ({"born": "yesterday"}, dataset.StatementError, ["`people`", "`born`", "Date type only accepts Python date objects"]),
        ({"at": 5}, dataset.StatementError, ["`at`", "DateTime type only accepts", "of type int"]),
        ({"ok": "maybe"}, dataset.StatementError, ["`ok`", "Not a boolean value: 'maybe'"]),
        ({"ok": 7}, dataset.StatementError, ["`ok`", "Value 7 is not None, True, or False"]),
        ({"name": object()}, dataset.ProgrammingError, ["`name`", "type 'object' is not supported"]),
        ({"name": {"a": 1}}, dataset.ProgrammingError, ["`name`", "type 'dict' is not supported"]),
        ({"price": decimal.Decimal("1.2345678901234567")}, dataset.StatementError, ["`price`", "17 digits", "SQLite keeps 15"]),
        ({"name": "\ud800"}, UnicodeEncodeError, ["surrogates not allowed"]),
    ],
)
def test_a_value_that_cannot_be_stored_is_named_with_its_place(db, row, kind, words):
    good = {
        "name": "Ada",
        "age": 1,
        "born": datetime.date(1815, 12, 10),
        "at": datetime.datetime(2020, 1, 1),
        "ok": True,
        "price": decimal.Decimal("1.5"),
    }
    table = db["people"]
    table.insert(good)
    with pytest.raises(kind) as single:
        table.insert({**good, **row})
    with pytest.raises(kind) as many:
        table.insert_many([good, good, {**good, **row}])
    for word in words:
        assert word in str(single.value)
        assert word in str(many.value)
    if kind is not UnicodeEncodeError:
        assert "row 3" in str(many.value)
    assert len(table) == 1, "nothing of a chunk that fails is stored"


def test_an_adapter_of_sqlite3_is_asked(db):
    class Point:
        def __conform__(self, protocol):
            return "1;2" if protocol is sqlite3.PrepareProtocol else None

    db["points"].insert({"at": Point()})
    assert db["points"].find_one()["at"] == "1;2"


def test_text_that_is_no_utf8_is_an_error_and_no_crash(db, tmp_path):
    db["values"].insert({"name": "x"})
    with sqlite3.connect(tmp_path / "rows.db") as base:
        base.execute("update 'values' set name = cast(x'ff41' as text)")
    base.close()
    with pytest.raises(UnicodeDecodeError):
        db["values"].find_one()


def test_dates_that_something_else_wrote_are_read(db, tmp_path):
    with sqlite3.connect(tmp_path / "rows.db") as base:
        base.execute("create table log (at datetime, day date, time time, n numeric, v varchar(3), untyped)")
        base.execute("insert into log values ('2020-01-02T03:04', '2020-01-02', '03:04', 5, 'x', 'y')")
        base.execute("insert into log values ('2020-01-02 03:04:05', null, '03:04:05.5', 2.5, null, 7)")
    base.close()
    first, second = db["log"]
    assert first["at"] == datetime.datetime(2020, 1, 2, 3, 4)
    assert (first["day"], first["time"]) == (datetime.date(2020, 1, 2), datetime.time(3, 4))
    assert (first["n"], second["n"]) == (decimal.Decimal(5), decimal.Decimal("2.5"))
    assert second["at"] == datetime.datetime(2020, 1, 2, 3, 4, 5)
    assert (second["time"], second["untyped"]) == (datetime.time(3, 4, 5, 500000), 7)


def test_a_result_is_read_in_steps_while_the_table_changes(db):
    table = db["values"]
    table.insert_many([{"a": number} for number in range(5000)])
    seen = 0
    with db:
        for row in table.find(_step=7, order_by="id"):
            table.update({"id": row["id"], "a": -1}, ["id"])
            seen += 1
    assert seen == 5000 and table.count(a=-1) == 5000


def test_a_result_that_is_left_alone_keeps_nobody_out(db):
    table = db["values"]
    table.insert_many([{"a": number} for number in range(3000)])
    rows = table.find(_step=10)
    next(rows)
    rows.close()
    assert list(rows) == []
    next(table.find(_step=10))
    table.drop()
    assert "values" not in db


def test_a_query_that_writes_is_stored_at_once(db, tmp_path):
    db["values"].insert({"a": 1})
    list(db.query("UPDATE 'values' SET a = :a", a=2))
    db.query("INSERT INTO 'values' (a) VALUES (3)")
    returned = db.query("INSERT INTO 'values' (a) VALUES (4) RETURNING id, a")
    assert dict(next(returned)) == {"id": 3, "a": 4}
    with sqlite3.connect(tmp_path / "rows.db") as base:
        assert base.execute("select a from 'values' order by id").fetchall() == [(2,), (3,), (4,)]
    base.close()


@pytest.mark.parametrize(
    ("text", "values", "words"),
    [
        ("SELECT :missing", {}, "A value is required for bind parameter 'missing'"),
        ("SELECT * FROM nowhere", {}, "no such table: nowhere"),
        ("SELECT 1; SELECT 2", {}, "only one statement"),
        ("", {}, "there is no statement"),
        ("SELEC 1", {}, 'near "SELEC": syntax error'),
        ("SELECT 'a\0b'", {}, "NUL"),
    ],
)
def test_a_statement_that_cannot_run_is_told(db, text, values, words):
    with pytest.raises(dataset.DatasetError, match=words):
        db.query(text, **values)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "Could not parse"),
        ("sqlite://host/file.db", "Invalid SQLite URL"),
        ("postgresql://ada:secret@localhost/db?sslmode=perhaps", "sslmode"),
        ("oracle+oracledb://ada:secret@localhost/db", "speaks SQLite, PostgreSQL, MySQL and MariaDB"),
        ("sqlite:///x.db?timeout=soon", "`timeout`"),
    ],
)
def test_a_bad_url_is_told_without_its_password(url, words):
    with pytest.raises(dataset.DatasetError, match=words) as error:
        dataset.connect(url)
    assert "secret" not in str(error.value)


def test_a_file_that_cannot_be_opened_is_named_when_it_is_needed(tmp_path):
    db = dataset.connect(f"sqlite:///{tmp_path}/no/such/folder.db")
    with pytest.raises(dataset.OperationalError, match="unable to open database file"):
        db["x"].insert({"a": 1})
    (tmp_path / "text.db").write_text("no database at all, but long enough to be looked at" * 30)
    with pytest.raises(dataset.DatabaseError, match="file is not a database"):
        dataset.connect(f"sqlite:///{tmp_path}/text.db")["x"].insert({"a": 1})


def test_a_closed_database_says_so(db):
    db["x"].insert({"a": 1})
    table = db["x"]
    db.close()
    for use in (lambda: db["x"], lambda: table.insert({"a": 1}), lambda: db.query("SELECT 1"), lambda: db.tables):
        with pytest.raises(RuntimeError, match="Database is closed"):
            use()


def test_columns_have_what_they_are_asked_to_have(db):
    people, pets = db["people"], db["pets"]
    people.insert({"name": "Ada"})
    people.create_column("email", db.types.string(50), unique=True)
    people.create_column("country", db.types.text, nullable=False, default="G'B")
    pets.create_column("owner", db.types.integer, foreign_key="people.id")
    people.insert({"name": "Bob", "email": "b@x"})
    assert [row["country"] for row in people] == ["G'B", "G'B"]
    with pytest.raises(dataset.IntegrityError, match="UNIQUE constraint failed: people.email"):
        people.insert({"name": "Eve", "email": "b@x"})
    with pytest.raises(dataset.IntegrityError, match="NOT NULL constraint failed: people.country"):
        people.insert({"name": "Eve", "country": None})
    with pytest.raises(TypeError, match="create_column knows no colour"):
        people.create_column("x", db.types.text, colour=1)
    db.query("PRAGMA foreign_keys = ON")
    with pytest.raises(dataset.IntegrityError, match="FOREIGN KEY"):
        pets.insert({"owner": 99})
    people.drop_column("country")
    assert people.columns == ["id", "name", "email"]


def test_importing_loads_neither_sqlalchemy_nor_much_else():
    code = "import sys; before = set(sys.modules); import naja.dataset; print(len(set(sys.modules) - before), 'sqlalchemy' in sys.modules, 'sqlite3' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    count, *loaded = done.stdout.split()
    assert loaded == ["False", "False"] and int(count) < 40, done.stdout
