"""An upsert means the same with a unique index over its keys, where it is one statement, and without one, on both engines."""

import random

import pytest

from naja import dataset


@pytest.fixture(params=["sqlite", "postgres"])
def db(request, tmp_path):
    url = f"sqlite:///{tmp_path}/rows.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    base = dataset.connect(url)
    yield base
    base.close()


def rows(table):
    return [dict(row) for row in table.find(order_by="id")]


@pytest.mark.parametrize("unique", [False, True])
def test_a_row_is_changed_or_stored_and_its_key_is_given(db, unique):
    table = db["people"]
    table.insert({"name": "Ada", "born": 1, "city": "London"})
    table.create_index(["name"], unique=unique)
    assert table.upsert({"name": "Ada", "born": 1815}, ["name"]) is True
    assert table.upsert({"name": "Bob", "born": 2}, ["name"]) == 2
    assert table.upsert({"name": "Bob"}, ["name"]) is True and table.upsert({"name": "Eve"}, ["name"]) == 3
    assert table.upsert({"NAME": "Eve", " born ": 3}, ["Name"]) is True
    assert table.upsert({"id": 7, "name": "Dan"}, ["id"]) == 7 and table.upsert({"id": 7, "name": "Fay"}, ["id"]) is True
    assert rows(table) == [
        {"id": 1, "name": "Ada", "born": 1815, "city": "London"},
        {"id": 2, "name": "Bob", "born": 2, "city": None},
        {"id": 3, "name": "Eve", "born": 3, "city": None},
        {"id": 7, "name": "Fay", "born": None, "city": None},
    ]


@pytest.mark.parametrize("unique", [False, True])
def test_a_key_without_a_value_is_the_row_without_one(db, unique):
    table = db["people"]
    table.insert({"name": "Ada", "born": 1})
    table.create_index(["name"], unique=unique)
    for born in (1, 2):
        table.upsert({"name": None, "born": born}, ["name"])
        table.upsert_many([{"name": None, "born": born + 5}] * 2, ["name"])
    assert [(row["name"], row["born"]) for row in rows(table)] == [("Ada", 1), (None, 7)]


def test_a_row_that_is_there_needs_no_value_that_a_new_one_needs(db):
    table = db["people"]
    table.insert({"name": "Ada", "born": 1})
    table.create_index(["name"], unique=True)
    db.query("CREATE TABLE strict (id INTEGER PRIMARY KEY, name TEXT UNIQUE, must INTEGER NOT NULL, other INTEGER)")
    strict = db.load_table("strict")
    strict.insert({"id": 1, "name": "Ada", "must": 5})
    assert strict.upsert({"name": "Ada", "other": 6}, ["name"]) is True
    strict.upsert_many([{"name": "Ada", "other": 7}], ["name"])
    with pytest.raises(dataset.IntegrityError, match="must"):
        strict.upsert({"id": 2, "name": "Bob", "other": 6}, ["name"])
    assert rows(strict) == [{"id": 1, "name": "Ada", "must": 5, "other": 7}]


def test_another_constraint_is_still_kept(db):
    table = db["people"]
    table.insert_many([{"name": "Ada", "mail": "a"}, {"name": "Bob", "mail": "b"}])
    table.create_index(["name"], unique=True)
    table.create_index(["mail"], unique=True)
    for store in (
        lambda: table.upsert({"name": "Bob", "mail": "a"}, ["name"]),
        lambda: table.upsert({"name": "Eve", "mail": "a"}, ["name"]),
        lambda: table.upsert_many([{"name": "Dan", "mail": "d"}, {"name": "Bob", "mail": "a"}], ["name"]),
    ):
        with pytest.raises(dataset.IntegrityError):
            store()
    assert [(row["name"], row["mail"]) for row in rows(table)] == [("Ada", "a"), ("Bob", "b")]


def test_an_index_that_is_gone_is_noticed(db):
    table = db["people"]
    table.insert({"name": "Ada", "born": 1})
    table.create_index(["name"], name="names", unique=True)
    table.upsert_many([{"name": "Ada", "born": 2}], ["name"])
    db.query("DROP INDEX names")
    with pytest.raises(dataset.StatementError):
        table.upsert_many([{"name": "Ada", "born": 3}], ["name"], ensure=False)
    table.upsert_many([{"name": "Ada", "born": 3}], ["name"], ensure=False)
    assert [row["born"] for row in rows(table)] == [3]


def test_triggers_see_what_they_saw(tmp_path):
    db = dataset.connect(f"sqlite:///{tmp_path}/rows.db")
    table = db["people"]
    table.insert({"name": "Ada", "born": 1})
    table.create_index(["name"], unique=True)
    db.query("CREATE TABLE seen (what TEXT)")
    db.query("CREATE TRIGGER stored BEFORE INSERT ON people BEGIN INSERT INTO seen VALUES ('stored ' || new.name); END")
    table._forget()
    table.upsert({"name": "Ada", "born": 2}, ["name"])
    table.upsert_many([{"name": "Ada", "born": 3}, {"name": "Bob", "born": 4}], ["name"])
    assert [row["what"] for row in db["seen"]] == ["stored Bob"]
    db.close()


def test_random_upserts_leave_the_same_rows_with_an_index_and_without(db):
    chance = random.Random(20261130)
    plain, unique = db["plain"], db["unique"]
    for table in (plain, unique):
        table.insert({"a": 0, "b": "0", "c": 0, "d": 0})
    unique.create_index(["a", "b"], unique=True)
    for _ in range(200):
        many = [
            {"a": chance.randint(0, 5), "b": chance.choice(["x", "y", None])}
            | {name: chance.randint(0, 9) for name in chance.sample(["c", "d"], chance.randint(0, 2))}
            for _ in range(chance.randint(1, 6))
        ]
        keys = chance.choice([["a", "b"], ["b", "a"]])
        if chance.random() < 0.5:
            answers = [table.upsert(dict(many[0]), keys) for table in (plain, unique)]
            assert answers[0] == answers[1]
        else:
            for table in (plain, unique):
                table.upsert_many(many, keys)
    assert rows(plain) == rows(unique)
