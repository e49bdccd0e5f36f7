"""SQLAlchemy's dialect of MySQL over our own connections: what a driver has to say of itself."""

from sqlalchemy import types
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects.mysql.base import MySQLDialect

from . import _dbapi_mysql


def _as_it_comes(kind):
    """A type whose values come as what they are to a program."""

    def result_processor(self, dialect, coltype):
        return None

    return type(f"Naja{kind.__name__}", (kind,), {"result_processor": result_processor, "__module__": __name__})


class Dialect(MySQLDialect):
    """MySQL and MariaDB through `naja.dataset`."""

    driver = "naja"
    supports_statement_cache = True
    supports_server_side_cursors = False
    supports_native_decimal = True
    default_paramstyle = "qmark"

    colspecs = {
        **MySQLDialect.colspecs,
        types.Time: _as_it_comes(mysql.TIME),
        mysql.TIME: _as_it_comes(mysql.TIME),
        types.JSON: _as_it_comes(mysql.JSON),
        mysql.JSON: _as_it_comes(mysql.JSON),
    }

    @classmethod
    def import_dbapi(cls):
        return _dbapi_mysql

    def _extract_error_code(self, exception):
        return exception.args[0] if exception.args else 0

    def _detect_charset(self, connection):
        return "utf8mb4"

    def is_disconnect(self, error, connection, cursor):
        # A connection here is none of its own: naja makes a new one where the old one is gone.
        return False
