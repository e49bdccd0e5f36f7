"""The connection of a driver, as aiosqlite has it, over a worker: what `raw_connection` gives."""

from ._loop import done

_RAW = 4


class _Started:
    """What an `execute` gives: it is awaited, or entered by `async with`."""

    __slots__ = ("_work", "_cursor")

    def __init__(self, work):
        self._work = work
        self._cursor = None

    def __await__(self):
        return self._work.__await__()

    async def __aenter__(self):
        self._cursor = await self._work
        return self._cursor

    async def __aexit__(self, *_error):
        await self._cursor.close()


class Connection:
    """A connection that its owner has acquired; closing it is left to the owner."""

    def __init__(self, owner):
        self._owner = owner

    def cursor(self):
        return _Started(self._cursor())

    async def _cursor(self):
        return Cursor(self)

    def execute(self, sql, parameters=()):
        return _Started(Cursor(self)._execute(sql, parameters))

    def executemany(self, sql, parameters):
        return _Started(Cursor(self)._executemany(sql, parameters))

    async def execute_fetchall(self, sql, parameters=()):
        cursor = await Cursor(self)._execute(sql, parameters)
        return await cursor.fetchall()

    async def execute_insert(self, sql, parameters=()):
        cursor = await Cursor(self)._execute(sql, parameters)
        return (cursor.lastrowid,)

    async def commit(self):
        await self._owner._run("commit", None)

    async def rollback(self):
        await self._owner._run("rollback", None)

    async def create_function(self, name, num_params, func, deterministic=False):
        """Lets statements call `func`, on the connection's own thread. The connection is nobody else's afterwards."""
        worker, near = self._owner._held()
        await done(near, worker, worker.create_function, name, num_params, func, bool(deterministic))

    @property
    def isolation_level(self):
        return None


class Cursor:
    """Runs one statement at a time and holds all of its rows."""

    arraysize = 1

    def __init__(self, connection):
        self.connection = connection
        self.description = None
        self.rowcount = -1
        self.lastrowid = None
        self._rows = []
        self._next = 0

    async def _execute(self, sql, parameters=()):
        worker, near = self.connection._owner._held()
        names, self._rows, self.rowcount, self.lastrowid = await done(
            near, worker, worker.plain, _RAW, sql, _in_order(parameters)
        )
        self.description = tuple((name, None, None, None, None, None, None) for name in names) or None
        self._next = 0
        return self

    async def _executemany(self, sql, many):
        worker, near = self.connection._owner._held()
        await done(near, worker, worker.plain_many, sql, [_in_order(one) for one in many])
        self.description, self._rows, self._next = None, [], 0
        return self

    async def execute(self, sql, parameters=()):
        return await self._execute(sql, parameters)

    async def executemany(self, sql, parameters):
        return await self._executemany(sql, parameters)

    async def fetchone(self):
        if self._next >= len(self._rows):
            return None
        self._next += 1
        return self._rows[self._next - 1]

    async def fetchmany(self, size=None):
        start = self._next
        self._next = min(start + (self.arraysize if size is None else size), len(self._rows))
        return self._rows[start : self._next]

    async def fetchall(self):
        start, self._next = self._next, len(self._rows)
        return self._rows[start:]

    async def close(self):
        self._rows, self._next = [], 0

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_error):
        await self.close()

    def __aiter__(self):
        return self

    async def __anext__(self):
        row = await self.fetchone()
        if row is None:
            raise StopAsyncIteration
        return row


def _in_order(parameters):
    if isinstance(parameters, dict):
        raise TypeError("values by name are for the queries of `Connection`; here they stand in order")
    return parameters if isinstance(parameters, (list, tuple)) else tuple(parameters or ())
