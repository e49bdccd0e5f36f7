"""PostgreSQL, as asyncpg has it."""

import asyncio
import logging
import os
import typing

from naja._native import db

from naja import _tls

from .. import _postgres_errors
from .._servers import IN_TRANSACTION, OPEN, Pool, Session, Target
from ..core import LOG_EXTRA, DatabaseURL
from ..interfaces import DONE, ConnectionBackend, DatabaseBackend, Prepared, Record, Text, TransactionBackend
from .common import records  # noqa: F401: its rows are records

logger = logging.getLogger("databases")

# What is wanted of a statement, as the link numbers it.
_VALUE, _ONE, _ALL = range(3)

# Rows of a result that are asked for at once while it is iterated.
_ROWS = 100

# As asyncpg sets a session back for its next user.
_RESET = ["SELECT pg_advisory_unlock_all()", "CLOSE ALL", "UNLISTEN *", "RESET ALL"]

_POOL = {"min_size": 1, "max_size": 10, "max_queries": 50000, "max_inactive_connection_lifetime": 300.0}

# What asyncpg takes beside these, and has no meaning here.
_WITHOUT_MEANING = (
    "loop",
    "max_cached_statement_lifetime",
    "max_cacheable_statement_size",
    "connection_class",
    "record_class",
    "direct_tls",
    "target_session_attrs",
)
_TLS_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")


class PostgresBackend(DatabaseBackend):
    takes_prepared = True
    # How values go in and come out, and what exceptions there are.
    _is_strict = True
    _documents_are_parsed = False
    _make_error = staticmethod(_postgres_errors.as_asyncpg)

    def __init__(self, database_url: typing.Union[DatabaseURL, str], **options: typing.Any) -> None:
        self._database_url = DatabaseURL(database_url)
        self._options = options
        self._pool: typing.Optional[Pool] = None
        self._command_timeout_s: typing.Optional[float] = None

    def _get_connection_kwargs(self) -> dict:
        url_options = self._database_url.options
        words: dict = {name: int(url_options[name]) for name in ("min_size", "max_size") if name in url_options}
        if "ssl" in url_options:
            ssl = url_options["ssl"].lower()
            # Other words, as `verify-full`, are the driver's.
            words["ssl"] = {"true": True, "false": False}.get(ssl, ssl)
        return {**words, **self._options}

    def _words(self) -> dict:
        """All options, under asyncpg's names."""
        url = self._database_url
        words = {
            "host": url.hostname,
            "port": url.port,
            "user": url.username,
            "password": url.password,
            "database": url.database,
        }
        words.update(self._get_connection_kwargs())
        return words

    async def connect(self) -> None:
        assert self._pool is None, "DatabaseBackend is already running"
        pool = self._make_pool(self._words())
        await pool.open()
        self._pool = pool

    async def disconnect(self) -> None:
        assert self._pool is not None, "DatabaseBackend is not running"
        pool, self._pool = self._pool, None
        await pool.close()

    def connection(self) -> "PostgresConnection":
        return PostgresConnection(self)

    def _make_pool(self, words: dict) -> Pool:
        sizes = {name: words.pop(name, usual) for name, usual in _POOL.items()}
        if sizes["max_size"] < sizes["min_size"] and "min_size" not in self._get_connection_kwargs():
            sizes["min_size"] = sizes["max_size"]
        setup, init = words.pop("setup", None), words.pop("init", None)
        self._command_timeout_s = words.pop("command_timeout", None)
        target = self._target(words)
        return Pool(
            target,
            min_size=sizes["min_size"],
            max_size=sizes["max_size"],
            max_queries=sizes["max_queries"],
            max_idle_s=sizes["max_inactive_connection_lifetime"],
            reset=_RESET,
            make_error=self._make_error,
            stand_for=self._stand_for,
            setup=setup,
            init=init,
        )

    def _target(self, words: dict) -> Target:
        url_options = self._database_url.options
        for name in _WITHOUT_MEANING:
            words.pop(name, None)
        ssl = words.pop("ssl", None)
        encryption = _tls.encryption_of(
            url_options.get("sslmode") if ssl is None else ssl,
            {name: url_options[name] for name in _TLS_FILES if name in url_options},
        )
        timeout_s, password = words.pop("timeout", 60.0), words.pop("password", None)
        settings = [(name, str(value)) for name, value in (words.pop("server_settings", None) or {}).items()]
        named = {name: words.pop(name, None) for name in ("host", "port", "user", "database")}
        if isinstance(named["host"], (list, tuple)) or isinstance(named["port"], (list, tuple)):
            raise ValueError("naja.databases connects to one host")
        named["statement_cache"] = words.pop("statement_cache_size", None)
        named["application_name"] = words.pop("application_name", url_options.get("application_name"))
        passfile = words.pop("passfile", url_options.get("passfile"))
        named["passfile"] = None if passfile is None else os.fspath(passfile)
        named["channel_binding"] = words.pop("channel_binding", url_options.get("channel_binding"))
        if words:
            raise TypeError(f"connect() got an unexpected keyword argument {next(iter(words))!r}")

        def make_link(loop: asyncio.AbstractEventLoop, mode: str, password: typing.Optional[str]) -> typing.Any:
            options = db.PostgresOptions(
                **named, password=password, tls=mode, settings=settings, is_strict=self._is_strict
            )
            link = db.Link(loop, options, self._make_error, self._documents_are_parsed, self._is_strict)
            return link, options

        return Target(make_link, encryption, timeout_s, password)

    def _stand_for(self, session: Session) -> typing.Any:
        from .._postgres_raw import Connection

        return Connection(session, self._make_error, self._command_timeout_s)


class PostgresConnection(ConnectionBackend):
    def __init__(self, backend: PostgresBackend) -> None:
        self._backend = backend
        self._connection: typing.Optional[Session] = None
        # Where it came from: the backend may be disconnected by the time when it is given back.
        self._pool: typing.Optional[Pool] = None
        self._savepoints = 0

    def acquire(self) -> typing.Any:
        assert self._connection is None, "Connection is already acquired"
        pool = self._backend._pool
        assert pool is not None, "DatabaseBackend is not running"
        session = None if pool.has_setup else pool.take()
        if session is None:
            return self._acquire(pool)
        self._connection, self._pool = session, pool
        return DONE

    async def _acquire(self, pool: Pool) -> None:
        self._connection = await pool.acquire()
        self._pool = pool

    def release(self) -> typing.Any:
        session, pool = self._held(), self._pool
        assert pool is not None
        self._connection = self._pool = None
        pool.release(session)
        return DONE

    def _held(self) -> Session:
        session = self._connection
        assert session is not None, "Connection is not acquired"
        return session

    async def _run(self, want: int, query: typing.Any) -> typing.Any:
        session = self._held()
        if session.cancelling is not None:
            await session.cancelled()
        if type(query) is Text:
            if logger.isEnabledFor(logging.DEBUG):
                _log(query.text, tuple((query.values or {}).values()))
            future = session.link.text(want, query.text, query.values)
        else:
            compiled = self._compiled(query)
            future = session.link.run(want, compiled.query, compiled.values)
        timeout_s = self._backend._command_timeout_s
        if timeout_s is not None:
            return await session.done(future, timeout_s)
        try:
            return await future
        except (asyncio.CancelledError, GeneratorExit):
            session.cancel(future)
            raise

    def _compiled(self, query: typing.Any) -> typing.Any:
        if type(query) is Prepared:
            return self._logged(query)
        from .._sqlalchemy import postgres

        return self._logged(postgres(query))

    def _logged(self, compiled: typing.Any) -> typing.Any:
        if logger.isEnabledFor(logging.DEBUG):
            _log(compiled.sql, tuple(compiled.values))
        return compiled

    async def fetch_all(self, query: typing.Any) -> typing.List[Record]:
        return await self._run(_ALL, query)

    async def fetch_one(self, query: typing.Any) -> typing.Optional[Record]:
        return await self._run(_ONE, query)

    async def execute(self, query: typing.Any) -> typing.Any:
        return await self._run(_VALUE, query)

    async def execute_many(self, queries: typing.List[typing.Any]) -> None:
        if not queries:
            return
        first = queries[0]
        if all(type(query) is Text and query.text == first.text for query in queries):
            await self.execute_text_many(first.text, [query.values for query in queries])
            return
        compiled = [self._compiled(query) for query in queries]
        if all(one.query is compiled[0].query for one in compiled):
            session = self._held()
            await session.cancelled()
            future = session.link.run_many(compiled[0].query, [one.values for one in compiled])
            await session.done(future, self._backend._command_timeout_s)
            return
        for query in queries:
            await self.execute(query)

    async def execute_text_many(self, text: str, many: typing.List[typing.Optional[dict]]) -> None:
        """Runs a text once for each set of values: all of them, or none where there is no transaction."""
        session = self._held()
        await session.cancelled()
        if logger.isEnabledFor(logging.DEBUG):
            for values in many:
                _log(text, tuple((values or {}).values()))
        future = session.link.text_many(text, many)
        await session.done(future, self._backend._command_timeout_s)

    async def iterate(self, query: typing.Any) -> typing.AsyncGenerator[typing.Any, None]:
        session = self._held()
        await session.cancelled()
        link = session.link
        if type(query) is Text:
            if logger.isEnabledFor(logging.DEBUG):
                _log(query.text, tuple((query.values or {}).values()))
            cursor, future = link.open_text(query.text, query.values, _ROWS)
        else:
            compiled = self._compiled(query)
            cursor, future = link.open_query(compiled.query, compiled.values, _ROWS)
        is_open, is_read_ahead = True, False
        try:
            while is_open:
                rows, is_open = await session.done(future, self._backend._command_timeout_s)
                # The next ones come while these are looked at, except for the first: many loops end with these.
                if is_open and is_read_ahead:
                    future = link.read_on(cursor, _ROWS)
                for row in rows:
                    yield row
                if is_open and not is_read_ahead:
                    future = link.read_on(cursor, _ROWS)
                    is_read_ahead = True
        finally:
            if is_open:
                session.forget(future, cursor)

    def transaction(self) -> TransactionBackend:
        return PostgresTransaction(self)

    async def _script(self, sql: str) -> None:
        session = self._held()
        await session.cancelled()
        await session.done(session.link.script(sql))

    @property
    def raw_connection(self) -> typing.Any:
        """What stands for asyncpg's connection."""
        session, pool = self._held(), self._pool
        assert pool is not None
        return pool.stand(session)


_ISOLATION = {
    "read_uncommitted": "READ UNCOMMITTED",
    "read_committed": "READ COMMITTED",
    "repeatable_read": "REPEATABLE READ",
    "serializable": "SERIALIZABLE",
}


def begin(isolation: typing.Optional[str] = None, readonly: bool = False, deferrable: bool = False) -> str:
    """The statement that begins a transaction with asyncpg's options."""
    if isolation is not None and isolation not in _ISOLATION:
        raise ValueError(f"isolation is expected to be either of {', '.join(_ISOLATION)}, got {isolation!r}")
    words = ["BEGIN"]
    if isolation is not None:
        words.append(f"ISOLATION LEVEL {_ISOLATION[isolation]}")
    if readonly:
        words.append("READ ONLY")
    if deferrable:
        words.append("DEFERRABLE")
    return " ".join(words)


class PostgresTransaction(TransactionBackend):
    def __init__(self, connection: PostgresConnection) -> None:
        self._connection = connection
        self._savepoint = ""

    async def start(self, is_root: bool, extra_options: typing.Dict[typing.Any, typing.Any]) -> None:
        connection = self._connection
        statement = self._begin(**extra_options)
        if is_root:
            session = connection._held()
            if session.link.condition & IN_TRANSACTION:
                raise connection._backend._make_error(
                    "misuse", "", "cannot use Connection.transaction() in a manually started transaction", {}
                )
            await connection._script(statement)
            return
        connection._savepoints += 1
        self._savepoint = f"naja_savepoint_{connection._savepoints}"
        await connection._script(f"SAVEPOINT {self._savepoint}")

    def _begin(self, **options: typing.Any) -> str:
        return begin(**options)

    async def commit(self) -> None:
        await self._connection._script(f"RELEASE SAVEPOINT {self._savepoint}" if self._savepoint else "COMMIT")

    async def rollback(self) -> None:
        # With the connection all of it is gone already: what went wrong first is what is to be heard.
        if self._connection._held().link.condition & OPEN:
            await self._connection._script(f"ROLLBACK TO {self._savepoint}" if self._savepoint else "ROLLBACK")


def _log(sql: str, values: tuple) -> None:
    logger.debug("Query: %s Args: %s", sql.replace(" \n", " ").replace("\n", " "), repr(values), extra=LOG_EXTRA)
