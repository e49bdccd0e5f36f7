"""Stands for PyMySQL as far as a dialect of SQLAlchemy's uses such a module: the exceptions, and `connect`."""

import re

from ._dbapi import Connection

apilevel = "2.0"
threadsafety = 1
paramstyle = "qmark"


class Warning(Exception):  # noqa: A001: the name that PEP 249 gives it
    """A remark of some weight."""


class Error(Exception):
    """Anything that the server refuses; the first of `args` is its number, `sqlstate` the standard's code."""

    sqlstate = None


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
    """The server itself is at fault."""


class ProgrammingError(DatabaseError):
    """The statement or its values cannot be used."""


class NotSupportedError(DatabaseError):
    """The server does not do that."""


# How the server's words end: `Duplicate entry '1' for key 'PRIMARY' (1062, 23000)`.
_NUMBER = re.compile(r" \((\d+), \w{5}\)( \(row \d+\))?$")


def error(name, message, sqlstate):
    """The exception of a class by its name, with the server's number before its words, as PyMySQL has it."""
    found = _NUMBER.search(message)
    made = globals().get(name, DatabaseError)(int(found[1]) if found else 0, message)
    made.sqlstate = sqlstate
    return made


# These begin no transaction by themselves: nothing of them would be left to commit.
_READING = re.compile(r"\s*(SELECT|SHOW|DESCRIBE|DESC|VALUES|TABLE|EXPLAIN|SET|BEGIN|COMMIT|ROLLBACK|START)\b", re.IGNORECASE)
# But for rows that are locked until a transaction ends.
_LOCKING = re.compile(r"\b(FOR\s+(UPDATE|SHARE)|LOCK\s+IN\s+SHARE\s+MODE)\b", re.IGNORECASE)


def _begins(statement):
    return not _READING.match(statement) or bool(_LOCKING.search(statement))


def connect(engine):
    """A connection, for SQLAlchemy's pool."""
    return Connection(engine, _begins)
