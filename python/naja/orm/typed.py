"""Models whose fields are annotations, so that an editor knows them.

    class Album(orm.TypedModel, registry=models):
        id: int = orm.field(primary_key=True)
        name: str = orm.field(max_length=100)
        released: date | None = None
"""

import builtins
import datetime
import decimal
import enum
import ipaddress
import sys
import types
import typing
import uuid

from . import fields
from .models import Model
from .relations import ManyToMany

_NOTHING: typing.Any = object()


class Declared:
    """What `field` was given."""

    def __init__(self, default: typing.Any, default_factory: typing.Any, options: dict) -> None:
        self.default = default
        self.default_factory = default_factory
        self.options = options


def field(
    *,
    default: typing.Any = _NOTHING,
    default_factory: typing.Optional[typing.Callable[[], typing.Any]] = None,
    init: bool = True,
    **options: typing.Any,
) -> typing.Any:
    """The options of a field whose class the annotation says: `max_length`, `primary_key`, `index`, …

    `init` says to editors whether `create` takes the field; it changes nothing else.
    """
    return Declared(default, default_factory, options)


# Which field an annotation means. A bool is an int and a datetime is a date: the order counts.
_FIELDS: typing.List[typing.Tuple[type, typing.Callable[..., fields.ModelField]]] = [
    (bool, fields.Boolean),
    (int, fields.Integer),
    (float, fields.Float),
    (decimal.Decimal, fields.Decimal),
    (datetime.datetime, fields.DateTime),
    (datetime.date, fields.Date),
    (datetime.time, fields.Time),
    (uuid.UUID, fields.UUID),
    (ipaddress.IPv4Address, fields.IPAddress),
    (ipaddress.IPv6Address, fields.IPAddress),
    (dict, fields.JSON),
    (list, fields.JSON),
]


class TypedModel(Model):
    """A row. A subclass has a registry, and its fields are its annotations.

    Unlike `Model`, it refuses names that it does not have wherever rows are made and changed, and an instance that is
    made by hand has its defaults.
    """

    _is_strict = True

    @staticmethod
    def _declare(name: str, attrs: dict) -> None:
        """Makes `fields` of the annotations and of fields that stand without one."""
        made = dict(attrs.get("fields", {}))
        names = _Names(attrs)
        for key, annotation in _annotations(attrs).items():
            annotation = names.read(annotation)
            if key.startswith("_") or typing.get_origin(annotation) is typing.ClassVar or annotation is typing.ClassVar:
                continue
            made[key] = _field_of(f"{name}.{key}", annotation, attrs.pop(key, _NOTHING))
        for key, value in list(attrs.items()):
            if isinstance(value, (fields.ModelField, ManyToMany)):
                made[key] = attrs.pop(key)
        attrs["fields"] = made


class _Names(dict):
    """What annotations in text may name. A name that is not there yet is that of a model that comes later."""

    def __init__(self, attrs: dict) -> None:
        super().__init__(attrs)
        module = sys.modules.get(attrs.get("__module__", ""))
        self._globals = {} if module is None else vars(module)

    def __missing__(self, name: str) -> typing.Any:
        if name in self._globals:
            return self._globals[name]
        if hasattr(builtins, name):
            return getattr(builtins, name)
        return typing.ForwardRef(name)

    def read(self, annotation: typing.Any) -> typing.Any:
        if isinstance(annotation, typing.ForwardRef):
            annotation = annotation.__forward_arg__
        # An annotation is code of the class that has it.
        return eval(annotation, {}, self) if isinstance(annotation, str) else annotation


def _annotations(attrs: dict) -> typing.Dict[str, typing.Any]:
    if "__annotations__" in attrs:
        return attrs["__annotations__"]
    if sys.version_info >= (3, 14):
        import annotationlib

        annotate = annotationlib.get_annotate_from_class_namespace(attrs)
        if annotate is not None:
            return annotationlib.call_annotate_function(annotate, annotationlib.Format.FORWARDREF)
    return {}


def _field_of(place: str, annotation: typing.Any, value: typing.Any) -> typing.Any:
    """The field for an annotation and what is assigned to it."""
    if isinstance(value, (fields.ModelField, ManyToMany)):
        return value
    options: dict = {}
    if isinstance(value, Declared):
        options = dict(value.options)
        if value.default is not _NOTHING:
            options["default"] = value.default
        elif value.default_factory is not None:
            options["default"] = value.default_factory
    elif value is not _NOTHING:
        options["default"] = value
    made = None
    if typing.get_origin(annotation) is typing.Annotated:
        annotation, *others = typing.get_args(annotation)
        made = next((one for one in others if isinstance(one, (fields.ModelField, ManyToMany))), None)
    annotation, is_nullable = _without_none(annotation)
    if made is not None:
        return _with_options(place, made, options, is_nullable)
    if is_nullable:
        options["allow_null"] = True
    if "default" in options and options["default"] is None and is_nullable:
        del options["default"]
    return _made(place, annotation, options)


def _without_none(annotation: typing.Any) -> typing.Tuple[typing.Any, bool]:
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return annotation, False
    members = typing.get_args(annotation)
    others = [one for one in members if one is not type(None)]
    if all(one in (ipaddress.IPv4Address, ipaddress.IPv6Address) for one in others):
        return ipaddress.IPv4Address, len(others) < len(members)
    return (others[0] if len(others) == 1 else annotation), len(others) < len(members)


def _with_options(place: str, made: typing.Any, options: dict, is_nullable: bool) -> typing.Any:
    """A field that stands in `Annotated`, with what the rest of the line says."""
    if isinstance(made, ManyToMany):
        return made
    unknown = [name for name in options if name not in ("default", "primary_key", "index", "unique")]
    if unknown:
        raise TypeError(f"{place}: {', '.join(unknown)} belong into {type(made).__name__}(...)")
    validator = made.validator
    if is_nullable and not made.allow_null:
        made.allow_null = validator.allow_null = True
        if not validator.has_default():
            validator.default = None
    if "default" in options:
        validator.default = options["default"]
    for name in ("primary_key", "index", "unique"):
        if name in options:
            setattr(made, name, options[name])
    if made.primary_key:
        validator.read_only = True
    return made


def _made(place: str, annotation: typing.Any, options: dict) -> fields.ModelField:
    if annotation is str:
        return (fields.String if "max_length" in options else fields.Text)(**options)
    if isinstance(annotation, typing.ForwardRef):
        return _reference(annotation.__forward_arg__, options)
    if annotation is typing.Any or typing.get_origin(annotation) in (dict, list):
        return fields.JSON(**options)
    if isinstance(annotation, type):
        if issubclass(annotation, Model):
            return _reference(annotation, options)
        if issubclass(annotation, enum.Enum):
            return fields.Enum(annotation, **options)
        for kind, make in _FIELDS:
            if annotation is kind:
                return make(**options)
    raise TypeError(
        f"{place}: no field is known for {annotation!r}; say which one by Annotated[..., orm.String(...)], or mark it as "
        "ClassVar"
    )


def _reference(to: typing.Any, options: dict) -> fields.ForeignKey:
    options.pop("default", None)
    kind = fields.OneToOne if options.pop("unique", False) else fields.ForeignKey
    return kind(to, **options)
