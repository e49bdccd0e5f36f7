"""What `raw_connection` gives on PostgreSQL: as asyncpg's connection, and as aiopg's."""

import typing

from naja._native import db

from ._servers import IN_TRANSACTION, OPEN

_VALUE, _ONE, _ALL, _MAPPINGS, _RAW = range(5)


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


class PsycopgConnection:
    """As aiopg's, for values in order (`%s`) or by name (`%(name)s`). Closing it is left to its owner."""

    def __init__(self, session, make_error, timeout_s) -> None:
        self._session = session
        self._make_error = make_error
        self._timeout_s = timeout_s

    def cursor(self, *_names: typing.Any, **_options: typing.Any) -> "_Making":
        return _Making(Cursor(self))

    @property
    def closed(self) -> bool:
        return not self._session.link.condition & OPEN

    def __repr__(self) -> str:
        return f"<{type(self).__name__} to {self._session.options!r}>"


class _Making:
    """A cursor that is awaited, or entered by `async with`."""

    def __init__(self, cursor: "Cursor") -> None:
        self._cursor = cursor

    async def _made(self) -> "Cursor":
        return self._cursor

    def __await__(self):
        return self._made().__await__()

    async def __aenter__(self) -> "Cursor":
        return self._cursor

    async def __aexit__(self, *_error) -> None:
        self._cursor.close()


class Cursor:
    """Runs one statement at a time and holds all of its rows."""

    arraysize = 1
    lastrowid = 0

    def __init__(self, connection: PsycopgConnection) -> None:
        self.connection = connection
        self.description: typing.Optional[tuple] = None
        self.rowcount = -1
        self._rows: list = []
        self._next = 0

    async def execute(
        self, operation: str, parameters: typing.Any = None, *, timeout: typing.Optional[float] = None
    ) -> None:
        connection = self.connection
        session = connection._session
        sql, values = _numbered(connection._make_error, operation, parameters)
        await session.cancelled()
        future = session.link.run(_RAW, db.Query(sql), values)
        names, self._rows, count, _ = await session.done(future, connection._timeout_s if timeout is None else timeout)
        self.description = None if names is None else tuple((name, *[None] * 6) for name in names)
        self.rowcount = -1 if count is None else count
        self._next = 0

    async def fetchone(self) -> typing.Any:
        if self._next >= len(self._rows):
            return None
        self._next += 1
        return self._rows[self._next - 1]

    async def fetchmany(self, size: typing.Optional[int] = None) -> list:
        start = self._next
        self._next = min(start + (self.arraysize if size is None else size), len(self._rows))
        return self._rows[start : self._next]

    async def fetchall(self) -> list:
        start, self._next = self._next, len(self._rows)
        return self._rows[start:]

    def close(self) -> None:
        self._rows, self._next = [], 0

    def __aiter__(self) -> "Cursor":
        return self

    async def __anext__(self) -> typing.Any:
        row = await self.fetchone()
        if row is None:
            raise StopAsyncIteration
        return row


def _numbered(make_error, operation: str, parameters: typing.Any) -> typing.Tuple[str, list]:
    """SQL with `%s`, `%(name)s` and `%%` as SQL with `$1`; without values it is taken as it is."""
    if not parameters:
        return operation, []
    pieces, values, numbers = [], [], {}
    start = 0
    while (place := operation.find("%", start)) >= 0:
        pieces.append(operation[start:place])
        mark = operation[place + 1 : place + 2]
        if mark == "%":
            pieces.append("%")
            start = place + 2
        elif mark == "s" and not isinstance(parameters, dict):
            if len(values) >= len(parameters):
                raise make_error("count", "07001", "there are fewer values than `%s`", {})
            values.append(parameters[len(values)])
            pieces.append(f"${len(values)}")
            start = place + 2
        elif mark == "(" and isinstance(parameters, dict) and (end := operation.find(")s", place)) > 0:
            name = operation[place + 2 : end]
            if name not in numbers:
                if name not in parameters:
                    raise KeyError(name)
                values.append(parameters[name])
                numbers[name] = len(values)
            pieces.append(f"${numbers[name]}")
            start = end + 2
        else:
            raise ValueError(f"unsupported format character at index {place}; `%%` is a `%`")
    pieces.append(operation[start:])
    if not isinstance(parameters, dict) and len(values) < len(parameters):
        raise make_error("count", "07001", "there are more values than `%s`", {})
    return "".join(pieces), values
