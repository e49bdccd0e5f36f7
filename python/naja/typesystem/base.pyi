from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")

class Position:
    line_no: int
    column_no: int
    char_index: int
    def __init__(self, line_no: int, column_no: int, char_index: int) -> None: ...

class Message:
    text: str
    code: str
    index: list[int | str]
    start_position: Position | None
    end_position: Position | None
    def __init__(
        self,
        *,
        text: str,
        code: str | None = None,
        key: int | str | None = None,
        index: list[int | str] | None = None,
        position: Position | None = None,
        start_position: Position | None = None,
        end_position: Position | None = None,
    ) -> None: ...
    def __hash__(self) -> int: ...

class BaseError(Exception, Mapping[int | str, Any]):
    def __init__(
        self,
        *,
        text: str | None = None,
        code: str | None = None,
        key: int | str | None = None,
        position: Position | None = None,
        messages: list[Message] | None = None,
    ) -> None: ...
    def messages(self, *, add_prefix: int | str | None = None) -> list[Message]: ...
    def __iter__(self) -> Iterator[int | str]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, key: int | str) -> Any: ...
    def __hash__(self) -> int: ...
    def keys(self) -> KeysView[int | str]: ...
    def values(self) -> ValuesView[Any]: ...
    def items(self) -> ItemsView[int | str, Any]: ...

class ParseError(BaseError): ...
class ValidationError(BaseError): ...

class ValidationResult(Generic[_T]):
    value: _T
    error: ValidationError | None
    def __init__(self, *, value: _T | None = None, error: ValidationError | None = None) -> None: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __bool__(self) -> bool: ...
