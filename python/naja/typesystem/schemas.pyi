from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, Literal, TypeVar, overload

from typing_extensions import Unpack

from .fields import Field, _FieldOptions

_T = TypeVar("_T")
_R = TypeVar("_R")

class Schema(Field[_T]):
    fields: dict[str, Field[Any]]
    into: Callable[..., Any] | None
    required: list[str]
    @overload
    def __init__(
        self: Schema[dict[str, Any]],
        fields: dict[str, Any],
        *,
        into: None = None,
        allow_null: Literal[False] = ...,
        **options: Unpack[_FieldOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: Schema[dict[str, Any] | None],
        fields: dict[str, Any],
        *,
        into: None = None,
        allow_null: bool,
        **options: Unpack[_FieldOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: Schema[_R],
        fields: dict[str, Any],
        *,
        into: Callable[..., _R],
        allow_null: Literal[False] = ...,
        **options: Unpack[_FieldOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: Schema[_R | None],
        fields: dict[str, Any],
        *,
        into: Callable[..., _R],
        allow_null: bool,
        **options: Unpack[_FieldOptions],
    ) -> None: ...
    def serialize(self, obj: Any) -> dict[str, Any] | None: ...

class Definitions(MutableMapping[Any, Any]):
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    def __getitem__(self, key: Any) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...
    def __setitem__(self, key: Any, value: Any) -> None: ...
    def __delitem__(self, key: Any) -> None: ...

class Reference(Field[Any]):
    to: str
    definitions: Definitions
    def __init__(
        self, to: str, definitions: Definitions, *, allow_null: bool = False, **options: Unpack[_FieldOptions]
    ) -> None: ...
    @property
    def target(self) -> Any: ...
