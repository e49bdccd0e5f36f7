"""The same lazy tables under `await`: `import naja.dataset.aio as dataset`.

    db = dataset.connect("sqlite:///facts.db")
    people = db["people"]
    await people.insert({"name": "Ada", "born": 1815})
    async for person in people.find(born={"<": 1900}):
        print(person["name"])
    async with db:
        await people.update({"name": "Ada", "born": 1816}, ["name"])
    await db.close()

What is a call in `naja.dataset` is awaited here, what is a property as well (`await db.tables`), and rows are waited for one
by one (`async for`) or all together (`await people.find(…)` gives a list). `async with db` is a transaction of its task. Calls
run on threads, one connection each, and never on the event loop's; a task that has begun a transaction, or is
in the middle of a result, has a connection to itself until it is done.
"""

import asyncio
import functools
import itertools
import os
import warnings

from ._url import place_of
from ._workers import Workers
from .database import Database as _Database
from .table import Table as _Table
from .util import row_factory

__all__ = ["Database", "Rows", "Table", "connect", "freeze"]

# So many connections as SQLAlchemy's pool has, with those that it opens beyond when they are needed.
_CONNECTIONS = 15
_PATIENCE_S = 30.0
# So many rows come with one wait.
_ROWS = 500


def connect(
    url=None,
    schema=None,
    engine_kwargs=None,
    ensure_schema=True,
    row_type=row_factory,
    sqlite_wal_mode=True,
    on_connect_statements=None,
):
    """Opens a database, as `naja.dataset.connect`; connections are made when they are needed, at most 15.

    `pool_size` and `pool_timeout` (seconds) of `engine_kwargs` say how many, and how long a task waits for one.
    """
    if url is None:
        url = os.environ.get("DATABASE_URL", "sqlite://")
    return Database(
        url,
        schema=schema,
        engine_kwargs=engine_kwargs,
        ensure_schema=ensure_schema,
        row_type=row_type,
        sqlite_wal_mode=sqlite_wal_mode,
        on_connect_statements=on_connect_statements,
    )


async def freeze(result, format="csv", filename=None, fileobj=None, prefix=".", encoding="utf-8", indent=None):  # noqa: A002
    """Writes rows into a file, as `naja.dataset.freeze`; `result` are the rows of a `find` or of a `query`."""
    from .files import freeze

    if not isinstance(result, Rows):
        raise TypeError(f"freeze takes the rows of `find` or of `query`, not {type(result).__name__}")
    return await result._use(lambda rows: freeze(rows, format, filename, fileobj, prefix, encoding, indent))


class Database:
    """Tables in a database, for the tasks of one event loop."""

    def __init__(self, url, schema=None, engine_kwargs=None, **options):
        settings = dict(engine_kwargs or {})
        limit = settings.get("pool_size")
        patience_s = settings.get("pool_timeout")
        place = place_of(url, dict(settings.get("connect_args") or {}))
        # A database in memory is one connection's.
        is_in_memory = place.engine == "sqlite" and (place.path in ("", ":memory:") or "mode=memory" in place.path)
        if is_in_memory:
            limit = 1
        self._database = _Database(url, schema=schema, engine_kwargs=engine_kwargs, **options)
        # The threads are ours, and a transaction has one to itself.
        self._database._engine.do_not_warn_of_threads()
        self._workers = Workers(
            int(_CONNECTIONS if limit is None else limit),
            float(_PATIENCE_S if patience_s is None else patience_s),
            "naja.dataset",
        )
        self._tables = {}

    @property
    def url(self):
        return self._database.url

    @property
    def schema(self):
        return self._database.schema

    @property
    def types(self):
        """Types of columns, for `create_column` and `types=`."""
        return self._database.types

    @property
    def tables(self):
        """The names of all tables: `await db.tables`."""
        return self._workers.run(lambda: self._database.tables)

    @property
    def views(self):
        """The names of all views: `await db.views`."""
        return self._workers.run(lambda: self._database.views)

    async def has_table(self, name):
        """Whether there is a table or a view of exactly this name."""
        return await self._workers.run(self._database.has_table, name)

    def create_table(self, table_name, primary_id=None, primary_type=None, primary_increment=None):
        """A table, which is made when it is first written to, if it is not there; see `naja.dataset`. Not awaited."""
        return self._wrapped(self._database.create_table(table_name, primary_id, primary_type, primary_increment))

    def get_table(self, table_name, primary_id=None, primary_type=None, primary_increment=None):
        """A table, as `create_table` gives it, or as `load_table` does where `ensure_schema` is false. Not awaited."""
        return self._wrapped(self._database.get_table(table_name, primary_id, primary_type, primary_increment))

    def load_table(self, table_name):
        """A table that is there already. Not awaited."""
        return self._wrapped(self._database.load_table(table_name))

    def __getitem__(self, table_name):
        return self._wrapped(self._database[table_name])

    def _wrapped(self, table):
        known = self._tables.get(table.name)
        if known is None or known._table is not table:
            known = self._tables[table.name] = Table(self, table)
        return known

    def query(self, query, **kwargs):
        """Runs a statement when it is awaited or iterated over, and gives its rows; values stand as `:name` in it.

            rows = await db.query("SELECT name FROM people WHERE born < :year", year=1900)
        """
        return Rows(self._workers, functools.partial(self._database.query, query, **kwargs))

    # Transactions.

    async def create_function(self, name, narg, func, *, deterministic=False):
        """Lets statements call `func`, on SQLite, in the thread that runs them; see `naja.dataset`."""
        await self._workers.run(self._database.create_function, name, narg, func, deterministic=deterministic)

    async def create_aggregate(self, name, n_arg, aggregate_class):
        """Lets statements call an aggregate, on SQLite; see `naja.dataset`."""
        await self._workers.run(self._database.create_aggregate, name, n_arg, aggregate_class)

    async def create_collation(self, name, callback):
        """Lets statements sort by a function, on SQLite; see `naja.dataset`."""
        await self._workers.run(self._database.create_collation, name, callback)

    async def begin(self):
        """Begins a transaction of this task: nothing is stored for good until `commit`. One within another is a part of it."""
        worker = await self._workers.take()
        try:
            await worker.run(self._database.begin)
        except asyncio.CancelledError:
            # Nobody waits for it any more, but it is begun all the same.
            try:
                await worker.run(self._database.rollback)
            finally:
                self._workers.give_back(worker)
            raise
        except BaseException:
            self._workers.give_back(worker)
            raise
        worker.transactions += 1

    async def commit(self):
        """Stores for good what was done since `begin`."""
        await self._end(self._database.commit)

    async def rollback(self):
        """Undoes what was done since `begin`."""
        await self._end(self._database.rollback)

    async def _end(self, how):
        worker = await self._workers.take()
        try:
            await worker.run(how)
        finally:
            # Whether it went well or not, one of the task's transactions has ended.
            if worker.transactions:
                worker.transactions -= 1
                self._workers.give_back(worker)
            self._workers.give_back(worker)

    async def __aenter__(self):
        await self.begin()
        return self

    async def __aexit__(self, kind, error, traceback):
        if kind is not None:
            await self.rollback()
            return
        try:
            await self.commit()
        except BaseException:
            await self.rollback()
            raise

    async def close(self):
        """Closes every connection; what was not committed is undone. Nothing can be done with it after that."""
        await self._workers.close(self._database.close)

    def __repr__(self):
        return repr(self._database)


class Table:
    """Rows of a table; the table and its columns are made when they are needed."""

    def __init__(self, database, table):
        self.db = database
        self._table = table

    @property
    def name(self):
        return self._table.name

    @property
    def exists(self):
        """Whether the table is there: `await table.exists`."""
        return self.db._workers.run(lambda: self._table.exists)

    @property
    def columns(self):
        """The names of its columns: `await table.columns`."""
        return self.db._workers.run(lambda: self._table.columns)

    async def insert_many(self, rows, chunk_size=1000, ensure=None, types=None):
        """Stores rows, which may come from an asynchronous iterable; see `naja.dataset`."""
        if not hasattr(rows, "__aiter__"):
            await self.db._workers.run(self._table.insert_many, rows, chunk_size, ensure, types)
            return
        async with self.db._workers.hold() as worker:
            async for chunk in _chunks(rows, chunk_size):
                await worker.run(self._table.insert_many, chunk, chunk_size, ensure, types)

    def find(self, *clauses, **filters):
        """The rows for which all holds: `async for row in table.find(…)`, or `await` for a list."""
        return Rows(self.db._workers, functools.partial(self._table.find, *clauses, **filters))

    all = find

    def distinct(self, *columns, **filters):
        """Each combination of values of these columns once."""
        return Rows(self.db._workers, functools.partial(self._table.distinct, *columns, **filters))

    def __aiter__(self):
        return self.find().__aiter__()

    def __repr__(self):
        return repr(self._table)


async def _chunks(rows, size):
    chunk = []
    async for row in rows:
        chunk.append(row)
        if len(chunk) >= size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _awaited(name):
    call = getattr(_Table, name)

    async def method(self, *args, **kwargs):
        return await self.db._workers.run(getattr(self._table, name), *args, **kwargs)

    method.__name__ = name
    method.__qualname__ = f"Table.{name}"
    method.__doc__ = call.__doc__
    return method


for _name in (
    "insert insert_ignore update update_many upsert upsert_many delete find_one count has_column create_column "
    "create_column_by_example drop_column drop has_index create_index load"
).split():
    setattr(Table, _name, _awaited(_name))
del _name


class Rows:
    """Rows of a result, for `async for`, or for `await`, which gives all of them as a list.

    Nothing is asked before that. While it is iterated over, its task has a connection to itself; `aclose` gives it back
    before the end.
    """

    def __init__(self, workers, ask):
        self._workers = workers
        self._ask = ask
        self._is_asked = False

    def __await__(self):
        return self._use(list).__await__()

    async def _use(self, use):
        self._is_asked = True
        return await self._workers.run(lambda: use(self._ask()))

    async def __aiter__(self):
        self._is_asked = True
        async with self._workers.hold() as worker:
            result = await worker.run(self._ask)
            try:
                while True:
                    rows = await worker.run(_next_rows, result)
                    for row in rows:
                        yield row
                    if len(rows) < _ROWS:
                        return
            finally:
                await worker.run(_close, result)

    def __del__(self):
        if not self._is_asked:
            warnings.warn(
                "rows were never asked for: `await` them, or use `async for`", RuntimeWarning, stacklevel=2, source=self
            )


def _next_rows(result):
    return list(itertools.islice(result, _ROWS))


def _close(result):
    close = getattr(result, "close", None)
    if close is not None:
        close()
