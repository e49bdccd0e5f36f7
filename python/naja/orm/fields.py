"""Fields: what a column of a model holds, and what its values have to be.

A field has a `validator`, which is a field of `typesystem`. SQLAlchemy's columns are made of fields only for a program
that asks for them.
"""

import typing
from datetime import date, datetime

from naja import typesystem
from naja._native import db

from .exceptions import FieldError

# What a database can do with rows whose reference is removed.
_ON_DELETE = ("CASCADE", "RESTRICT", "SET NULL", "SET DEFAULT", "NO ACTION")


def _sqlalchemy() -> typing.Any:
    try:
        import sqlalchemy
    except ImportError as error:
        raise ImportError(
            "this needs SQLAlchemy, which naja.orm does without otherwise; install `sqlalchemy`"
        ) from error
    return sqlalchemy


class ModelField:
    """What all fields have."""

    # What naja calls this kind of column; a class of the program's own says it by `get_column_type`.
    _kind = ""
    # The model that the field belongs to, and its name there: set when the class is made.
    _place = "a field"
    registry: typing.Any = None

    def __init__(
        self, primary_key: bool = False, index: bool = False, unique: bool = False, **kwargs: typing.Any
    ) -> None:
        if primary_key:
            kwargs["read_only"] = True
        self.allow_null = kwargs.get("allow_null", False)
        self.primary_key = primary_key
        self.index = index
        self.unique = unique
        self.validator = self.get_validator(**kwargs)

    def get_validator(self, **kwargs: typing.Any) -> typing.Any:
        """The field of `typesystem` that checks values."""
        raise NotImplementedError(f"{type(self).__name__} has no get_validator")

    def get_column_type(self) -> typing.Any:
        """SQLAlchemy's type of the column."""
        raise NotImplementedError(f"{type(self).__name__} has no get_column_type")

    def get_constraints(self) -> list:
        return []

    def get_column(self, name: str) -> typing.Any:
        """SQLAlchemy's column."""
        return _sqlalchemy().Column(
            name,
            self.get_column_type(),
            *self.get_constraints(),
            primary_key=self.primary_key,
            nullable=self.allow_null and not self.primary_key,
            index=self.index,
            unique=self.unique,
        )

    def expand_relationship(self, value: typing.Any) -> typing.Any:
        """What an attribute becomes that is set to a value."""
        return value

    def _is_own(self) -> bool:
        """Whether the program has said itself what the column is."""
        return type(self).get_column_type not in _OURS

    def _describe(self, name: str, dialect: str) -> tuple:
        """All that `naja._native` has to know of a column."""
        kind, detail, declared = self._kind, self._detail(), None
        if self._is_own():
            from ._sqlalchemy import own_type

            kind, (declared, *functions) = "own", own_type(self.get_column_type(), dialect)
            detail = tuple(functions)
        length, scale = self._sizes()
        marks = (
            bool(self.allow_null and not self.primary_key),
            bool(self.index),
            bool(self.unique),
            bool(self.primary_key),
            isinstance(self, (String, Text)),
        )
        return (name, self, kind, length, scale, detail, self._names(), declared, marks, self._on_delete())

    def _detail(self) -> typing.Any:
        return None

    def _sizes(self) -> typing.Tuple[int, int]:
        return 0, 0

    def _names(self) -> typing.Any:
        return None

    def _on_delete(self) -> typing.Optional[str]:
        return None


class String(ModelField):
    """Text of at most `max_length` characters."""

    _kind = "string"

    def __init__(self, **kwargs: typing.Any) -> None:
        assert "max_length" in kwargs, "max_length is required"
        super().__init__(**kwargs)

    def get_validator(self, **kwargs: typing.Any) -> typing.Any:
        return typesystem.String(**kwargs)

    def get_column_type(self) -> typing.Any:
        return _sqlalchemy().String(length=self.validator.max_length)

    def _sizes(self) -> typing.Tuple[int, int]:
        return self.validator.max_length, 0


class Text(ModelField):
    """Text of any length."""

    _kind = "text"

    def get_validator(self, **kwargs: typing.Any) -> typing.Any:
        return typesystem.Text(**kwargs)

    def get_column_type(self) -> typing.Any:
        return _sqlalchemy().Text()


class Integer(ModelField):
    """An `int`."""

    _kind = "integer"

    def get_validator(self, **kwargs: typing.Any) -> typing.Any:
        return typesystem.Integer(**kwargs)

    def get_column_type(self) -> typing.Any:
        return _sqlalchemy().Integer()


class BigInteger(ModelField):
    """An `int` of 64 bits."""

    _kind = "biginteger"

    def get_validator(self, **kwargs: typing.Any) -> typing.Any:
        return typesystem.Integer(**kwargs)

    def get_column_type(self) -> typing.Any:
        return _sqlalchemy().BigInteger()


class Float(ModelField):
    """A `float`."""

    _kind = "float"

    def get_validator(self, **kwargs: typing.Any) -> typing.Any:
        return typesystem.Float(**kwargs)

    def get_column_type(self) -> typing.Any:
        return _sqlalchemy().Float()


class Boolean(ModelField):
    """A `bool`."""

    _kind = "boolean"

    def get_validator(self, **kwargs: typing.Any) -> typing.Any:
        return typesystem.Boolean(**kwargs)

    def get_column_type(self) -> typing.Any:
        return _sqlalchemy().Boolean()


class AutoNowMixin(ModelField):
    """What can set itself to now: with `auto_now` at every change, with `auto_now_add` when the row is made."""

    def __init__(self, auto_now: bool = False, auto_now_add: bool = False, **kwargs: typing.Any) -> None:
        if auto_now and auto_now_add:
            raise ValueError("auto_now and auto_now_add cannot be both True")
        self.auto_now = auto_now
        self.auto_now_add = auto_now_add
        if auto_now or auto_now_add:
            kwargs["read_only"] = True
        super().__init__(**kwargs)


class DateTime(AutoNowMixin):
    """A `datetime`, without a zone."""

    _kind = "datetime"

    def get_validator(self, **kwargs: typing.Any) -> typing.Any:
        if self.auto_now or self.auto_now_add:
            kwargs["default"] = datetime.now
        return typesystem.DateTime(**kwargs)

    def get_column_type(self) -> typing.Any:
        return _sqlalchemy().DateTime()


class Date(AutoNowMixin):
    """A `date`."""

    _kind = "date"

    def get_validator(self, **kwargs: typing.Any) -> typing.Any:
        if self.auto_now or self.auto_now_add:
            kwargs["default"] = date.today
        return typesystem.Date(**kwargs)

    def get_column_type(self) -> typing.Any:
        return _sqlalchemy().Date()


class Time(ModelField):
    """A `time`."""

    _kind = "time"

    def get_validator(self, **kwargs: typing.Any) -> typing.Any:
        return typesystem.Time(**kwargs)

    def get_column_type(self) -> typing.Any:
        return _sqlalchemy().Time()


class JSON(ModelField):
    """Whatever JSON can say."""

    _kind = "json"

    def get_validator(self, **kwargs: typing.Any) -> typing.Any:
        return typesystem.Any(**kwargs)

    def get_column_type(self) -> typing.Any:
        return _sqlalchemy().JSON()


class ForeignKey(ModelField):
    """The key of a row of another model; the attribute is an instance of that model."""

    _kind = "relation"

    class ForeignKeyValidator(typesystem.Field):
        errors = {"null": "May not be null."}
        _relation: typing.Any = None

        def validate(self, value: typing.Any) -> typing.Any:
            if value is None:
                if self.allow_null:
                    return None
                raise self.validation_error("null")
            return self._relation._key_of(value)

    def __init__(self, to: typing.Any, allow_null: bool = False, on_delete: typing.Optional[str] = None) -> None:
        if on_delete is not None and on_delete.upper() not in _ON_DELETE:
            raise ValueError(f"on_delete is one of {', '.join(_ON_DELETE)}, and not {on_delete!r}")
        super().__init__(allow_null=allow_null)
        self.validator._relation = self
        self.to = to
        self.on_delete = on_delete

    @property
    def target(self) -> typing.Any:
        """The model that it refers to."""
        if not hasattr(self, "_target"):
            self._target = model_named(self.registry, self.to, self._place) if isinstance(self.to, str) else self.to
        return self._target

    def get_validator(self, **kwargs: typing.Any) -> typing.Any:
        return self.ForeignKeyValidator(**kwargs)

    def get_column_type(self) -> typing.Any:
        target = self.target
        return target.fields[target.pkname].get_column_type()

    def get_constraints(self) -> list:
        target = self.target
        return [_sqlalchemy().ForeignKey(f"{target.tablename}.{target.pkname}", ondelete=self.on_delete)]

    def expand_relationship(self, value: typing.Any) -> typing.Any:
        target = self.target
        return value if isinstance(value, target) else target(pk=value)

    def _key_of(self, value: typing.Any) -> typing.Any:
        """The key of an instance; what is none is a key already."""
        from .models import Model, mapper_of

        return mapper_of(self.target).key_value(value) if isinstance(value, Model) else value

    def _on_delete(self) -> typing.Optional[str]:
        return self.on_delete


class OneToOne(ForeignKey):
    """The key of a row of another model that no other row has."""

    def __init__(self, to: typing.Any, allow_null: bool = False, on_delete: typing.Optional[str] = None) -> None:
        super().__init__(to, allow_null=allow_null, on_delete=on_delete)
        self.unique = True


class Enum(ModelField):
    """A member of an enumeration, stored by its name."""

    _kind = "enum"

    def __init__(self, enum: typing.Any, **kwargs: typing.Any) -> None:
        super().__init__(**kwargs)
        self.enum = enum

    def get_validator(self, **kwargs: typing.Any) -> typing.Any:
        return typesystem.Any(**kwargs)

    def get_column_type(self) -> typing.Any:
        return _sqlalchemy().Enum(self.enum)

    def _detail(self) -> typing.Any:
        return self.enum

    def _names(self) -> typing.Any:
        return self.enum.__name__.lower(), [member.name for member in self.enum]


class Decimal(ModelField):
    """A `Decimal` of `max_digits` digits, `decimal_places` of them after the point."""

    _kind = "decimal"

    def __init__(self, max_digits: int, decimal_places: int, **kwargs: typing.Any) -> None:
        assert max_digits, "max_digits is required"
        assert decimal_places is not None, "decimal_places is required"
        self.max_digits = max_digits
        self.decimal_places = decimal_places
        super().__init__(**kwargs)

    def get_validator(self, **kwargs: typing.Any) -> typing.Any:
        return typesystem.Decimal(**kwargs)

    def get_column_type(self) -> typing.Any:
        return _sqlalchemy().Numeric(precision=self.max_digits, scale=self.decimal_places)

    def _sizes(self) -> typing.Tuple[int, int]:
        return self.max_digits, self.decimal_places


class UUID(ModelField):
    """A `UUID`."""

    _kind = "uuid"

    def get_validator(self, **kwargs: typing.Any) -> typing.Any:
        return typesystem.UUID(**kwargs)

    def get_column_type(self) -> typing.Any:
        from .sqlalchemy_fields import GUID

        return GUID()


class Email(String):
    """A mail address of at most `max_length` characters."""

    def get_validator(self, **kwargs: typing.Any) -> typing.Any:
        return typesystem.Email(**kwargs)


class IPAddress(ModelField):
    """An `IPv4Address` or an `IPv6Address`."""

    _kind = "ipaddress"

    def get_validator(self, **kwargs: typing.Any) -> typing.Any:
        return typesystem.IPAddress(**kwargs)

    def get_column_type(self) -> typing.Any:
        from .sqlalchemy_fields import GenericIP

        return GenericIP()


class URL(String):
    """A URL of at most `max_length` characters."""

    def get_validator(self, **kwargs: typing.Any) -> typing.Any:
        return typesystem.URL(**kwargs)


def model_named(registry: typing.Any, name: str, place: str) -> typing.Any:
    """The model of a registry by its name; `place` is who asks for it."""
    models = {} if registry is None else registry.models
    if name in models:
        return models[name]
    near = db.orm.nearest(name, list(models))
    meant = f"; did you mean {near!r}?" if near else ""
    raise FieldError(f"{place} refers to {name!r}, and the registry has no model of that name{meant}")


# The functions by which a class says nothing of its own about its column.
_OURS = {
    one.get_column_type
    for one in (
        *(String, Text, Integer, BigInteger, Float, Boolean, DateTime, Date, Time, JSON, ForeignKey, Enum, Decimal),
        *(UUID, IPAddress),
    )
}
