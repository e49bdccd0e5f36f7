"""What goes wrong with MySQL and MariaDB: the driver's own exceptions where a program has loaded the driver, else ours.

Both drivers give an exception its number and its words: `error.args == (1062, "Duplicate entry …")`.
"""

import sys

from . import _errors


class MySQLError(Exception):
    """The server refused, or the connection is over."""


class InterfaceError(MySQLError):
    """The connection was asked for what it cannot do."""


class DatabaseError(MySQLError):
    """The server refused."""


class IntegrityError(DatabaseError):
    """A constraint does not hold."""


class DataError(DatabaseError):
    """A value is none of its type."""


class ProgrammingError(DatabaseError):
    """The SQL is wrong, or names what is not there."""


class OperationalError(DatabaseError):
    """The server could not do it now."""


class NotSupportedError(DatabaseError):
    """The server does not do this."""


class InternalError(DatabaseError):
    """The server is wrong."""


# By the server's number, as the drivers divide them; what is below 1000 is a client's own.
_NUMBERS = {
    "ProgrammingError": (1007, 1064, 1102, 1103, 1110, 1111, 1112, 1113, 1146, 1149, 1166, 1179),
    "DataError": (1171, 1230, 1263, 1264, 1265, 1366, 1367, 1406, 1441),
    "IntegrityError": (1048, 1062, 1215, 1216, 1217, 1451, 1452),
    "NotSupportedError": (1196, 1235, 1286, 1289),
}
_CLASSES = {number: name for name, numbers in _NUMBERS.items() for number in numbers}

_LOST = 2013
_NOT_OPEN = 0


def as_pymysql(kind, code, message, fields):
    """An exception as aiomysql has it, which runs upon PyMySQL."""
    return _made("pymysql.err", kind, code, message, fields)


def as_asyncmy(kind, code, message, fields):
    """An exception as asyncmy has it."""
    return _made("asyncmy.errors", kind, code, message, fields)


def _made(driver, kind, code, message, fields):
    if kind == "mistake":
        return _errors.make(code, message)
    number = int(fields.get("number", 0))
    if kind == "lost":
        name, number = "OperationalError", _LOST
    elif kind == "misuse":
        name, number = "InterfaceError", _NOT_OPEN
    elif kind in ("value", "count"):
        name = "DataError" if kind == "value" else "ProgrammingError"
    else:
        # As the drivers: what they do not know is of the server's inside, or of how it is used.
        name = _CLASSES.get(number, "InternalError" if number < 1000 else "OperationalError")
    theirs = getattr(sys.modules.get(driver), name, None) or globals()[name]
    error = theirs(number, message)
    error.sqlstate = code
    return error
