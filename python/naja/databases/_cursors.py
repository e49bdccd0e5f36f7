"""What `raw_connection` gives where the driver's connections have cursors: aiopg's, aiomysql's and asyncmy's."""

import typing

from naja._native import db

from ._servers import OPEN
from .interfaces import DONE

_RAW = 4


class Connection:
    """For values in order (`%s`) or by name (`%(name)s`). Closing it is left to its owner."""

    def __init__(self, session, make_error, timeout_s, mark: str) -> None:
        self._session = session
        self._make_error = make_error
        self._timeout_s = timeout_s
        # What the server has for a place: `$1`, or `?`.
        self._mark = mark

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

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.description: typing.Optional[tuple] = None
        self.rowcount = -1
        self.lastrowid = 0
        self._rows: list = []
        self._next = 0

    async def execute(
        self, operation: str, parameters: typing.Any = None, *, timeout: typing.Optional[float] = None
    ) -> None:
        connection = self.connection
        session = connection._session
        sql, values = _placed(connection._mark, connection._make_error, operation, parameters)
        await session.cancelled()
        future = session.link.run(_RAW, db.Query(sql), values)
        names, self._rows, count, last = await session.done(future, connection._timeout_s if timeout is None else timeout)
        self.lastrowid = last or 0
        self.description = None if names is None else tuple((name, *[None] * 6) for name in names)
        self.rowcount = -1 if count is None else count
        self._next = 0

    async def executemany(self, operation: str, many: typing.Iterable[typing.Any]) -> None:
        """Runs a statement once for each row of values: all of them, or none where there is no transaction."""
        connection = self.connection
        session = connection._session
        placed = [_placed(connection._mark, connection._make_error, operation, one) for one in many]
        if placed:
            await session.cancelled()
            future = session.link.run_many(db.Query(placed[0][0]), [values for _, values in placed])
            self.rowcount = await session.done(future, connection._timeout_s)
        self.description, self._rows, self._next = None, [], 0

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

    def close(self) -> typing.Any:
        self._rows, self._next = [], 0
        return DONE

    def __aiter__(self) -> "Cursor":
        return self

    async def __anext__(self) -> typing.Any:
        row = await self.fetchone()
        if row is None:
            raise StopAsyncIteration
        return row


def _placed(mark: str, make_error, operation: str, parameters: typing.Any) -> typing.Tuple[str, list]:
    """SQL with `%s`, `%(name)s` and `%%` as the server has it; without values it is taken as it is."""
    if not parameters:
        return operation, []
    pieces, values = [], []
    start = 0
    while (place := operation.find("%", start)) >= 0:
        pieces.append(operation[start:place])
        letter = operation[place + 1 : place + 2]
        if letter == "%":
            pieces.append("%")
            start = place + 2
            continue
        if letter == "s" and not isinstance(parameters, dict):
            if len(values) >= len(parameters):
                raise make_error("count", "07001", "there are fewer values than `%s`", {})
            values.append(parameters[len(values)])
            start = place + 2
        elif letter == "(" and isinstance(parameters, dict) and (end := operation.find(")s", place)) > 0:
            values.append(parameters[operation[place + 2 : end]])
            start = end + 2
        else:
            raise ValueError(f"unsupported format character at index {place}; `%%` is a `%`")
        pieces.append(f"${len(values)}" if mark == "$" else mark)
    pieces.append(operation[start:])
    if not isinstance(parameters, dict) and len(values) < len(parameters):
        raise make_error("count", "07001", "there are more values than `%s`", {})
    return "".join(pieces), values
