"""SQLite, by the interpreter's own copy of it; each connection has a native thread."""

import asyncio
import logging
import typing
import uuid
from itertools import groupby
from urllib.parse import urlencode

from naja._native import db

from .. import _errors
from .._loop import Near, done
from ..core import LOG_EXTRA, DatabaseURL
from ..interfaces import DONE, AtOnce, ConnectionBackend, DatabaseBackend, Prepared, Record, Text, TransactionBackend
from .common import records  # noqa: F401: its rows are records

logger = logging.getLogger("databases")

# How many connections are kept open for the next task.
_KEPT = 8

# What is wanted of a statement, as the worker numbers it.
_NUMBER, _ONE, _ALL, _SOME = range(4)

# What Python's `sqlite3` and aiosqlite take, and has no meaning here.
_WITHOUT_MEANING = ("check_same_thread", "cached_statements", "iter_chunk_size", "loop")


class SQLiteBackend(DatabaseBackend):
    takes_prepared = True

    def __init__(self, database_url: typing.Union[DatabaseURL, str], **options: typing.Any) -> None:
        self._database_url = DatabaseURL(database_url)
        self._options = options
        self._pool = SQLitePool(self._database_url, **options)

    async def connect(self) -> None:
        self._pool._keeps = self._pool._is_in_a_file

    async def disconnect(self) -> None:
        await self._pool._close()

    def connection(self) -> "SQLiteConnection":
        return SQLiteConnection(self._pool)

    def at_once(self) -> typing.Optional[AtOnce]:
        return SQLiteAtOnce(self._pool) if self._pool._is_inline else None


class SQLitePool:
    """The connections of a database that are open and not in use."""

    def __init__(self, url: DatabaseURL, **options: typing.Any) -> None:
        self._database = url.database
        words = dict(url.options)
        self._is_inline = _is_on(words.pop("inline", False)) or _is_on(options.get("inline", False))
        if words:
            self._database += "?" + urlencode(words)
        self._as_uri = bool(options.get("uri", False))
        self._patience_s = float(options.get("timeout", 5.0))
        self._refused = _refused(options)
        if self._is_inline and (self._as_uri or words):
            self._refused = "`inline` is for a file by its path: what a URI says may make threads wait for each other"
        self._is_in_a_file = self._database not in ("", ":memory:") and not self._as_uri
        self._keeps = False
        self._idle: typing.List[typing.Any] = []
        self._near = Near()
        # A database in memory that connections share ends with the last of them.
        self._memref = None
        if "cache" in url.options and self._refused is None:
            try:
                self._memref = db.Kept(self._database, self._as_uri)
            except RuntimeError as error:
                raise _errors.make("OperationalError", str(error)) from None

    def take(self) -> typing.Any:
        """A connection that is open, where there is one."""
        while self._idle:
            try:
                worker = self._idle.pop()
            except IndexError:
                # Another thread took it.
                break
            if worker.turn():
                return worker
        return None

    def keep(self, worker: typing.Any) -> bool:
        """Whether it is kept for the next task."""
        if self._keeps and len(self._idle) < _KEPT and worker.is_reusable():
            self._idle.append(worker)
            return True
        return False

    async def acquire(self) -> typing.Any:
        worker = self.take()
        if worker is not None:
            return worker
        if self._refused is not None:
            raise TypeError(self._refused)
        worker = db.Worker(self._database)
        await done(self._near, worker, worker.open, self._as_uri, self._patience_s, self._is_inline)
        return worker

    async def release(self, worker: typing.Any) -> None:
        if not self.keep(worker):
            await done(self._near, worker, worker.end)

    async def _close(self) -> None:
        self._keeps = False
        if self._memref is not None:
            self._memref.close()
            self._memref = None
        workers, self._idle = self._idle, []
        for worker in workers:
            if worker.is_reusable():
                await done(self._near, worker, worker.end)


def _is_on(word):
    """A switch of a URL or of the program."""
    if isinstance(word, str):
        if word not in ("0", "1", "false", "true"):
            raise ValueError(f"`inline` is 0 or 1, and not {word!r}")
        return word in ("1", "true")
    return bool(word)


def _refused(options):
    """Why these options cannot be; None where they can."""
    for name, value in options.items():
        if name in ("uri", "timeout", "inline", *_WITHOUT_MEANING):
            continue
        if name == "detect_types" and not value:
            continue
        if name in ("detect_types", "factory"):
            return f"naja.databases has no `{name}`: values are made by SQLAlchemy's types, or are as SQLite has them"
        if name == "isolation_level":
            return "`isolation_level` is always None: transactions are begun by `transaction()`"
        return f"'{name}' is an invalid keyword argument for Connection()"
    return None


class SQLiteAtOnce(AtOnce):
    """A connection is taken, used and given back, and nobody comes in between."""

    def __init__(self, pool: SQLitePool) -> None:
        self._pool = pool
        self._near = pool._near
        self.is_due = pool._near.is_due  # type: ignore[method-assign]

    def fetch_all(self, query: typing.Any, values: typing.Any) -> typing.Any:
        return self._found(query, values, _ALL)

    def fetch_one(self, query: typing.Any, values: typing.Any) -> typing.Any:
        return self._found(query, values, _ONE)

    def _found(self, query, values, want):
        if type(query) is not str or logger.isEnabledFor(logging.DEBUG):
            return NotImplemented
        worker = self._pool.take()
        if worker is None:
            return NotImplemented
        if not (values is None or isinstance(values, dict)):
            values = dict(values)
        try:
            return worker.now(self._near.hub(asyncio.get_running_loop()), want, query, values)
        finally:
            # One that is not kept ends with the last that knows it.
            self._pool.keep(worker)


class SQLiteConnection(ConnectionBackend):
    # A statement sees the database as it was when it began. A savepoint would do harm: a generator that was left in the
    # middle is closed at some time later, and would undo what was written in the meantime.
    iterates_in_transaction = False

    def __init__(self, pool: SQLitePool) -> None:
        self._pool = pool
        self._near = pool._near
        self._is_inline = pool._is_inline
        self._connection: typing.Any = None
        self._raw: typing.Any = None

    def acquire(self) -> typing.Any:
        assert self._connection is None, "Connection is already acquired"
        self._connection = self._pool.take()
        return self._acquire() if self._connection is None else DONE

    async def _acquire(self) -> None:
        self._connection = await self._pool.acquire()

    def release(self) -> typing.Any:
        worker = self._connection
        assert worker is not None, "Connection is not acquired"
        self._connection = self._raw = None
        return DONE if self._pool.keep(worker) else self._pool.release(worker)

    def _held(self):
        assert self._connection is not None, "Connection is not acquired"
        return self._connection, self._near

    async def _run(self, name, *words):
        worker, near = self._held()
        return await done(near, worker, getattr(worker, name), *words)

    def _job(self, query, want):
        """The worker's function for a query, and its words."""
        worker = self._connection
        assert worker is not None, "Connection is not acquired"
        if type(query) is Text:
            if logger.isEnabledFor(logging.DEBUG):
                _log(query.text, tuple((query.values or {}).values()))
            return worker, (worker.text, want, query.text, query.values)
        compiled = self._compiled(query)
        return worker, (worker.run, want, compiled.query, compiled.values)

    def _compiled(self, query):
        if type(query) is Prepared:
            compiled = query
        else:
            from .._sqlalchemy import sqlite

            compiled = sqlite(query)
        if logger.isEnabledFor(logging.DEBUG):
            _log(compiled.sql, tuple(compiled.values))
        return compiled

    def fetch_all(self, query: typing.Any) -> typing.Awaitable[typing.List[Record]]:
        return self._result(query, _ALL)

    def fetch_one(self, query: typing.Any) -> typing.Awaitable[typing.Optional[Record]]:
        return self._result(query, _ONE)

    def execute(self, query: typing.Any) -> typing.Awaitable[typing.Any]:
        return self._result(query, _NUMBER)

    async def _result(self, query, want):
        worker, words = self._job(query, want)
        if self._is_inline:
            hub = self._near.hub(asyncio.get_running_loop())
            found = worker.now(hub, *words[1:])
            if found is not NotImplemented:
                # Whoever asks for one short thing after the other does not keep the loop for itself.
                if self._near.is_due():
                    await asyncio.sleep(0)
                return found
        return await done(self._near, worker, *words)

    async def execute_many(self, queries: typing.List[typing.Any]) -> None:
        if not queries:
            return
        first = queries[0]
        if all(type(query) is Text and query.text == first.text for query in queries):
            worker, near = self._held()
            if logger.isEnabledFor(logging.DEBUG):
                for query in queries:
                    _log(query.text, tuple((query.values or {}).values()))
            await done(near, worker, worker.text_many, first.text, [query.values for query in queries])
            return
        worker, near = self._held()
        compiled = map(self._compiled, queries)
        runs = [(query, [one.values for one in same]) for query, same in groupby(compiled, lambda one: one.query)]
        await done(near, worker, worker.run_many, runs)

    async def iterate(self, query: typing.Any) -> typing.AsyncGenerator[typing.Any, None]:
        worker, (send, *words) = self._job(query, _SOME)
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        number = send(self._near.hub(loop), future, *words)
        has_more = True
        try:
            rows, has_more = await future
            while True:
                for row in rows:
                    yield row
                if not has_more:
                    return
                rows, has_more = await done(self._near, worker, worker.read_on, number)
        finally:
            if has_more:
                worker.cancel(number)
                worker.forget(number)

    def transaction(self) -> TransactionBackend:
        return SQLiteTransaction(self)

    @property
    def raw_connection(self) -> typing.Any:
        """What stands for aiosqlite's connection."""
        self._held()
        if self._raw is None:
            from .._raw import Connection

            self._raw = Connection(self)
        return self._raw


class SQLiteTransaction(TransactionBackend):
    def __init__(self, connection: SQLiteConnection) -> None:
        self._connection = connection
        self._is_root = False
        self._savepoint_name = ""

    async def start(self, is_root: bool, extra_options: typing.Dict[typing.Any, typing.Any]) -> None:
        self._is_root = is_root
        if not is_root:
            self._savepoint_name = "STARLETTE_SAVEPOINT_" + str(uuid.uuid4()).replace("-", "_")
        await self._connection._run("begin", self._savepoint_name or None)

    async def commit(self) -> None:
        await self._connection._run("commit", self._savepoint_name or None)

    async def rollback(self) -> None:
        await self._connection._run("rollback", self._savepoint_name or None)


def _log(sql, values):
    logger.debug("Query: %s Args: %s", sql.replace(" \n", " ").replace("\n", " "), repr(values), extra=LOG_EXTRA)
