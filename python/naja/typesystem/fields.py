"""Fields: what a value has to be.

Each class has the attributes that the original's has, and a `validate` that is written in Rust. What that needs of
a field is read once and dropped when an attribute is set.
"""

from __future__ import annotations

import decimal
import re
import types
import typing

from naja._native import db

from . import formats
from .base import ValidationError

_CheckedField = db.validation.CheckedField
_set_attribute = object.__setattr__
_delete_attribute = object.__delattr__

NO_DEFAULT = object()

FORMATS: dict[str, formats.BaseFormat] = {
    "date": formats.DateFormat(),
    "time": formats.TimeFormat(),
    "datetime": formats.DateTimeFormat(),
    "uuid": formats.UUIDFormat(),
    "email": formats.EmailFormat(),
    "ipaddress": formats.IPAddressFormat(),
    "url": formats.URLFormat(),
}


def _is_or_none(kind: typing.Any, *values: typing.Any) -> bool:
    return all(value is None or isinstance(value, kind) for value in values)


class Field(_CheckedField):
    """What all fields have. A subclass says what it checks in `validate`."""

    errors: typing.Dict[str, str] = {}

    __class_getitem__ = classmethod(types.GenericAlias)

    def __init__(
        self,
        *,
        title: str = "",
        description: str = "",
        default: typing.Any = NO_DEFAULT,
        allow_null: bool = False,
        read_only: bool = False,
    ):
        assert isinstance(title, str), "title has to be a string"
        assert isinstance(description, str), "description has to be a string"
        if default is not NO_DEFAULT:
            self.default = default
        elif allow_null:
            self.default = None
        self.title = title
        self.description = description
        self.allow_null = allow_null
        self.read_only = read_only

    def __setattr__(self, name: str, value: typing.Any) -> None:
        _set_attribute(self, name, value)
        self._forget()

    def __delattr__(self, name: str) -> None:
        _delete_attribute(self, name)
        self._forget()

    def __getstate__(self) -> dict:
        return dict(self.__dict__)

    def validate(self, value: typing.Any) -> typing.Any:
        """The checked value; raises `ValidationError`."""
        raise NotImplementedError

    def serialize(self, obj: typing.Any) -> typing.Any:
        """The value as JSON has it."""
        return obj

    def has_default(self) -> bool:
        """Whether something stands in for a value that is missing."""
        return hasattr(self, "default")

    def get_default_value(self) -> typing.Any:
        """What stands in for a value that is missing."""
        default = getattr(self, "default", None)
        return default() if callable(default) else default

    def validation_error(self, code: str) -> ValidationError:
        """The error of a code, with its words."""
        return ValidationError(text=self.get_error_text(code), code=code)

    def get_error_text(self, code: str) -> str:
        """The words of a code, with the field's attributes in them."""
        return self.errors[code].format(**self.__dict__)

    def __or__(self, other: Field) -> Union:
        return Union(any_of=[*_alternatives(self), *_alternatives(other)])


def _alternatives(field: Field) -> list[Field]:
    return field.any_of if isinstance(field, Union) else [field]


class String(Field):
    """Text."""

    errors = {
        "type": "Must be a string.",
        "null": "May not be null.",
        "blank": "Must not be blank.",
        "max_length": "Must have no more than {max_length} characters.",
        "min_length": "Must have at least {min_length} characters.",
        "pattern": "Must match the pattern /{pattern}/.",
        "format": "Must be a valid {format}.",
    }

    def __init__(
        self,
        *,
        allow_blank: bool = False,
        trim_whitespace: bool = True,
        max_length: int | None = None,
        min_length: int | None = None,
        pattern: str | re.Pattern | None = None,
        format: str | None = None,
        coerce_types: bool = True,
        **kwargs: typing.Any,
    ) -> None:
        super().__init__(**kwargs)
        assert _is_or_none(int, max_length, min_length), "lengths have to be whole numbers"
        assert _is_or_none((str, re.Pattern), pattern), "pattern has to be a string or a compiled pattern"
        assert _is_or_none(str, format), "format has to be a string"
        if allow_blank and not self.has_default():
            self.default = ""
        self.allow_blank = allow_blank
        self.trim_whitespace = trim_whitespace
        self.max_length = max_length
        self.min_length = min_length
        self.format = format
        self.coerce_types = coerce_types
        # Compiling what is compiled gives it back.
        self.pattern_regex = None if pattern is None else re.compile(pattern)
        self.pattern = None if pattern is None else self.pattern_regex.pattern

    validate = _CheckedField._validate_string

    def serialize(self, obj: typing.Any) -> typing.Any:
        return FORMATS[self.format].serialize(obj) if self.format in FORMATS else obj


class Number(Field):
    """A number of any kind; its subclasses say which."""

    numeric_type: type | None = None
    errors = {
        "type": "Must be a number.",
        "null": "May not be null.",
        "integer": "Must be an integer.",
        "finite": "Must be finite.",
        "minimum": "Must be greater than or equal to {minimum}.",
        "exclusive_minimum": "Must be greater than {exclusive_minimum}.",
        "maximum": "Must be less than or equal to {maximum}.",
        "exclusive_maximum": "Must be less than {exclusive_maximum}.",
        "multiple_of": "Must be a multiple of {multiple_of}.",
    }

    def __init__(
        self,
        *,
        minimum: int | float | decimal.Decimal | None = None,
        maximum: int | float | decimal.Decimal | None = None,
        exclusive_minimum: int | float | decimal.Decimal | None = None,
        exclusive_maximum: int | float | decimal.Decimal | None = None,
        precision: str | None = None,
        multiple_of: int | float | decimal.Decimal | None = None,
        coerce_types: bool = True,
        **kwargs: typing.Any,
    ):
        super().__init__(**kwargs)
        given = (minimum, maximum, exclusive_minimum, exclusive_maximum, multiple_of)
        assert _is_or_none((int, float, decimal.Decimal), *given), "bounds have to be numbers"
        self.minimum = minimum
        self.maximum = maximum
        self.exclusive_minimum = exclusive_minimum
        self.exclusive_maximum = exclusive_maximum
        self.multiple_of = multiple_of
        self.precision = precision
        self.coerce_types = coerce_types

    validate = _CheckedField._validate_number


class Integer(Number):
    """A whole number, an `int`."""

    numeric_type = int


class Float(Number):
    """A `float`."""

    numeric_type = float


class Decimal(Number):
    """A `decimal.Decimal`."""

    numeric_type = decimal.Decimal

    def serialize(self, obj: typing.Any) -> typing.Any:
        return None if obj is None else float(obj)


class Boolean(Field):
    """`True` or `False`, or a word for one of them."""

    errors = {"type": "Must be a boolean.", "null": "May not be null."}
    coerce_values: typing.Dict[typing.Any, bool] = {
        **dict.fromkeys(("true", "on", "1", 1), True),
        **dict.fromkeys(("false", "off", "0", "", 0), False),
    }
    coerce_null_values = {"", "null", "none"}

    def __init__(self, *, coerce_types: bool = True, **kwargs: typing.Any) -> None:
        super().__init__(**kwargs)
        self.coerce_types = coerce_types

    validate = _CheckedField._validate_boolean


class Choice(Field):
    """One of several values, each with words for people."""

    errors = {
        "null": "May not be null.",
        "required": "This field is required.",
        "choice": "Not a valid choice.",
    }

    def __init__(
        self,
        *,
        choices: typing.Sequence[str | tuple[str, str]] | None = None,
        coerce_types: bool = True,
        **kwargs: typing.Any,
    ) -> None:
        super().__init__(**kwargs)
        self.choices = [one if isinstance(one, (tuple, list)) else (one, one) for one in choices or []]
        self.coerce_types = coerce_types
        assert all(len(choice) == 2 for choice in self.choices), "a choice is a value and its words"

    validate = _CheckedField._validate_choice


class Object(Field):
    """An object of JSON."""

    errors = {
        "type": "Must be an object.",
        "null": "May not be null.",
        "invalid_key": "All object keys must be strings.",
        "required": "This field is required.",
        "invalid_property": "Invalid property name.",
        "empty": "Must not be empty.",
        "max_properties": "Must have no more than {max_properties} properties.",
        "min_properties": "Must have at least {min_properties} properties.",
    }

    def __init__(
        self,
        *,
        properties: dict[str, Field] | Field | None = None,
        pattern_properties: dict[str, Field] | None = None,
        additional_properties: bool | None | Field = True,
        property_names: Field | None = None,
        min_properties: int | None = None,
        max_properties: int | None = None,
        required: typing.Sequence[str] | None = None,
        **kwargs: typing.Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(properties, Field):
            additional_properties, properties = properties, None
        properties, pattern_properties = dict(properties or {}), dict(pattern_properties or {})
        required = list(required) if isinstance(required, (list, tuple)) else required or []
        for fields in (properties, pattern_properties):
            assert all(isinstance(key, str) for key in fields), "names of properties have to be strings"
            assert all(isinstance(field, Field) for field in fields.values()), "properties have to be fields"
        is_switch = additional_properties is None or additional_properties in (True, False)
        assert is_switch or isinstance(additional_properties, Field), "additional_properties is a field or a switch"
        assert _is_or_none(int, min_properties, max_properties), "numbers of properties have to be whole"
        assert all(isinstance(key, str) for key in required), "required names have to be strings"
        self.properties = properties
        self.pattern_properties = pattern_properties
        self.additional_properties = additional_properties
        self.property_names = property_names
        self.min_properties = min_properties
        self.max_properties = max_properties
        self.required = required

    validate = _CheckedField._validate_object


class Array(Field):
    """A list."""

    errors = {
        "type": "Must be an array.",
        "null": "May not be null.",
        "empty": "Must not be empty.",
        "exact_items": "Must have {min_items} items.",
        "min_items": "Must have at least {min_items} items.",
        "max_items": "Must have no more than {max_items} items.",
        "additional_items": "May not contain additional items.",
        "unique_items": "Items must be unique.",
    }

    def __init__(
        self,
        items: Field | typing.Sequence[Field] | None = None,
        additional_items: Field | bool = False,
        min_items: int | None = None,
        max_items: int | None = None,
        exact_items: int | None = None,
        unique_items: bool = False,
        **kwargs: typing.Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(items, (list, tuple)):
            items = list(items)
            assert all(isinstance(item, Field) for item in items), "items have to be fields"
            # A list with a field for each place has that length.
            if min_items is None:
                min_items = len(items)
            if max_items is None and additional_items is False:
                max_items = len(items)
        else:
            assert _is_or_none(Field, items), "items have to be fields"
        assert isinstance(additional_items, (bool, Field)), "additional_items has to be a field or a switch"
        assert _is_or_none(int, min_items, max_items), "numbers of items have to be whole"
        assert isinstance(unique_items, bool), "unique_items has to be a switch"
        self.items = items
        self.additional_items = additional_items
        self.min_items = min_items if exact_items is None else exact_items
        self.max_items = max_items if exact_items is None else exact_items
        self.unique_items = unique_items

    validate = _CheckedField._validate_array

    def serialize(self, obj: typing.Any) -> typing.Any:
        if obj is None or self.items is None:
            return obj
        if isinstance(self.items, list):
            return [field.serialize(value) for field, value in zip(self.items, obj)]
        return [self.items.serialize(value) for value in obj]


class Text(String):
    """Text of several lines."""

    def __init__(self, **kwargs: typing.Any) -> None:
        super().__init__(format="text", **kwargs)


class Date(String):
    """A `datetime.date`."""

    def __init__(self, **kwargs: typing.Any) -> None:
        super().__init__(format="date", **kwargs)


class Time(String):
    """A `datetime.time`."""

    def __init__(self, **kwargs: typing.Any) -> None:
        super().__init__(format="time", **kwargs)


class DateTime(String):
    """A `datetime.datetime`."""

    def __init__(self, **kwargs: typing.Any) -> None:
        super().__init__(format="datetime", **kwargs)


class Union(Field):
    """What one of several fields takes; the first one that does decides."""

    errors = {"null": "May not be null.", "union": "Did not match any valid type."}

    def __init__(self, any_of: list[Field], **kwargs: typing.Any):
        super().__init__(**kwargs)
        self.any_of = any_of
        if any(child.allow_null for child in any_of):
            self.allow_null = True

    validate = _CheckedField._validate_union


class Any(Field):
    """Every value."""

    validate = _CheckedField._validate_any


class Const(Field):
    """One value alone."""

    errors = {"only_null": "Must be null.", "const": "Must be the value '{const}'."}

    def __init__(self, const: typing.Any, **kwargs: typing.Any):
        assert "allow_null" not in kwargs, "the constant says whether null is allowed"
        super().__init__(**kwargs)
        self.const = const

    validate = _CheckedField._validate_const


class UUID(String):
    """A `uuid.UUID`."""

    def __init__(self, **kwargs: typing.Any) -> None:
        super().__init__(format="uuid", **kwargs)


class Email(String):
    """A mail address."""

    def __init__(self, **kwargs: typing.Any) -> None:
        super().__init__(format="email", **kwargs)


class Password(String):
    """Text that no form shows."""

    def __init__(self, **kwargs: typing.Any) -> None:
        super().__init__(format="password", **kwargs)


class IPAddress(String):
    """An address of `ipaddress`."""

    def __init__(self, **kwargs: typing.Any) -> None:
        super().__init__(format="ipaddress", **kwargs)


class URL(String):
    """A URL with a scheme and a host."""

    def __init__(self, **kwargs: typing.Any) -> None:
        super().__init__(format="url", **kwargs)
