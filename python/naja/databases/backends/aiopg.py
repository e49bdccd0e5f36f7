"""PostgreSQL, as aiopg has it."""

import typing

from .. import _postgres_errors
from .._servers import Pool, Session
from ..interfaces import Prepared
from ._words import sized
from .postgres import PostgresBackend, PostgresConnection, PostgresTransaction, begin

# What aiopg takes beside these, and has no meaning here.
_WITHOUT_MEANING = ("enable_json", "enable_hstore", "enable_uuid", "echo", "pool_recycle")


class AiopgBackend(PostgresBackend):
    # psycopg2 writes values as literals, whose type the server finds, and makes objects of JSON.
    _is_strict = False
    _documents_are_parsed = True
    _make_error = staticmethod(_postgres_errors.as_psycopg2)

    def _get_connection_kwargs(self) -> dict:
        return sized(self._database_url.options, self._options, {"min_size": "minsize", "max_size": "maxsize"})

    def _make_pool(self, words: dict) -> Pool:
        for theirs, ours in {"minsize": "min_size", "maxsize": "max_size", "on_connect": "init"}.items():
            if theirs in words:
                words[ours] = words.pop(theirs)
        if not words.get("max_size", 10):
            # No limit, to aiopg.
            words["max_size"] = 2**31
        for name in _WITHOUT_MEANING:
            words.pop(name, None)
        timeout_s = words.pop("timeout", 60.0)
        words.setdefault("command_timeout", timeout_s)
        return super()._make_pool({**words, "timeout": timeout_s})

    def connection(self) -> "AiopgConnection":
        return AiopgConnection(self)

    def _stand_for(self, session: Session) -> typing.Any:
        from .._cursors import Connection

        return Connection(session, self._make_error, self._command_timeout_s, "$")


class AiopgConnection(PostgresConnection):
    def _compiled(self, query: typing.Any) -> typing.Any:
        if type(query) is Prepared:
            return self._logged(query)
        from .._sqlalchemy import postgres_parsed

        return self._logged(postgres_parsed(query))

    async def execute(self, query: typing.Any) -> typing.Any:
        await super().execute(query)
        # The number of the last new row, which tables have not had for long.
        return 0

    def transaction(self) -> "AiopgTransaction":
        return AiopgTransaction(self)


class AiopgTransaction(PostgresTransaction):
    def _begin(self, **_options: typing.Any) -> str:
        # Options mean nothing to the original.
        return begin()
