"""The face of a database that SQLAlchemy sees: Python's database interface (PEP 249) over our own connections.

What all engines have in common; `_dbapi_sqlite` and `_dbapi_postgres` are the modules that SQLAlchemy's dialects use. A
connection here is none of its own: it is whichever connection the calling thread has, so that both sides see one
database, open transactions included.
"""

from . import _errors


class Connection:
    """Whichever connection the calling thread has."""

    isolation_level = ""

    def __init__(self, engine, begins):
        self._engine = engine
        # Says of a statement whether a transaction is begun before it.
        self._begins = begins

    def cursor(self, *_classes, **_options):
        return Cursor(self._engine, self._begins)

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


class Cursor:
    """Runs one statement at a time and holds all of its rows."""

    arraysize = 1

    def __init__(self, engine, begins):
        self._engine = engine
        self._begins = begins
        self.description = None
        self.rowcount = -1
        self.lastrowid = None
        self._rows = []
        self._next = 0

    def execute(self, statement, values=()):
        begins = self._begins(statement)
        names, self._rows, self.rowcount, row_id = _call(self._engine.execute, statement, values or (), begins)
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


def _call(function, *arguments):
    """Calls into the database; what it refuses is one of the driver's exceptions, which SQLAlchemy wraps."""
    try:
        return function(*arguments)
    except _errors.DBAPIError as error:
        # What a function of the program's raised, where that is why.
        raise error.orig from error.__cause__
