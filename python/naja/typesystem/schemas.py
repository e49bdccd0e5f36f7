"""Schemas, and the names by which they refer to each other."""

from __future__ import annotations

import typing
from collections.abc import Mapping, MutableMapping

from naja._native import db

from .fields import Field

_CheckedField = db.validation.CheckedField


class Schema(Field):
    """Fields by name. The checked value is a dictionary, or what `into` makes of its entries."""

    errors = {
        "type": "Must be an object.",
        "null": "May not be null.",
        "invalid_key": "All object keys must be strings.",
        "required": "This field is required.",
    }

    def __init__(
        self,
        fields: dict[str, Field],
        *,
        into: typing.Callable[..., typing.Any] | None = None,
        **kwargs: typing.Any,
    ) -> None:
        super().__init__(**kwargs)
        self.fields = fields
        self.into = into
        self.required = [
            key for key, field in fields.items() if not (field.read_only or field.has_default())
        ]

    validate = _CheckedField._validate_schema

    def serialize(self, obj: typing.Any) -> dict[str, typing.Any] | None:
        if obj is None:
            return None
        serialized = {}
        for key, field in self.fields.items():
            try:
                value = obj[key] if isinstance(obj, dict) else getattr(obj, key)
            except (KeyError, AttributeError):
                continue
            serialized[key] = field.serialize(value)
        return serialized


class Definitions(MutableMapping):
    """Schemas by name; a name is given once."""

    def __init__(self, *args: typing.Any, **kwargs: typing.Any) -> None:
        self._definitions: dict[typing.Any, typing.Any] = dict(*args, **kwargs)

    def __getitem__(self, key: typing.Any) -> typing.Any:
        return self._definitions[key]

    def __iter__(self) -> typing.Iterator[typing.Any]:
        return iter(self._definitions)

    def __len__(self) -> int:
        return len(self._definitions)

    def __setitem__(self, key: typing.Any, value: typing.Any) -> None:
        assert key not in self._definitions, f"Definition for {key!r} has already been set."
        self._definitions[key] = value

    def __delitem__(self, key: typing.Any) -> None:
        del self._definitions[key]


class Reference(Field):
    """What has the name `to` among the definitions, when a value is checked."""

    errors = {"null": "May not be null."}

    def __init__(self, to: str, definitions: Definitions, **kwargs: typing.Any) -> None:
        super().__init__(**kwargs)
        self.to = to
        self.definitions = definitions

    @property
    def target(self) -> typing.Any:
        """The schema that is meant."""
        return self.definitions[self.to]

    validate = _CheckedField._validate_reference

    def serialize(self, obj: typing.Any) -> typing.Any:
        if obj is None:
            return None
        if isinstance(obj, Mapping) or hasattr(obj, "keys") or hasattr(obj, "__iter__"):
            return dict(obj)
        # An object of a class of the program's own.
        return self.target.serialize(obj)
