import enum
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from naja import typesystem

from .models import BaseModel, ModelRegistry

class ModelField:
    allow_null: bool
    primary_key: bool
    index: bool
    unique: bool
    validator: typesystem.Field[Any]
    registry: ModelRegistry | None
    def __init__(
        self,
        primary_key: bool = False,
        index: bool = False,
        unique: bool = False,
        *,
        title: str = "",
        description: str = "",
        default: Any = ...,
        allow_null: bool = False,
        read_only: bool = False,
        **kwargs: Any,
    ) -> None: ...
    def get_validator(self, **kwargs: Any) -> typesystem.Field[Any]: ...
    def get_column_type(self) -> Any: ...
    def get_constraints(self) -> list[Any]: ...
    def get_column(self, name: str) -> Any: ...
    def expand_relationship(self, value: Any) -> Any: ...

class _TextField(ModelField):
    def __init__(
        self,
        *,
        max_length: int | None = None,
        min_length: int | None = None,
        allow_blank: bool = False,
        trim_whitespace: bool = True,
        pattern: str | re.Pattern[str] | None = None,
        coerce_types: bool = True,
        primary_key: bool = False,
        index: bool = False,
        unique: bool = False,
        title: str = "",
        description: str = "",
        default: str | Callable[[], str | None] | None = ...,
        allow_null: bool = False,
        read_only: bool = False,
    ) -> None: ...

class String(_TextField):
    def __init__(
        self,
        *,
        max_length: int,
        min_length: int | None = None,
        allow_blank: bool = False,
        trim_whitespace: bool = True,
        pattern: str | re.Pattern[str] | None = None,
        format: str | None = None,
        coerce_types: bool = True,
        primary_key: bool = False,
        index: bool = False,
        unique: bool = False,
        title: str = "",
        description: str = "",
        default: str | Callable[[], str | None] | None = ...,
        allow_null: bool = False,
        read_only: bool = False,
    ) -> None: ...

class Email(String): ...
class URL(String): ...
class Text(_TextField): ...

class _NumberField(ModelField):
    def __init__(
        self,
        *,
        minimum: float | None = None,
        maximum: float | None = None,
        exclusive_minimum: float | None = None,
        exclusive_maximum: float | None = None,
        multiple_of: float | None = None,
        precision: str | None = None,
        coerce_types: bool = True,
        primary_key: bool = False,
        index: bool = False,
        unique: bool = False,
        title: str = "",
        description: str = "",
        default: Any = ...,
        allow_null: bool = False,
        read_only: bool = False,
    ) -> None: ...

class Integer(_NumberField): ...
class BigInteger(_NumberField): ...
class Float(_NumberField): ...

class Decimal(ModelField):
    max_digits: int
    decimal_places: int
    def __init__(self, max_digits: int, decimal_places: int, **kwargs: Any) -> None: ...

class Boolean(ModelField): ...

class AutoNowMixin(ModelField):
    auto_now: bool
    auto_now_add: bool
    def __init__(
        self,
        auto_now: bool = False,
        auto_now_add: bool = False,
        *,
        primary_key: bool = False,
        index: bool = False,
        unique: bool = False,
        default: Any = ...,
        allow_null: bool = False,
        read_only: bool = False,
        **kwargs: Any,
    ) -> None: ...

class DateTime(AutoNowMixin): ...
class Date(AutoNowMixin): ...
class Time(ModelField): ...
class JSON(ModelField): ...
class UUID(ModelField): ...
class IPAddress(ModelField): ...

class Enum(ModelField):
    enum: type[enum.Enum]
    def __init__(
        self,
        enum: type[enum.Enum],
        *,
        primary_key: bool = False,
        index: bool = False,
        unique: bool = False,
        default: Any = ...,
        allow_null: bool = False,
        read_only: bool = False,
        **kwargs: Any,
    ) -> None: ...

class ForeignKey(ModelField):
    class ForeignKeyValidator(typesystem.Field[Any]): ...
    to: type[BaseModel] | str
    on_delete: str | None
    @property
    def target(self) -> type[BaseModel]: ...
    # Of `Annotated[Album, ForeignKey()]` the annotation says what it refers to.
    def __init__(
        self,
        to: type[BaseModel] | str = ...,
        allow_null: bool = False,
        on_delete: str | None = None,
    ) -> None: ...

class OneToOne(ForeignKey): ...

def model_named(registry: ModelRegistry | None, name: str, place: str) -> type[BaseModel]: ...
