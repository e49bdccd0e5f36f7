from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from .table import Table

_Callback = Callable[[list[dict[str, Any]]], object]

class InvalidCallbackError(ValueError): ...

class _Chunker:
    queue: list[dict[str, Any]]
    table: Table
    chunksize: int
    callback: _Callback | None
    def flush(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

class ChunkedInsert(_Chunker):
    fields: set[str]
    def __init__(self, table: Table, chunksize: int = 1000, callback: _Callback | None = None) -> None: ...
    def insert(self, item: Mapping[str, Any]) -> None: ...

class ChunkedUpdate(_Chunker):
    keys: Sequence[str]
    def __init__(
        self, table: Table, keys: Sequence[str], chunksize: int = 1000, callback: _Callback | None = None
    ) -> None: ...
    def update(self, item: Mapping[str, Any]) -> None: ...
