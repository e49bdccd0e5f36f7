"""Stands for the module `sqlite3` as far as SQLAlchemy's dialect uses that."""

import sqlite3
from sqlite3 import (  # noqa: F401
    Binary,
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,
)

from ._dbapi import Connection

apilevel = "2.0"
threadsafety = 1
paramstyle = "qmark"
PARSE_DECLTYPES = sqlite3.PARSE_DECLTYPES
PARSE_COLNAMES = sqlite3.PARSE_COLNAMES
sqlite_version = sqlite3.sqlite_version
sqlite_version_info = sqlite3.sqlite_version_info

# Before these a transaction is begun, as `sqlite3` does it.
_WRITING = ("INSERT", "UPDATE", "DELETE", "REPLAC")


def _begins(statement):
    return statement.lstrip()[:6].upper() in _WRITING


def connect(engine):
    """A connection, for SQLAlchemy's pool."""
    return Connection(engine, _begins)
