"""What `raw_connection` gives on PostgreSQL: as asyncpg's connection."""

import typing

from naja._native import db

from ._servers import IN_TRANSACTION, OPEN

_MAPPINGS, _RAW = 3, 4


class Connection:
    """As asyncpg's, for values in order (`$1`). Closing it is left to its owner."""

    def __init__(self, session, make_error, timeout_s) -> None:
        self._session = session
        self._make_error = make_error
        self._timeout_s = timeout_s
        self._savepoints = 0

    async def _run(self, want: int, query: str, args: tuple, timeout: typing.Optional[float]) -> typing.Any:
        session = self._session
        await session.cancelled()
        future = session.link.run(want, db.Query(query), args)
        return await session.done(future, self._timeout_s if timeout is None else timeout)

    async def execute(self, query: str, *args: typing.Any, timeout: typing.Optional[float] = None) -> str:
        """Runs statements, several of them where there are no values; gives what the server calls the last of them."""
        if not args:
            await self._script(query, timeout)
            return _status(query, None)
        _, _, count, _ = await self._run(_RAW, query, args, timeout)
        return _status(query, count)

    async def _script(self, query: str, timeout: typing.Optional[float] = None) -> None:
        session = self._session
        await session.cancelled()
        future = session.link.script(query, leaves_traces=True)
        await session.done(future, self._timeout_s if timeout is None else timeout)

    async def executemany(
        self, command: str, args: typing.Iterable[typing.Sequence], *, timeout: typing.Optional[float] = None
    ) -> None:
        """Runs a statement once for each row of values: all of them, or none where there is no transaction."""
        session = self._session
        await session.cancelled()
        future = session.link.run_many(db.Query(command), [tuple(row) for row in args])
        await session.done(future, self._timeout_s if timeout is None else timeout)

    async def fetch(self, query: str, *args: typing.Any, timeout: typing.Optional[float] = None) -> list:
        return await self._run(_MAPPINGS, query, args, timeout)

    async def fetchrow(self, query: str, *args: typing.Any, timeout: typing.Optional[float] = None) -> typing.Any:
        rows = await self._run(_MAPPINGS, query, args, timeout)
        return rows[0] if rows else None

    async def fetchval(
        self, query: str, *args: typing.Any, column: int = 0, timeout: typing.Optional[float] = None
    ) -> typing.Any:
        row = await self.fetchrow(query, *args, timeout=timeout)
        return None if row is None else row[column]

    def transaction(self, **options: typing.Any) -> "Transaction":
        return Transaction(self, options)

    def is_in_transaction(self) -> bool:
        return bool(self._session.link.condition & IN_TRANSACTION)

    def is_closed(self) -> bool:
        return not self._session.link.condition & OPEN

    def terminate(self) -> None:
        """Closes it without a word."""
        self._session.link.abort()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} to {self._session.options!r}>"


class Transaction:
    """A transaction of a raw connection, or a savepoint within one."""

    def __init__(self, connection: Connection, options: dict) -> None:
        self._connection = connection
        self._options = options
        self._savepoint = ""

    async def start(self) -> None:
        from .backends.postgres import begin

        connection = self._connection
        statement = begin(**self._options)
        if connection.is_in_transaction():
            connection._savepoints += 1
            self._savepoint = f"naja_raw_{connection._savepoints}"
            statement = f"SAVEPOINT {self._savepoint}"
        await self._script(statement)

    async def commit(self) -> None:
        await self._script(f"RELEASE SAVEPOINT {self._savepoint}" if self._savepoint else "COMMIT")

    async def rollback(self) -> None:
        if not self._connection.is_closed():
            await self._script(f"ROLLBACK TO {self._savepoint}" if self._savepoint else "ROLLBACK")

    async def _script(self, sql: str) -> None:
        session = self._connection._session
        await session.cancelled()
        await session.done(session.link.script(sql))

    async def __aenter__(self) -> "Transaction":
        await self.start()
        return self

    async def __aexit__(self, kind, error, traceback) -> None:
        await (self.commit() if kind is None else self.rollback())


def _status(query: str, count: typing.Optional[int]) -> str:
    word = (query.split(None, 1) or [""])[0].upper().rstrip(";")
    if count is None:
        return word
    return f"INSERT 0 {count}" if word == "INSERT" else f"{word} {count}"
