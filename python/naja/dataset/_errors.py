"""What goes wrong, by the names that PEP 249 and SQLAlchemy have for it.

A program that catches SQLAlchemy's exceptions has imported them. Only then, and only for what is raised, there is a
class that is both: ours, and SQLAlchemy's of the same name.
"""

import sys


class DatasetError(Exception):
    """Anything that this package raises by itself."""


class QueryError(DatasetError):
    """A filter that cannot be."""


class ArgumentError(DatasetError):
    """A function was called with what it cannot use."""


class StatementError(DatasetError):
    """A statement failed before or in the database.

    `statement` is its SQL, `orig` the exception that the database's own driver would have raised: one of `sqlite3`'s,
    or for a server one with its code as `sqlstate`.
    """

    def __init__(self, message, statement=None, params=None, orig=None, **_others):
        Exception.__init__(self, message)
        self.statement = statement
        self.params = params
        self.orig = orig
        self.code = None
        self.detail = []
        self.hide_parameters = True
        self.ismulti = None
        self.connection_invalidated = False

    def __str__(self):
        text = str(self.args[0])
        if self.orig is not None:
            kind = type(self.orig)
            text = f"({kind.__module__}.{kind.__qualname__}) {text}"
        return f"{text}\n[SQL: {self.statement}]" if self.statement else text

    def __reduce__(self):
        return make, (type(self).__name__, self.args[0], self.statement, getattr(self.orig, "sqlstate", None))


class DBAPIError(StatementError):
    """The database refused."""


class InterfaceError(DBAPIError):
    """The connection was used wrongly."""


class DatabaseError(DBAPIError):
    """The database refused, or is damaged."""


class DataError(DatabaseError):
    """A value is out of range."""


class OperationalError(DatabaseError):
    """The database cannot do it: it is locked, full, read-only, or there is no such table."""


class IntegrityError(DatabaseError):
    """A constraint would not hold any more."""


class InternalError(DatabaseError):
    """The database itself is at fault."""


class ProgrammingError(DatabaseError):
    """The statement or its values cannot be used."""


class NotSupportedError(DatabaseError):
    """The database does not do that."""


_CLASSES = {
    one.__name__: one
    for one in (
        DatasetError,
        QueryError,
        ArgumentError,
        StatementError,
        DBAPIError,
        InterfaceError,
        DatabaseError,
        DataError,
        OperationalError,
        IntegrityError,
        InternalError,
        ProgrammingError,
        NotSupportedError,
    )
}

# Both ours and SQLAlchemy's, by name.
_BOTH: dict[str, type] = {}


def class_of(name):
    """The class to raise: ours, and SQLAlchemy's as well in a program that has loaded it."""
    own = _CLASSES[name]
    theirs = getattr(sys.modules.get("sqlalchemy.exc"), name, None)
    if theirs is None:
        return own
    if name not in _BOTH:
        _BOTH[name] = type(name, (own, theirs), {"__module__": own.__module__, "__doc__": own.__doc__})
    return _BOTH[name]


def make(name, message, statement=None, sqlstate=None, driver="_dbapi_postgres"):
    """An exception of a class by its name; `sqlstate` is the code of a server's error, `driver` who stands for its driver."""
    kind = class_of(name)
    if not issubclass(kind, StatementError):
        return kind(message)
    orig = None
    if issubclass(kind, DBAPIError):
        if sqlstate is not None:
            from importlib import import_module

            orig = import_module(f"{__package__}.{driver}").error(name, message, sqlstate)
        else:
            import sqlite3

            orig = getattr(sqlite3, name, sqlite3.DatabaseError)(message)
    return kind(message, statement, None, orig)
