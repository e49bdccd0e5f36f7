"""Stands for psycopg as far as a dialect of SQLAlchemy's uses such a module: the exceptions, and `connect`."""

import re
import sys

from ._dbapi import Connection

apilevel = "2.0"
threadsafety = 1
paramstyle = "numeric_dollar"


class Warning(Exception):  # noqa: A001: the name that PEP 249 gives it
    """A remark of some weight."""


class Error(Exception):
    """Anything that the server refuses; `sqlstate` is its code."""

    sqlstate = None

    @property
    def pgcode(self):
        """The same by psycopg2's name."""
        return self.sqlstate


class InterfaceError(Error):
    """The connection was used wrongly."""


class DatabaseError(Error):
    """The database refused."""


class DataError(DatabaseError):
    """A value is out of range."""


class OperationalError(DatabaseError):
    """The server cannot do it now, or cannot be reached."""


class IntegrityError(DatabaseError):
    """A constraint would not hold any more."""


class InternalError(DatabaseError):
    """The server itself is at fault, or a transaction has failed already."""


class ProgrammingError(DatabaseError):
    """The statement or its values cannot be used."""


class NotSupportedError(DatabaseError):
    """The server does not do that."""


# Those that are psycopg's as well, by class and code.
_BOTH: dict[tuple[str, str], type] = {}


def error(name, message, sqlstate):
    """The exception of a class by its name, with the server's code.

    In a program that has loaded psycopg, 3 or 2, it is psycopg's exception for that code too, since the program may catch
    that by `error.orig`.
    """
    own = globals().get(name, DatabaseError)
    if (name, sqlstate) not in _BOTH:
        theirs = _of_psycopg(sqlstate)
        if theirs is None:
            made = own(message)
            made.sqlstate = sqlstate
            return made
        names = {"__module__": own.__module__, "__doc__": own.__doc__, "sqlstate": sqlstate, "pgcode": sqlstate}
        _BOTH[name, sqlstate] = type(theirs.__name__, (own, theirs), names)
    return _BOTH[name, sqlstate](message)


def _of_psycopg(sqlstate):
    for module in ("psycopg.errors", "psycopg2.errors"):
        try:
            return sys.modules[module].lookup(sqlstate)
        except (KeyError, AttributeError):
            continue
    return None


# These begin no transaction by themselves: nothing of them would be left to commit.
_READING = re.compile(r"\s*(SELECT|SHOW|VALUES|TABLE|EXPLAIN|SET|RESET|BEGIN|COMMIT|ROLLBACK|START)\b", re.IGNORECASE)
# But for rows that are locked until a transaction ends.
_LOCKING = re.compile(r"\bFOR\s+(NO\s+KEY\s+UPDATE|UPDATE|SHARE|KEY\s+SHARE)\b", re.IGNORECASE)


def _begins(statement):
    return not _READING.match(statement) or bool(_LOCKING.search(statement))


def connect(engine):
    """A connection, for SQLAlchemy's pool."""
    return Connection(engine, _begins)
