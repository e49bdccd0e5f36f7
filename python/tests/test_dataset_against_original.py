"""The same random operations through dataset 2.0.0 and through naja.dataset leave the same tables, and give the same rows."""

import contextlib
import datetime
import os
import random
import sqlite3
import sys

import pytest
from originals import importable

ORIGINAL = ("dataset==2.0.0", "sqlalchemy==2.1.9", "alembic==1.20.1", "mako==1.3.10", "markupsafe==3.0.3", "typing_extensions==4.15.0")
# 600 rounds have passed; some go into every run of the tests.
ROUNDS, OPERATIONS = int(os.environ.get("NAJA_TEST_ROUNDS", 30)), 40


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    forget = ("dataset", "sqlalchemy", "alembic", "mako", "markupsafe", "typing_extensions")
    with importable(tmp_path_factory.mktemp("original"), *ORIGINAL, forget=forget):
        import dataset

        from naja import dataset as ours

        yield dataset, ours


NAMES = ["name", "age", "Score", "city x", "born", "at", "ok", "data", "extra"]


def value(random, name):
    """A value that suits a column, mostly; None now and then."""
    if random.random() < 0.12:
        return None
    match name.lower():
        case "name":
            return random.choice(["Ada", "Bob", "", "Zoë €", "a'b\"c", "50%_x", "x" * 300])
        case "age":
            return random.choice([0, 1, -5, 7, 2**62, 11111111111])
        case "score":
            return random.choice([0.5, -1.25, 1e300, 3.0, 0.1])
        case "city x":
            return random.choice(["Berlin", "Oslo"])
        case "born":
            return random.choice([datetime.date(2011, 1, 2), datetime.date(1, 1, 1), datetime.date(9999, 12, 31)])
        case "at":
            return random.choice([datetime.datetime(2011, 1, 1), datetime.datetime(2020, 2, 29, 23, 59, 59, 123456)])
        case "ok":
            return random.choice([True, False])
        case "data":
            return random.choice([{"a": 1}, {"list": [1, "ü", None]}, {}])
    return random.choice(["text", "other"])


def row(random, least=1):
    names = random.sample(NAMES, random.randint(least, 5))
    return {vary(random, name): value(random, name) for name in names}


def vary(random, name):
    """Another way to write the same name, now and then."""
    return random.choice([name, name, name, name, name.upper(), f" {name} "])


def keys(random, one):
    return random.sample(list(one), random.randint(1, min(2, len(one))))


def merged(one, two):
    """Both rows in one, without the same column in two spellings: the original cannot make such a column."""
    spelled = {name.strip().lower() for name in one}
    return {**one, **{name: item for name, item in two.items() if name.strip().lower() not in spelled}}


def filters(random):
    name = random.choice([name for name in NAMES if " " not in name and name != "data"])
    one = value(random, name)
    if one is None or random.random() < 0.4:
        return {name: one}
    operator = random.choice([">", "<", ">=", "lte", "!=", "=", "in", "notin", "between", "like", "ilike", "startswith", "nonsense"])
    if operator in ("in", "notin"):
        return {name: {operator: [one, value(random, name) or one]}}
    if operator == "between":
        return {name: {operator: [one, one]}}
    if operator in ("like", "ilike", "startswith"):
        return {"name": {operator: random.choice(["A%", "a%", "%", "50%", "_"])}}
    if isinstance(one, bool) and operator in (">", "<", ">=", "lte"):
        return {name: one}
    return {name: {operator: one}}


def operation(random):
    """What is done to a table, as a function of it, so that it can be done to both."""
    one, two = row(random), row(random)
    by, where, order = keys(random, one), filters(random), random.choice([None, "id", "-id", ["name", "-age", "id"]])
    many = [row(random) if random.random() < 0.3 else dict(one) for _ in range(random.randint(1, 30))]
    limit, offset = random.choice([None, 1, 3]), random.choice([0, 0, 2])
    chunk = random.choice([1, 7, 1000])
    described = f"row {one}, other {two}, keys {by}, filters {where}"
    what, do = chosen(random, one, two, by, where, order, many, limit, offset, chunk)
    return what, do, described


def chosen(random, one, two, by, where, order, many, limit, offset, chunk):
    match random.randint(0, 12):
        case 0 | 1:
            return "insert", lambda table: table.insert(dict(one))
        case 2:
            return "insert_many", lambda table: table.insert_many(exact(table, many), chunk_size=chunk)
        case 3 | 4:
            return "upsert", lambda table: table.upsert(dict(one), by)
        case 5:
            return "update", lambda table: table.update(merged(one, two), by)
        case 6:
            return "insert_ignore", lambda table: table.insert_ignore(dict(one), by)
        case 7:
            return "upsert_many", lambda table: table.upsert_many([one, two], by)
        case 8:
            return "delete", lambda table: table.delete(**where)
        case 9:
            return "find", lambda table: [dict(each) for each in table.find(_limit=limit, _offset=offset, order_by=order, **where)]
        case 10:
            return "count", lambda table: (table.count(**where), len(table), table.columns)
        case 11:
            return "distinct", lambda table: [dict(each) for each in table.distinct(table._get_column_name("name"), **where)] if table.has_column("name") else None
        case _:
            return "find_one", lambda table: table.find_one(order_by="id", **where)


def exact(table, rows):
    """Rows with the names that the table has: others' values are lost silently by the original's `insert_many`."""
    return [{table._get_column_name(name.lower()): one for name, one in each.items()} for each in rows]


def outcome(do, table):
    try:
        return do(table)
    except Exception as error:  # noqa: BLE001: which exception it is, is what is compared
        kinds = [kind.__name__ for kind in type(error).__mro__ if kind.__module__.startswith(("sqlalchemy", "builtins"))]
        return kinds[0]


def stored(path):
    """Every table: its columns with their types, and every value with its type, as SQLite has them."""
    with contextlib.closing(sqlite3.connect(path)) as base:
        tables = {}
        for (name,) in base.execute("select name from sqlite_master where type = 'table' order by name").fetchall():
            columns = base.execute(f"select name, type, pk from pragma_table_info('{name}')").fetchall()
            list_of = ", ".join(f'typeof("{column}"), "{column}"' for column, _, _ in columns)
            tables[name] = columns, base.execute(f'select {list_of} from "{name}" order by rowid').fetchall()
        indexes = base.execute("select name, tbl_name from sqlite_master where type = 'index' order by name").fetchall()
        return tables, indexes


def differences(original, ours):
    """What differs in short, rather than two whole databases."""
    found = []
    for name in sorted({*original[0], *ours[0]}):
        one, other = original[0].get(name, ([], [])), ours[0].get(name, ([], []))
        for part, left, right in zip(("columns", "rows"), one, other):
            found += [(name, part, *pair) for pair in zip(left, right) if pair[0] != pair[1]]
            found += [(name, part, len(left), len(right))] * (len(left) != len(right))
    return found + [("indexes", one) for one in {*original[1]} ^ {*ours[1]}]


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_random_operations_leave_the_same_tables(both, tmp_path, seed):
    paths = [tmp_path / name for name in ("original.db", "naja.db")]
    bases = [module.connect(f"sqlite:///{path}") for module, path in zip(both, paths)]
    for base in bases:
        for name in ("people", "Other Table"):
            # Of a None it would be TEXT, which takes no dictionaries, and how much of a call is done before its error
            # is where the two differ on purpose.
            base[name].create_column_by_example("data", {})
    chance = random.Random(seed)
    for number in range(OPERATIONS):
        name = chance.choice(["people", "Other Table"])
        # Both sides are given the same, since chance has been asked before.
        what, do, described = operation(chance)
        in_transaction = chance.random() < 0.2
        answers = []
        for base in bases:
            with base if in_transaction else contextlib.nullcontext():
                answers.append(outcome(do, base[name]))
            if not in_transaction:
                base.executable.rollback()
        assert answers[1] == answers[0], (seed, number, what, name, described)
        assert differences(*map(stored, paths)) == [], (seed, number, what, name, described)
    for base in bases:
        base.close()


def test_the_original_was_not_naja(both):
    original, ours = both
    assert original.__file__ != ours.__file__
    assert "sqlalchemy" in sys.modules
