"""The same random operations through dataset 2.0.0 with psycopg and through naja.dataset leave the same tables in PostgreSQL,
and give the same rows."""

import contextlib
import datetime
import os
import random

import pytest
import test_dataset_against_original as sqlite
from originals import importable

PSYCOPG = ("psycopg==3.3.9", "psycopg_binary==3.3.9")
# Some go into every run of the tests; a round takes seconds, nearly all of them the original's.
ROUNDS = int(os.environ.get("NAJA_TEST_ROUNDS", 8))


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    forget = ("dataset", "sqlalchemy", "alembic", "mako", "markupsafe", "typing_extensions", "psycopg", "psycopg_binary")
    with importable(tmp_path_factory.mktemp("original"), *sqlite.ORIGINAL, *PSYCOPG, forget=forget):
        import dataset

        import naja.dataset._dbapi_postgres
        import naja.dataset._errors
        from naja import dataset as ours

        naja.dataset._errors._BOTH.clear()
        yield dataset, ours
        naja.dataset._errors._BOTH.clear()
        naja.dataset._dbapi_postgres._BOTH.clear()


COLUMNS = """
SELECT table_name::text, column_name::text, data_type::text, is_nullable::text, column_default::text
FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position
"""


def stored(base):
    """Every table: its columns with their types, every row as the server writes it, every index."""
    ask = lambda sql: base.query(sql)  # noqa: E731
    rows = {name: [row["row"] for row in ask(f'SELECT "{name}"::text AS row FROM "{name}" ORDER BY id')] for name in base.tables}
    indexes = [row["indexdef"] for row in ask("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1")]
    return [list(row.values()) for row in ask(COLUMNS)], rows, indexes


EXAMPLES = {
    "age": 1,
    "Score": 0.5,
    "born": datetime.date(2011, 1, 2),
    "at": datetime.datetime(2011, 1, 2),
    "ok": True,
    "data": {},
}


class Undone(Exception):
    """An operation within a transaction has failed."""


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_random_operations_leave_the_same_tables(both, postgres, seed):
    number = random.randrange(2**63)
    urls = [postgres.database(f"differential_{name}_{number}") for name in ("original", "naja")]
    bases = [module.connect(url.replace("postgresql://", "postgresql+psycopg://")) for module, url in zip(both, urls)]
    # Looked at from outside, so that nothing that is not committed is seen.
    outside = [both[1].connect(url) for url in urls]
    for base in bases:
        for name in ("people", "Other Table"):
            # Of a None each would be text, and how text is compared with what is none is where the two differ on purpose:
            # the original's driver says what a value is, ours lets the server read it as what the column is.
            for column, example in EXAMPLES.items():
                base[name].create_column_by_example(column, example)
    chance = random.Random(seed)
    for step in range(sqlite.OPERATIONS):
        name = chance.choice(["people", "Other Table"])
        what, do, described = sqlite.operation(chance)
        in_transaction = chance.random() < 0.2
        answers = []
        for base in bases:
            with contextlib.suppress(Undone), base if in_transaction else contextlib.nullcontext():
                answers.append(sqlite.outcome(do, base[name]))
                if in_transaction and isinstance(answers[-1], str):
                    raise Undone
            if not in_transaction:
                base.executable.rollback()
        assert answers[1] == answers[0], (seed, step, what, name, described)
        one, other = map(stored, outside)
        assert other == one, (seed, step, what, name, described)
    for base in (*bases, *outside):
        base.close()
