"""MySQL and MariaDB, as asyncmy has them."""

from .. import _mysql_errors
from .mysql import MySQLBackend


class AsyncMyBackend(MySQLBackend):
    _make_error = staticmethod(_mysql_errors.as_asyncmy)
