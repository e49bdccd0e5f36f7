"""What goes wrong: `sqlite3`'s exceptions for what the database refuses, SQLAlchemy's for what a query lacks.

A program that catches SQLAlchemy's has imported them; only then there is a class that is both.
"""

import sys


class ArgumentError(Exception):
    """A query was given what it has no place for."""


class InvalidRequestError(Exception):
    """A query lacks a value."""


_OWN = {one.__name__: one for one in (ArgumentError, InvalidRequestError)}
_BOTH = {}


def make(name, message, code=0):
    """An exception by the name of its class; `code` is SQLite's result code."""
    if name in _OWN:
        return _class_of(name)(message)
    import sqlite3

    error = getattr(sqlite3, name, sqlite3.DatabaseError)(message)
    if code:
        error.sqlite_errorcode = code
        error.sqlite_errorname = _name_of(sqlite3, code)
    return error


def _class_of(name):
    own = _OWN[name]
    theirs = getattr(sys.modules.get("sqlalchemy.exc"), name, None)
    if theirs is None:
        return own
    if name not in _BOTH:
        _BOTH[name] = type(name, (own, theirs), {"__module__": own.__module__, "__doc__": own.__doc__})
    return _BOTH[name]


_NOT_CODES = ("SQLITE_LIMIT_", "SQLITE_DBCONFIG_")


def _name_of(sqlite3, code):
    """As `SQLITE_CONSTRAINT_UNIQUE`: there are other constants with the same numbers, whose names come first."""
    for wanted in (code, code & 0xFF):
        for name in ("BUSY", "LOCKED", "ERROR", "MISUSE", "INTERRUPT", "CONSTRAINT", "FULL", "READONLY", "CANTOPEN", "CORRUPT"):
            if getattr(sqlite3, f"SQLITE_{name}", None) == wanted:
                return f"SQLITE_{name}"
        for name, value in vars(sqlite3).items():
            if value == wanted and wanted > 0xFF and name.startswith("SQLITE_") and not name.startswith(_NOT_CODES):
                return name
    return "SQLITE_ERROR"
