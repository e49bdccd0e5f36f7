"""What a kind of database has to do for `Database`, `Connection` and `Transaction`.

A query is a `Text` with its values, or an expression of SQLAlchemy's.
"""

import typing
from collections.abc import Sequence


class DatabaseBackend:
    """Everything that belongs to one URL."""

    # Whether its connections run a `Prepared`.
    takes_prepared = False

    async def connect(self) -> None:
        raise NotImplementedError()

    async def disconnect(self) -> None:
        raise NotImplementedError()

    def connection(self) -> "ConnectionBackend":
        raise NotImplementedError()

    def at_once(self) -> typing.Optional["AtOnce"]:
        """What runs queries without waiting, for a kind of database that can."""
        return None


class AtOnce:
    """Runs queries in text that a task gives without having a connection; `NotImplemented` where it has to wait."""

    def fetch_all(self, query: typing.Any, values: typing.Any) -> typing.Any:
        raise NotImplementedError()

    def fetch_one(self, query: typing.Any, values: typing.Any) -> typing.Any:
        raise NotImplementedError()

    def is_due(self) -> bool:
        """Whether the event loop has been kept from its turn for long; asked after each query."""
        raise NotImplementedError()


class _Done:
    def __await__(self):
        return iter(())


# What a method may give in place of a coroutine when there was nothing to wait for.
DONE = _Done()


class ConnectionBackend:
    """One connection, while it is acquired."""

    # Whether rows can be read on only within a transaction, as PostgreSQL's cursors.
    iterates_in_transaction = True

    async def acquire(self) -> None:
        raise NotImplementedError()

    async def release(self) -> None:
        raise NotImplementedError()

    async def fetch_all(self, query: typing.Any) -> typing.List["Record"]:
        raise NotImplementedError()

    async def fetch_one(self, query: typing.Any) -> typing.Optional["Record"]:
        raise NotImplementedError()

    async def fetch_val(self, query: typing.Any, column: typing.Any = 0) -> typing.Any:
        row = await self.fetch_one(query)
        return None if row is None else row[column]

    async def execute(self, query: typing.Any) -> typing.Any:
        raise NotImplementedError()

    async def execute_many(self, queries: typing.List[typing.Any]) -> None:
        raise NotImplementedError()

    async def iterate(self, query: typing.Any) -> typing.AsyncGenerator[typing.Any, None]:
        raise NotImplementedError()
        yield

    def transaction(self) -> "TransactionBackend":
        raise NotImplementedError()

    @property
    def raw_connection(self) -> typing.Any:
        raise NotImplementedError()


class TransactionBackend:
    """One transaction, or a savepoint within one."""

    async def start(self, is_root: bool, extra_options: typing.Dict[typing.Any, typing.Any]) -> None:
        raise NotImplementedError()

    async def commit(self) -> None:
        raise NotImplementedError()

    async def rollback(self) -> None:
        raise NotImplementedError()


class Record(Sequence):
    """A row: `record["name"]`, `record.name`, `record[0]`, `record[table.c.name]`."""

    @property
    def _mapping(self) -> typing.Mapping:
        raise NotImplementedError()

    def __getitem__(self, key: typing.Any) -> typing.Any:
        raise NotImplementedError()


class Text:
    """SQL in text with the values of its names."""

    __slots__ = ("text", "values")

    def __init__(self, text: str, values: typing.Optional[dict]) -> None:
        self.text = text
        self.values = values

    def __str__(self) -> str:
        return self.text


class Prepared:
    """SQL with the engine's own places and values in order; `query`, of `naja._native`, may make objects of its rows."""

    __slots__ = ("query", "sql", "values")

    def __init__(self, query: typing.Any, sql: str, values: list) -> None:
        self.query = query
        self.sql = sql
        self.values = values
