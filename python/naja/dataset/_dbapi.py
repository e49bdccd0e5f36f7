"""The face of a database that SQLAlchemy sees: Python's database interface (PEP 249) over our own connections.

It stands for the module `sqlite3` as far as SQLAlchemy's dialect uses that. A connection here is none of its own: it
is whichever connection the calling thread has, so that both sides see one database, open transactions included.
"""

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

from . import _errors

apilevel = "2.0"
threadsafety = 1
paramstyle = "qmark"
PARSE_DECLTYPES = sqlite3.PARSE_DECLTYPES
PARSE_COLNAMES = sqlite3.PARSE_COLNAMES
sqlite_version = sqlite3.sqlite_version
sqlite_version_info = sqlite3.sqlite_version_info

# Before these a transaction is begun, as `sqlite3` does it.
_WRITING = ("INSERT", "UPDATE", "DELETE", "REPLAC")


class Connection:
    """Whichever connection the calling thread has."""

    isolation_level = ""

    def __init__(self, engine):
        self._engine = engine

    def cursor(self, *_classes):
        return Cursor(self._engine)

    def execute(self, statement, values=()):
        return self.cursor().execute(statement, values)

    def commit(self):
        # A transaction of the program's own is committed by the program.
        if not self._engine.in_transaction:
            _call(self._engine.commit_outside)

    def rollback(self):
        if not self._engine.in_transaction:
            _call(self._engine.rollback_outside)

    def close(self):
        pass

    @property
    def in_transaction(self):
        return self._engine.has_begun

    def create_function(self, name, count, function, deterministic=False):
        # SQLAlchemy offers `regexp` to each new connection. Functions in Python cannot be had here, and a statement
        # that uses one is told by SQLite that there is none.
        pass


class Cursor:
    """Runs one statement at a time and holds all of its rows."""

    arraysize = 1

    def __init__(self, engine):
        self._engine = engine
        self.description = None
        self.rowcount = -1
        self.lastrowid = None
        self._rows = []
        self._next = 0

    def execute(self, statement, values=()):
        begins = statement.lstrip()[:6].upper() in _WRITING
        names, self._rows, self.rowcount, row_id = _call(self._engine.execute, statement, values, begins)
        self.description = [(name, None, None, None, None, None, None) for name in names] or None
        self.lastrowid = row_id if begins else None
        self._next = 0
        return self

    def executemany(self, statement, many):
        count = 0
        for values in many:
            self.execute(statement, values)
            count += max(self.rowcount, 0)
        self.rowcount = count
        return self

    def fetchone(self):
        if self._next >= len(self._rows):
            return None
        self._next += 1
        return self._rows[self._next - 1]

    def fetchmany(self, size=None):
        start = self._next
        self._next = min(start + (self.arraysize if size is None else size), len(self._rows))
        return self._rows[start : self._next]

    def fetchall(self):
        start, self._next = self._next, len(self._rows)
        return self._rows[start:]

    def __iter__(self):
        return iter(self.fetchone, None)

    def setinputsizes(self, sizes):
        pass

    def setoutputsize(self, size, column=None):
        pass

    def close(self):
        self._rows, self._next = [], 0


def connect(engine):
    """A connection, for SQLAlchemy's pool."""
    return Connection(engine)


def _call(function, *arguments):
    """Calls into the database; what it refuses is one of `sqlite3`'s own exceptions, which SQLAlchemy wraps."""
    try:
        return function(*arguments)
    except _errors.DBAPIError as error:
        raise (error.orig or OperationalError(str(error))) from None
