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

from ._dbapi import Connection, _call

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


class SQLiteConnection(Connection):
    """Whichever connection the calling thread has; what is defined in it is defined for all threads."""

    def create_function(self, name, narg, func, *, deterministic=False):
        # SQLAlchemy defines `regexp` and `floor` in each new connection, as naja has done in it.
        if (name, narg, getattr(func, "__module__", "")) not in _SQLALCHEMY:
            _call(self._engine.create_function, name, narg, func, deterministic)

    def create_aggregate(self, name, n_arg, aggregate_class):
        _call(self._engine.create_aggregate, name, n_arg, aggregate_class)

    def create_collation(self, name, callback):
        _call(self._engine.create_collation, name, callback)


_SQLALCHEMY = (("regexp", 2, "sqlalchemy.dialects.sqlite.pysqlite"), ("floor", 1, "math"))


def connect(engine):
    """A connection, for SQLAlchemy's pool."""
    return SQLiteConnection(engine, _begins)
