"""Schemas of classes: the fields that the annotations of a class ask for, and objects of it as checked values."""

from __future__ import annotations

import collections.abc
import copy
import dataclasses
import datetime
import decimal
import enum
import ipaddress
import types
import typing
import uuid

from .fields import (
    UUID,
    Any,
    Array,
    Boolean,
    Choice,
    Date,
    DateTime,
    Decimal,
    Field,
    Float,
    Integer,
    IPAddress,
    Object,
    String,
    Time,
    Union,
)
from .schemas import Definitions, Reference, Schema

_T = typing.TypeVar("_T")

_FIELDS: dict[typing.Any, typing.Callable[..., Field]] = {
    str: String,
    int: Integer,
    float: Float,
    bool: Boolean,
    decimal.Decimal: Decimal,
    datetime.date: Date,
    datetime.time: Time,
    datetime.datetime: DateTime,
    uuid.UUID: UUID,
    ipaddress.IPv4Address: IPAddress,
    ipaddress.IPv6Address: IPAddress,
    list: Array,
    dict: Object,
    typing.Any: Any,
    object: Any,
}


class EnumChoice(Choice):
    """One of an enumeration's values; the checked value is its member."""

    def __init__(self, members: type[enum.Enum], **kwargs: typing.Any) -> None:
        super().__init__(choices=[(member.value, member.name) for member in members], **kwargs)
        self.members = members

    def validate(self, value: typing.Any) -> typing.Any:
        checked = super().validate(value.value if isinstance(value, self.members) else value)
        return None if checked is None else self.members(checked)

    def serialize(self, obj: typing.Any) -> typing.Any:
        return obj.value if isinstance(obj, self.members) else obj


def schema_of(cls: type[_T]) -> Schema[_T]:
    """The schema of a dataclass, whose checked values are objects of it.

    `Annotated[str, String(max_length=100)]` gives a field of one's own; everything else follows from the type: `X | None`
    allows null, `list[X]` and `dict[str, X]` check what is in them, `Literal` and enumerations are choices, and a
    dataclass has a schema of its own. What has a default in the class is not required.
    """
    return _schema(cls, Definitions())


def _schema(cls: type, definitions: Definitions) -> Schema:
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        raise TypeError(f"{cls!r} is no dataclass")
    fields: dict[str, Field] = {}
    schema = definitions[cls] = Schema(fields, into=cls)
    hints = typing.get_type_hints(cls, include_extras=True)
    for attribute in dataclasses.fields(cls):
        if not attribute.init:
            continue
        own = _own_field(hints[attribute.name])
        # The user's field may stand in several classes.
        field = _field(hints[attribute.name], definitions) if own is None else copy.copy(own)
        if attribute.default is not dataclasses.MISSING:
            field.default = attribute.default
        elif attribute.default_factory is not dataclasses.MISSING:
            field.default = attribute.default_factory
        elif own is None and field.has_default():
            # Null is allowed, and has to be said: the class has no default.
            del field.default
        fields[attribute.name] = field
    schema.required = [name for name, field in fields.items() if not field.has_default()]
    return schema


def _own_field(hint: typing.Any) -> Field | None:
    """The field that an annotation has in it."""
    if typing.get_origin(hint) is not typing.Annotated:
        return None
    return next((one for one in typing.get_args(hint)[1:] if isinstance(one, Field)), None)


def _field(hint: typing.Any, definitions: Definitions, **given: typing.Any) -> Field:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _own_field(hint) or _field(arguments[0], definitions, **given)
    if origin in (typing.Union, types.UnionType):
        members = [one for one in arguments if one is not type(None)]
        if len(members) < len(arguments):
            given["allow_null"] = True
        if len(members) == 1:
            return _field(members[0], definitions, **given)
        return Union(any_of=[_field(one, definitions) for one in members], **given)
    if origin is typing.Literal:
        return Choice(choices=[(one, one) for one in arguments], **given)
    if origin in (list, collections.abc.Sequence):
        return Array(items=_field(arguments[0], definitions), **given)
    if origin in (dict, collections.abc.Mapping):
        return Object(properties=_field(arguments[1], definitions), **given)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return EnumChoice(hint, **given)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        if hint not in definitions:
            _schema(hint, definitions)
        return Reference(hint, definitions, **given)  # type: ignore[arg-type]
    if hint in _FIELDS:
        return _FIELDS[hint](**given)
    raise TypeError(f"there is no field for {hint!r}; Annotated[…, a field] gives one")
