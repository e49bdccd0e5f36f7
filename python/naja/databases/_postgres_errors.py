"""What goes wrong with PostgreSQL: the driver's own exceptions where a program has loaded the driver, else ours.

A program that catches `asyncpg.UniqueViolationError` has imported asyncpg; only then its class is needed. The attributes
are the driver's in both cases: `sqlstate`, `detail`, `constraint_name`, …
"""

import sys

from . import _errors


class PostgresError(Exception):
    """The server refused, or the connection is over."""

    sqlstate = None
    severity = detail = hint = position = context = None
    internal_position = internal_query = server_source_function = None
    schema_name = table_name = column_name = data_type_name = constraint_name = None

    def __str__(self):
        return _with_details(super().__str__(), self.detail, self.hint)


class InterfaceError(Exception):
    """The connection was asked for what it cannot do."""


class IntegrityError(PostgresError):
    """A constraint does not hold."""


class DataError(PostgresError):
    """A value is none of its type."""


class ProgrammingError(PostgresError):
    """The SQL is wrong, or names what is not there."""


class OperationalError(PostgresError):
    """The server could not do it now."""


class NotSupportedError(PostgresError):
    """The server does not do this."""


class InternalError(PostgresError):
    """The transaction is over, or the server is wrong."""


# By the first two characters of the code, as PEP 249 divides them.
_CLASSES = {
    "08": OperationalError,
    "0A": NotSupportedError,
    "21": ProgrammingError,
    "22": DataError,
    "23": IntegrityError,
    "24": InternalError,
    "25": InternalError,
    "26": ProgrammingError,
    "28": OperationalError,
    "34": ProgrammingError,
    "3D": ProgrammingError,
    "3F": ProgrammingError,
    "40": OperationalError,
    "42": ProgrammingError,
    "53": OperationalError,
    "54": OperationalError,
    "55": OperationalError,
    "57": OperationalError,
    "58": OperationalError,
    "XX": InternalError,
}


def _with_details(message, detail, hint):
    if detail:
        message += f"\nDETAIL:  {detail}"
    return f"{message}\nHINT:  {hint}" if hint else message


def as_asyncpg(kind, code, message, fields):
    """An exception as asyncpg has it."""
    if kind == "mistake":
        return _errors.make(code, message)
    driver = sys.modules.get("asyncpg.exceptions")
    if kind in ("misuse", "count"):
        return getattr(driver, "InterfaceError", InterfaceError)(message)
    if driver is None:
        return _filled(_CLASSES.get(code[:2], PostgresError)(message), code, fields)
    if kind == "value":
        return driver.DataError(message)
    if kind == "lost":
        return driver.ConnectionDoesNotExistError(message)
    theirs = type(driver.PostgresError).get_message_class_for_sqlstate(code)
    # Some codes have a class by their first two characters alone.
    if theirs is driver.UnknownPostgresError:
        theirs = type(driver.PostgresError).get_message_class_for_sqlstate(code[:2] + "000")
    return _filled(theirs(message), code, fields)


def as_psycopg2(kind, code, message, fields):
    """An exception as psycopg2 has it, which aiopg runs upon."""
    if kind == "mistake":
        return _errors.make(code, message)
    driver = sys.modules.get("psycopg2")
    if driver is None:
        if kind in ("misuse", "count"):
            return InterfaceError(message)
        return _filled(_CLASSES.get(code[:2], PostgresError)(message), code, fields)
    if kind in ("misuse", "count"):
        return driver.InterfaceError(message) if kind == "misuse" else driver.ProgrammingError(message)
    if kind == "value":
        return driver.ProgrammingError(message)
    if kind == "lost":
        return driver.OperationalError(message)
    import psycopg2.errors

    try:
        theirs = psycopg2.errors.lookup(code)
    except KeyError:
        theirs = driver.DatabaseError
    text = f"{_with_details(message, fields.get('detail'), fields.get('hint'))}\n"
    error = theirs(text)
    error.__setstate__({"pgcode": code, "pgerror": f"{fields.get('severity', 'ERROR')}:  {text}"})
    return error


def _filled(error, code, fields):
    error.sqlstate = code
    for name, value in fields.items():
        setattr(error, name, value)
    return error
