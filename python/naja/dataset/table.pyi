import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from .database import Database
from .types import ColumnType
from .util import OutRow, ResultIter

_Row = Mapping[str, Any]
_Keys = str | Sequence[str]
_Types = dict[str, Any]
_Type = ColumnType | type[ColumnType] | Any

class Table:
    PRIMARY_DEFAULT: str
    db: Database
    def __new__(
        cls,
        database: Database,
        table_name: str,
        primary_id: str | Literal[False] | None = None,
        primary_type: _Type | None = None,
        primary_increment: bool | None = None,
        auto_create: bool = False,
    ) -> Table: ...
    @property
    def name(self) -> str: ...
    @property
    def exists(self) -> bool: ...
    @property
    def columns(self) -> list[str]: ...
    # A `sqlalchemy.Table`.
    @property
    def table(self) -> Any: ...
    def has_column(self, column: str | None) -> bool: ...
    def insert(self, row: _Row, ensure: bool | None = None, types: _Types | None = None) -> Any: ...
    def insert_ignore(
        self, row: _Row, keys: _Keys, ensure: bool | None = None, types: _Types | None = None
    ) -> Any: ...
    def insert_many(
        self, rows: Iterable[_Row], chunk_size: int = 1000, ensure: bool | None = None, types: _Types | None = None
    ) -> None: ...
    def update(
        self,
        row: _Row,
        keys: _Keys,
        ensure: bool | None = None,
        types: _Types | None = None,
        return_count: bool = False,
    ) -> int: ...
    def update_many(
        self,
        rows: Iterable[_Row],
        keys: _Keys,
        chunk_size: int = 1000,
        ensure: bool | None = None,
        types: _Types | None = None,
    ) -> None: ...
    def upsert(self, row: _Row, keys: _Keys, ensure: bool | None = None, types: _Types | None = None) -> Any: ...
    def upsert_many(
        self,
        rows: Iterable[_Row],
        keys: _Keys,
        chunk_size: int = 1000,
        ensure: bool | None = None,
        types: _Types | None = None,
    ) -> None: ...
    def delete(self, *clauses: Any, **filters: Any) -> bool: ...
    def find(
        self,
        *clauses: Any,
        _limit: int | None = None,
        _offset: int | None = 0,
        order_by: str | Sequence[str] | None = None,
        _streamed: bool = False,
        _step: int | None = ...,
        **filters: Any,
    ) -> ResultIter: ...
    def all(
        self,
        *clauses: Any,
        _limit: int | None = None,
        _offset: int | None = 0,
        order_by: str | Sequence[str] | None = None,
        _streamed: bool = False,
        _step: int | None = ...,
        **filters: Any,
    ) -> ResultIter: ...
    def find_one(
        self, *clauses: Any, order_by: str | Sequence[str] | None = None, _offset: int | None = 0, **filters: Any
    ) -> OutRow | None: ...
    def count(self, *clauses: Any, **filters: Any) -> int: ...
    def distinct(
        self, *columns: Any, _limit: int | None = None, _offset: int | None = 0, **filters: Any
    ) -> ResultIter: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> ResultIter: ...
    def create_column(
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
    def create_column_by_example(self, name: str, value: Any) -> None: ...
    def drop_column(self, name: str) -> None: ...
    def drop(self) -> None: ...
    def has_index(self, columns: _Keys) -> bool: ...
    def create_index(self, columns: _Keys, name: str | None = None, *, unique: bool = False, **kw: Any) -> None: ...
    def load(
        self, path: str | os.PathLike[str], format: str | None = None, keys: _Keys | None = None
    ) -> int: ...
