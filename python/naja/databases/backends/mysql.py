"""MySQL and MariaDB, as aiomysql has them."""

import asyncio
import typing

from naja._native import db

from naja import _tls

from .. import _mysql_errors
from .._servers import Pool, Session, Target
from ..interfaces import Prepared
from ._words import sized
from .postgres import PostgresBackend, PostgresConnection, PostgresTransaction

_NUMBER = 5

_NUMBERS = {"min_size": "minsize", "max_size": "maxsize", "pool_recycle": "pool_recycle"}

# What the drivers take beside these, and has no meaning here: UTF-8 is spoken, and what is done outside a transaction is
# stored at once.
_WITHOUT_MEANING = ("loop", "charset", "use_unicode", "autocommit", "echo", "cursorclass", "cursor_cls", "conv")


class MySQLBackend(PostgresBackend):
    _make_error = staticmethod(_mysql_errors.as_pymysql)

    def _get_connection_kwargs(self) -> dict:
        return sized(self._database_url.options, self._options, _NUMBERS, ("unix_socket",))

    def _make_pool(self, words: dict) -> Pool:
        min_size, max_size = words.pop("minsize", 1), words.pop("maxsize", 10)
        if not max_size:
            # No limit, to the drivers.
            max_size = 2**31
        recycle_s = words.pop("pool_recycle", -1)
        self._command_timeout_s = words.pop("command_timeout", None)
        return Pool(
            self._target(words),
            min_size=min(min_size, max_size) if "minsize" not in self._get_connection_kwargs() else min_size,
            max_size=max_size,
            max_queries=0,
            max_idle_s=recycle_s if recycle_s > 0 else 300.0,
            reset=[],
            make_error=self._make_error,
            stand_for=self._stand_for,
        )

    def _target(self, words: dict) -> Target:
        url_options = self._database_url.options
        for name in _WITHOUT_MEANING:
            words.pop(name, None)
        ssl = words.pop("ssl", None)
        files = {name: url_options[name] for name in ("sslrootcert", "sslcert", "sslkey", "sslcrl") if name in url_options}
        encryption = _tls.encryption_of(url_options.get("sslmode") if ssl is None else ssl, files, is_of_libpq=False)
        timeout_s, password = words.pop("connect_timeout", None) or 60.0, words.pop("password", None)
        settings = {}
        if "sql_mode" in words:
            settings["sql_mode"] = words.pop("sql_mode")
        if "init_command" in words:
            raise ValueError("naja.databases has no `init_command`")
        named = {name: words.pop(name, None) for name in ("host", "port", "user")}
        named["database"] = words.pop("db", words.pop("database", None))
        named["path"] = words.pop("unix_socket", None)
        named["application_name"] = words.pop("program_name", None)
        if words:
            raise TypeError(f"connect() got an unexpected keyword argument {next(iter(words))!r}")

        def make_link(loop: asyncio.AbstractEventLoop, mode: str, password: typing.Optional[str]) -> typing.Any:
            options = db.MySqlOptions(**named, password=password, tls=mode, settings=list(settings.items()))
            return db.Link(loop, options, self._make_error, False, True), options

        return Target(make_link, encryption, timeout_s, password)

    def connection(self) -> "MySQLConnection":
        return MySQLConnection(self)

    def _stand_for(self, session: Session) -> typing.Any:
        from .._cursors import Connection

        return Connection(session, self._make_error, self._command_timeout_s, "?")


class MySQLConnection(PostgresConnection):
    def _compiled(self, query: typing.Any) -> typing.Any:
        if type(query) is Prepared:
            return self._logged(query)
        from .._sqlalchemy import mysql

        return self._logged(mysql(query))

    async def execute(self, query: typing.Any) -> typing.Any:
        return await self._run(_NUMBER, query)

    def transaction(self) -> "MySQLTransaction":
        return MySQLTransaction(self)


class MySQLTransaction(PostgresTransaction):
    def _begin(self, **_options: typing.Any) -> str:
        # Options mean nothing to the original.
        return "START TRANSACTION"
