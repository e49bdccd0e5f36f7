import os
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import IO, Any, Literal, Self

from .types import ColumnType, Types
from .util import OutRow, RowFactory

__all__ = ["Database", "Rows", "Table", "connect", "freeze"]

_Row = Mapping[str, Any]
_Keys = str | Sequence[str]
_Types = dict[str, Any]
_Type = ColumnType | type[ColumnType] | Any

def connect(
    url: str | None = None,
    schema: str | None = None,
    engine_kwargs: dict[str, Any] | None = None,
    ensure_schema: bool = True,
    row_type: RowFactory = ...,
    sqlite_wal_mode: bool = True,
    on_connect_statements: Sequence[str] | None = None,
) -> Database: ...
async def freeze(
    result: Rows,
    format: str = "csv",
    filename: str | os.PathLike[str] | None = None,
    fileobj: IO[Any] | None = None,
    prefix: str = ".",
    encoding: str = "utf-8",
    indent: int | None = None,
) -> Any: ...

class Database:
    def __init__(
        self,
        url: str,
        schema: str | None = None,
        engine_kwargs: dict[str, Any] | None = None,
        ensure_schema: bool = True,
        row_type: RowFactory = ...,
        sqlite_wal_mode: bool = True,
        on_connect_statements: Sequence[str] | None = None,
    ) -> None: ...
    @property
    def url(self) -> str: ...
    @property
    def schema(self) -> str | None: ...
    @property
    def types(self) -> Types: ...
    @property
    def tables(self) -> Awaitable[list[str]]: ...
    @property
    def views(self) -> Awaitable[list[str]]: ...
    async def has_table(self, name: str) -> bool: ...
    def create_table(
        self,
        table_name: str,
        primary_id: str | Literal[False] | None = None,
        primary_type: _Type | None = None,
        primary_increment: bool | None = None,
    ) -> Table: ...
    def get_table(
        self,
        table_name: str,
        primary_id: str | Literal[False] | None = None,
        primary_type: _Type | None = None,
        primary_increment: bool | None = None,
    ) -> Table: ...
    def load_table(self, table_name: str) -> Table: ...
    def __getitem__(self, table_name: str) -> Table: ...
    def query(self, query: str | Any, **kwargs: Any) -> Rows: ...
    async def create_function(
        self, name: str, narg: int, func: Callable[..., Any] | None, *, deterministic: bool = False
    ) -> None: ...
    async def create_aggregate(self, name: str, n_arg: int, aggregate_class: Callable[[], Any] | None) -> None: ...
    async def create_collation(self, name: str, callback: Callable[[str, str], int] | None) -> None: ...
    async def begin(self) -> None: ...
    async def commit(self) -> None: ...
    async def rollback(self) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
    async def close(self) -> None: ...

class Table:
    db: Database
    def __init__(self, database: Database, table: Any) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def exists(self) -> Awaitable[bool]: ...
    @property
    def columns(self) -> Awaitable[list[str]]: ...
    async def has_column(self, column: str | None) -> bool: ...
    async def insert(self, row: _Row, ensure: bool | None = None, types: _Types | None = None) -> Any: ...
    async def insert_ignore(
        self, row: _Row, keys: _Keys, ensure: bool | None = None, types: _Types | None = None
    ) -> Any: ...
    async def insert_many(
        self,
        rows: Iterable[_Row] | AsyncIterable[_Row],
        chunk_size: int = 1000,
        ensure: bool | None = None,
        types: _Types | None = None,
    ) -> None: ...
    async def update(
        self,
        row: _Row,
        keys: _Keys,
        ensure: bool | None = None,
        types: _Types | None = None,
        return_count: bool = False,
    ) -> int: ...
    async def update_many(
        self,
        rows: Iterable[_Row],
        keys: _Keys,
        chunk_size: int = 1000,
        ensure: bool | None = None,
        types: _Types | None = None,
    ) -> None: ...
    async def upsert(
        self, row: _Row, keys: _Keys, ensure: bool | None = None, types: _Types | None = None
    ) -> Any: ...
    async def upsert_many(
        self,
        rows: Iterable[_Row],
        keys: _Keys,
        chunk_size: int = 1000,
        ensure: bool | None = None,
        types: _Types | None = None,
    ) -> None: ...
    async def delete(self, *clauses: Any, **filters: Any) -> bool: ...
    def find(
        self,
        *clauses: Any,
        _limit: int | None = None,
        _offset: int | None = 0,
        order_by: str | Sequence[str] | None = None,
        _streamed: bool = False,
        _step: int | None = ...,
        **filters: Any,
    ) -> Rows: ...
    def all(
        self,
        *clauses: Any,
        _limit: int | None = None,
        _offset: int | None = 0,
        order_by: str | Sequence[str] | None = None,
        _streamed: bool = False,
        _step: int | None = ...,
        **filters: Any,
    ) -> Rows: ...
    async def find_one(
        self, *clauses: Any, order_by: str | Sequence[str] | None = None, _offset: int | None = 0, **filters: Any
    ) -> OutRow | None: ...
    async def count(self, *clauses: Any, **filters: Any) -> int: ...
    def distinct(self, *columns: Any, _limit: int | None = None, _offset: int | None = 0, **filters: Any) -> Rows: ...
    def __aiter__(self) -> AsyncIterator[OutRow]: ...
    async def create_column(
        self,
        name: str,
        type: _Type,
        *,
        nullable: bool = True,
        unique: bool = False,
        default: Any = None,
        server_default: Any = None,
        index: bool = False,
        foreign_key: str | None = None,
    ) -> None: ...
    async def create_column_by_example(self, name: str, value: Any) -> None: ...
    async def drop_column(self, name: str) -> None: ...
    async def drop(self) -> None: ...
    async def has_index(self, columns: _Keys) -> bool: ...
    async def create_index(
        self, columns: _Keys, name: str | None = None, *, unique: bool = False, **kw: Any
    ) -> None: ...
    async def load(
        self, path: str | os.PathLike[str], format: str | None = None, keys: _Keys | None = None
    ) -> int: ...

class Rows:
    def __init__(self, workers: Any, ask: Callable[[], Any]) -> None: ...
    def __await__(self) -> Generator[Any, None, list[OutRow]]: ...
    def __aiter__(self) -> AsyncIterator[OutRow]: ...
