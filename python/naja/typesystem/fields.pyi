"""Types of fields: `Field[T]` is a field whose checked values are `T`s, with `None` where null is allowed."""

import datetime
import decimal
import ipaddress
import re
import uuid
from collections.abc import Sequence
from typing import Any as Anything
from typing import Generic, Literal, TypedDict, TypeVar, overload

from typing_extensions import Unpack

from . import formats
from .base import ValidationError, ValidationResult

_T = TypeVar("_T")
_U = TypeVar("_U")
_Number = int | float | decimal.Decimal

NO_DEFAULT: object
FORMATS: dict[str, formats.BaseFormat]

class _FieldOptions(TypedDict, total=False):
    title: str
    description: str
    default: Anything
    read_only: bool

class _PlainTextOptions(_FieldOptions, total=False):
    allow_blank: bool
    trim_whitespace: bool
    max_length: int | None
    min_length: int | None
    pattern: str | re.Pattern[str] | None
    coerce_types: bool

class _TextOptions(_PlainTextOptions, total=False):
    format: str | None

class _NumberOptions(_FieldOptions, total=False):
    minimum: _Number | None
    maximum: _Number | None
    exclusive_minimum: _Number | None
    exclusive_maximum: _Number | None
    precision: str | None
    multiple_of: _Number | None
    coerce_types: bool

class _SwitchOptions(_FieldOptions, total=False):
    coerce_types: bool

class _ListOptions(_FieldOptions, total=False):
    additional_items: Field[Anything] | bool
    min_items: int | None
    max_items: int | None
    exact_items: int | None
    unique_items: bool

class _ObjectOptions(_FieldOptions, total=False):
    pattern_properties: dict[str, Field[Anything]] | None
    additional_properties: bool | None | Field[Anything]
    property_names: Field[Anything] | None
    min_properties: int | None
    max_properties: int | None
    required: Sequence[str] | None

class Field(Generic[_T]):
    errors: dict[str, str]
    title: str
    description: str
    default: Anything
    allow_null: bool
    read_only: bool
    def __init__(self, *, allow_null: bool = False, **options: Unpack[_FieldOptions]) -> None: ...
    def validate(self, value: Anything) -> _T: ...
    def validate_or_error(self, value: Anything) -> ValidationResult[_T]: ...
    def serialize(self, obj: Anything) -> Anything: ...
    def has_default(self) -> bool: ...
    def get_default_value(self) -> Anything: ...
    def validation_error(self, code: str) -> ValidationError: ...
    def get_error_text(self, code: str) -> str: ...
    def __or__(self, other: Field[_U]) -> Union[_T | _U]: ...

class String(Field[_T]):
    allow_blank: bool
    trim_whitespace: bool
    max_length: int | None
    min_length: int | None
    pattern: str | None
    pattern_regex: re.Pattern[str] | None
    format: str | None
    coerce_types: bool
    @overload
    def __init__(self: String[str], *, allow_null: Literal[False] = ..., **options: Unpack[_TextOptions]) -> None: ...
    @overload
    def __init__(self: String[str | None], *, allow_null: bool, **options: Unpack[_TextOptions]) -> None: ...

class Text(String[_T]):
    @overload
    def __init__(self: Text[str], *, allow_null: Literal[False] = ..., **options: Unpack[_PlainTextOptions]) -> None: ...
    @overload
    def __init__(self: Text[str | None], *, allow_null: bool, **options: Unpack[_PlainTextOptions]) -> None: ...

class Email(String[_T]):
    @overload
    def __init__(self: Email[str], *, allow_null: Literal[False] = ..., **options: Unpack[_PlainTextOptions]) -> None: ...
    @overload
    def __init__(self: Email[str | None], *, allow_null: bool, **options: Unpack[_PlainTextOptions]) -> None: ...

class Password(String[_T]):
    @overload
    def __init__(
        self: Password[str], *, allow_null: Literal[False] = ..., **options: Unpack[_PlainTextOptions]
    ) -> None: ...
    @overload
    def __init__(self: Password[str | None], *, allow_null: bool, **options: Unpack[_PlainTextOptions]) -> None: ...

class URL(String[_T]):
    @overload
    def __init__(self: URL[str], *, allow_null: Literal[False] = ..., **options: Unpack[_PlainTextOptions]) -> None: ...
    @overload
    def __init__(self: URL[str | None], *, allow_null: bool, **options: Unpack[_PlainTextOptions]) -> None: ...

class Date(String[_T]):
    @overload
    def __init__(
        self: Date[datetime.date], *, allow_null: Literal[False] = ..., **options: Unpack[_PlainTextOptions]
    ) -> None: ...
    @overload
    def __init__(
        self: Date[datetime.date | None], *, allow_null: bool, **options: Unpack[_PlainTextOptions]
    ) -> None: ...

class Time(String[_T]):
    @overload
    def __init__(
        self: Time[datetime.time], *, allow_null: Literal[False] = ..., **options: Unpack[_PlainTextOptions]
    ) -> None: ...
    @overload
    def __init__(
        self: Time[datetime.time | None], *, allow_null: bool, **options: Unpack[_PlainTextOptions]
    ) -> None: ...

class DateTime(String[_T]):
    @overload
    def __init__(
        self: DateTime[datetime.datetime], *, allow_null: Literal[False] = ..., **options: Unpack[_PlainTextOptions]
    ) -> None: ...
    @overload
    def __init__(
        self: DateTime[datetime.datetime | None], *, allow_null: bool, **options: Unpack[_PlainTextOptions]
    ) -> None: ...

class UUID(String[_T]):
    @overload
    def __init__(
        self: UUID[uuid.UUID], *, allow_null: Literal[False] = ..., **options: Unpack[_PlainTextOptions]
    ) -> None: ...
    @overload
    def __init__(self: UUID[uuid.UUID | None], *, allow_null: bool, **options: Unpack[_PlainTextOptions]) -> None: ...

class IPAddress(String[_T]):
    @overload
    def __init__(
        self: IPAddress[ipaddress.IPv4Address | ipaddress.IPv6Address],
        *,
        allow_null: Literal[False] = ...,
        **options: Unpack[_PlainTextOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: IPAddress[ipaddress.IPv4Address | ipaddress.IPv6Address | None],
        *,
        allow_null: bool,
        **options: Unpack[_PlainTextOptions],
    ) -> None: ...

class Number(Field[_T]):
    numeric_type: type | None
    minimum: _Number | None
    maximum: _Number | None
    exclusive_minimum: _Number | None
    exclusive_maximum: _Number | None
    precision: str | None
    multiple_of: _Number | None
    coerce_types: bool
    def __init__(self, *, allow_null: bool = False, **options: Unpack[_NumberOptions]) -> None: ...

class Integer(Number[_T]):
    @overload
    def __init__(self: Integer[int], *, allow_null: Literal[False] = ..., **options: Unpack[_NumberOptions]) -> None: ...
    @overload
    def __init__(self: Integer[int | None], *, allow_null: bool, **options: Unpack[_NumberOptions]) -> None: ...

class Float(Number[_T]):
    @overload
    def __init__(self: Float[float], *, allow_null: Literal[False] = ..., **options: Unpack[_NumberOptions]) -> None: ...
    @overload
    def __init__(self: Float[float | None], *, allow_null: bool, **options: Unpack[_NumberOptions]) -> None: ...

class Decimal(Number[_T]):
    @overload
    def __init__(
        self: Decimal[decimal.Decimal], *, allow_null: Literal[False] = ..., **options: Unpack[_NumberOptions]
    ) -> None: ...
    @overload
    def __init__(
        self: Decimal[decimal.Decimal | None], *, allow_null: bool, **options: Unpack[_NumberOptions]
    ) -> None: ...

class Boolean(Field[_T]):
    coerce_values: dict[Anything, bool]
    coerce_null_values: set[str]
    coerce_types: bool
    @overload
    def __init__(self: Boolean[bool], *, allow_null: Literal[False] = ..., **options: Unpack[_SwitchOptions]) -> None: ...
    @overload
    def __init__(self: Boolean[bool | None], *, allow_null: bool, **options: Unpack[_SwitchOptions]) -> None: ...

class Choice(Field[Anything]):
    choices: list[tuple[Anything, Anything]]
    coerce_types: bool
    def __init__(
        self,
        *,
        choices: Sequence[Anything] | None = None,
        allow_null: bool = False,
        **options: Unpack[_SwitchOptions],
    ) -> None: ...

class Object(Field[_T]):
    properties: dict[str, Field[Anything]]
    pattern_properties: dict[str, Field[Anything]]
    additional_properties: bool | None | Field[Anything]
    property_names: Field[Anything] | None
    min_properties: int | None
    max_properties: int | None
    required: list[str]
    @overload
    def __init__(
        self: Object[dict[str, _U]],
        *,
        properties: Field[_U],
        allow_null: Literal[False] = ...,
        **options: Unpack[_ObjectOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: Object[dict[str, Anything]],
        *,
        properties: dict[str, Field[Anything]] | None = None,
        allow_null: Literal[False] = ...,
        **options: Unpack[_ObjectOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: Object[dict[str, Anything] | None],
        *,
        properties: dict[str, Field[Anything]] | Field[Anything] | None = None,
        allow_null: bool,
        **options: Unpack[_ObjectOptions],
    ) -> None: ...

class Array(Field[_T]):
    items: Field[Anything] | list[Field[Anything]] | None
    additional_items: Field[Anything] | bool
    min_items: int | None
    max_items: int | None
    unique_items: bool
    @overload
    def __init__(
        self: Array[list[_U]],
        items: Field[_U],
        *,
        allow_null: Literal[False] = ...,
        **options: Unpack[_ListOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: Array[list[_U] | None], items: Field[_U], *, allow_null: bool, **options: Unpack[_ListOptions]
    ) -> None: ...
    @overload
    def __init__(
        self: Array[list[Anything]],
        items: Sequence[Field[Anything]] | None = None,
        *,
        allow_null: Literal[False] = ...,
        **options: Unpack[_ListOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: Array[list[Anything] | None],
        items: Sequence[Field[Anything]] | None = None,
        *,
        allow_null: bool,
        **options: Unpack[_ListOptions],
    ) -> None: ...

class Union(Field[_T]):
    any_of: list[Field[Anything]]
    def __init__(
        self, any_of: list[Field[_T]], *, allow_null: bool = False, **options: Unpack[_FieldOptions]
    ) -> None: ...

class Any(Field[Anything]): ...

class Const(Field[_T]):
    const: _T
    def __init__(self, const: _T, **options: Unpack[_FieldOptions]) -> None: ...
