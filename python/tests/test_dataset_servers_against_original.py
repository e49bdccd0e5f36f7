"""The same random operations through dataset 2.0.0 with its drivers and through naja.dataset leave the same tables in PostgreSQL
and in MariaDB, and give the same rows."""

import contextlib
import decimal
import os
import random

import pytest
import test_dataset_against_original as sqlite
from originals import importable

DRIVERS = ("psycopg==3.3.9", "psycopg_binary==3.3.9", "pymysql==1.2.4")
# Some go into every run of the tests; a round takes seconds, nearly all of them the original's.
ROUNDS = int(os.environ.get("NAJA_TEST_ROUNDS", 8))


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    drivers = ("psycopg", "psycopg_binary", "pymysql")
    forget = ("dataset", "sqlalchemy", "alembic", "mako", "markupsafe", "typing_extensions", *drivers)
    with importable(tmp_path_factory.mktemp("original"), *sqlite.ORIGINAL, *DRIVERS, forget=forget):
        import dataset

        import naja.dataset._dbapi_postgres
        import naja.dataset._errors
        from naja import dataset as ours

        made = (naja.dataset._errors._BOTH, naja.dataset._dbapi_postgres._BOTH)
        made[0].clear()
        yield dataset, ours
        for classes in made:
            classes.clear()


class Postgres:
    """How a database is looked at from outside, and what is there at the beginning."""

    scheme = "postgresql+psycopg"
    names = sqlite.NAMES
    # Of a None each would be text, and how text is compared with what is none is where the two differ on purpose:
    # the original's driver says what a value is, ours lets the server read it as what the column is.
    table = (
        'CREATE TABLE "{}" (id serial PRIMARY KEY, age bigint, "Score" double precision, born date, at timestamp, '
        "ok boolean, data jsonb)"
    )
    columns = (
        "SELECT table_name::text, column_name::text, data_type::text, is_nullable::text, column_default::text "
        "FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position"
    )
    indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"

    @staticmethod
    def answer(_what, answer):
        return answer

    @staticmethod
    def rows(base, name):
        return [row["row"] for row in base.query(f'SELECT "{name}"::text AS row FROM "{name}" ORDER BY id')]


class MariaDb:
    """The same; columns of the original's own making are narrower than ours, and it stores no dictionaries.

    Of many rows in one packet the server skips numbers, so that keys are compared by the order that they make.
    """

    scheme = "mysql+pymysql"
    names = [name for name in sqlite.NAMES if name != "data"]
    table = "CREATE TABLE `{}` (id int AUTO_INCREMENT PRIMARY KEY, age bigint, `Score` double, born date, at datetime(6), ok bool)"
    columns = (
        "SELECT table_name AS a, column_name AS b, column_type AS c, is_nullable AS d, column_default AS e "
        "FROM information_schema.columns WHERE table_schema = database() ORDER BY table_name, ordinal_position"
    )
    indexes = (
        "SELECT table_name AS a, index_name AS b, seq_in_index AS c, column_name AS d, sub_part AS e, non_unique AS f "
        "FROM information_schema.statistics WHERE table_schema = database() ORDER BY 1, 2, 3"
    )

    @staticmethod
    def answer(what, answer):
        if what in ("insert", "upsert", "insert_ignore") and isinstance(answer, int):
            return answer > 0
        for row in answer if isinstance(answer, list) else [answer]:
            if isinstance(row, dict):
                row.pop("id", None)
                # SQLAlchemy gives a double of a table that it has not made as a Decimal.
                row.update({name: float(value) for name, value in row.items() if isinstance(value, decimal.Decimal)})
        return answer

    @staticmethod
    def rows(base, name):
        names = ", ".join(f"CAST(`{column}` AS BINARY) AS `{column}`" for column in base[name].columns if column != "id")
        return [list(row.values()) for row in base.query(f"SELECT {names} FROM `{name}` ORDER BY id")]


SIDES = {"postgresql": Postgres, "mariadb": MariaDb}


def stored(side, base):
    """Every table: its columns with their types, every row as the server writes it, every index."""
    of = lambda sql: [list(row.values()) for row in base.query(sql)]  # noqa: E731
    return of(side.columns), {name: side.rows(base, name) for name in base.tables}, of(side.indexes)


def differences(one, other):
    """What differs in short, rather than two whole databases."""
    found = []
    for part, left, right in zip(("columns", "rows", "indexes"), one, other):
        if part == "rows":
            left, right = ([(name, row) for name, rows in side.items() for row in rows] for side in (left, right))
        found += [(part, *pair) for pair in zip(left, right) if pair[0] != pair[1]][:3]
        found += [(part, len(left), len(right))] * (len(left) != len(right))
    return found


class Undone(Exception):
    """An operation within a transaction has failed."""


# A round on MariaDB takes twice as long.
ALL_ROUNDS = [(engine, seed) for engine, rounds in (("postgresql", ROUNDS), ("mariadb", ROUNDS // 2)) for seed in range(rounds)]


@pytest.mark.parametrize(("engine", "seed"), ALL_ROUNDS)
def test_random_operations_leave_the_same_tables(both, engine, seed, request, monkeypatch):
    side = SIDES[engine]
    monkeypatch.setattr(sqlite, "NAMES", side.names)
    server = request.getfixturevalue({"postgresql": "postgres"}.get(engine, engine))
    urls = [server.database() for _ in both]
    bases = [module.connect(f"{side.scheme}://{url.partition('://')[2]}") for module, url in zip(both, urls)]
    # Looked at from outside, so that nothing that is not committed is seen.
    outside = [both[1].connect(url) for url in urls]
    for base in outside:
        for name in ("people", "Other Table"):
            base.query(side.table.format(name))
    chance = random.Random(seed)
    for step in range(sqlite.OPERATIONS):
        name = chance.choice(["people", "Other Table"])
        what, do, described = sqlite.operation(chance)
        in_transaction = chance.random() < 0.2
        answers = []
        for base in bases:
            with contextlib.suppress(Undone), base if in_transaction else contextlib.nullcontext():
                answers.append(side.answer(what, sqlite.outcome(do, base[name])))
                if in_transaction and isinstance(answers[-1], str):
                    raise Undone
            if not in_transaction:
                base.executable.rollback()
        assert answers[1] == answers[0], (seed, step, what, name, described)
        one, other = (stored(side, base) for base in outside)
        assert differences(one, other) == [], (seed, step, what, name, described)
    for base in (*bases, *outside):
        base.close()
