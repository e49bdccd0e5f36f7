"""dataset, in Rust: `import naja.dataset as dataset` instead of `import dataset`.

SQLAlchemy is not needed. Where a program uses one of its objects, or touches `table.table`, `db.op`, `db.engine` and
their like, it is loaded then, and sees the same database through the same connection.
"""

import os

from ._errors import (
    DatabaseError,
    DataError,
    DatasetError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    QueryError,
    StatementError,
)
from .database import Database
from .table import Table
from .util import OutRow, RowFactory, row_factory

__version__ = "2.0.0"

__all__ = [
    "DataError",
    "Database",
    "DatabaseError",
    "DatasetError",
    "IntegrityError",
    "OperationalError",
    "OutRow",
    "ProgrammingError",
    "QueryError",
    "RowFactory",
    "StatementError",
    "Table",
    "connect",
    "freeze",
]


def freeze(result, format="csv", filename=None, fileobj=None, prefix=".", encoding="utf-8", indent=None):  # noqa: A002
    """Writes rows into a CSV, JSON or JSON lines file, and gives its path.

    `freeze(db["people"].find(born={"<": 1900}), filename="old.csv")`. A file is replaced only when the new one is whole.
    """
    from .files import freeze

    return freeze(result, format, filename, fileobj, prefix, encoding, indent)


def connect(
    url=None,
    schema=None,
    engine_kwargs=None,
    ensure_schema=True,
    row_type=row_factory,
    sqlite_wal_mode=True,
    on_connect_statements=None,
):
    """Opens a database; without a URL, the one that the environment variable `DATABASE_URL` names, or one in memory.

    A connection is made when it is first needed, one for each thread. `row_type` makes rows of pairs of name and value.
    Tables and columns that are missing are made, unless `ensure_schema` is false. `on_connect_statements` run in each
    new connection.

        db = dataset.connect("sqlite:///facts.db")
        db["people"].insert({"name": "Ada", "born": 1815})

    `postgresql://ada@db.example/facts` is a database of a server, whose tables are those of `schema` where that is given.
    """
    if url is None:
        url = os.environ.get("DATABASE_URL", "sqlite://")
    return Database(
        url,
        schema=schema,
        engine_kwargs=engine_kwargs,
        ensure_schema=ensure_schema,
        row_type=row_type,
        sqlite_wal_mode=sqlite_wal_mode,
        on_connect_statements=on_connect_statements,
    )
