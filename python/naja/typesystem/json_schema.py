"""Fields from JSON Schema, draft 7, and JSON Schema from fields."""

from __future__ import annotations

import re
import typing

from .composites import AllOf, IfThenElse, NeverMatch, Not, OneOf
from .fields import (
    NO_DEFAULT,
    Any,
    Array,
    Boolean,
    Choice,
    Const,
    Decimal,
    Field,
    Float,
    Integer,
    Number,
    Object,
    String,
    Union,
)
from .schemas import Definitions, Reference, Schema

# The keywords of each type: what stands behind them is an argument of the type's field.
_NUMBER_KEYWORDS = {
    "minimum": "minimum",
    "maximum": "maximum",
    "exclusiveMinimum": "exclusive_minimum",
    "exclusiveMaximum": "exclusive_maximum",
    "multipleOf": "multiple_of",
}
_ARRAY_KEYWORDS = {
    "minItems": "min_items",
    "maxItems": "max_items",
    "items": "items",
    "additionalItems": "additional_items",
}
_OBJECT_KEYWORDS = {
    "properties": "properties",
    "patternProperties": "pattern_properties",
    "additionalProperties": "additional_properties",
    "propertyNames": "property_names",
    "maxProperties": "max_properties",
    "minProperties": "min_properties",
    "required": "required",
}

TYPE_CONSTRAINTS = {
    *_NUMBER_KEYWORDS,
    *_ARRAY_KEYWORDS,
    *_OBJECT_KEYWORDS,
    "boolean_schema",
    "contains",
    "dependencies",
    "maxLength",
    "minLength",
    "pattern",
    "type",
    "uniqueItems",
}

definitions = Definitions()
_ANY_SCHEMA = Reference("JSONSchema", definitions=definitions)
_SCHEMAS_BY_NAME = Object(additional_properties=_ANY_SCHEMA)
_COUNT = Integer(minimum=0)

JSONSchema = (
    Object(
        properties={
            "$ref": String(),
            "type": String() | Array(items=String()),
            "enum": Array(unique_items=True, min_items=1),
            "definitions": _SCHEMAS_BY_NAME,
            # Strings.
            "minLength": _COUNT,
            "maxLength": _COUNT,
            "pattern": String(format="regex"),
            "format": String(),
            # Numbers.
            **{name: Number() for name in _NUMBER_KEYWORDS if name != "multipleOf"},
            "multipleOf": Number(exclusive_minimum=0),
            # Objects.
            "properties": _SCHEMAS_BY_NAME,
            "minProperties": _COUNT,
            "maxProperties": _COUNT,
            "patternProperties": _SCHEMAS_BY_NAME,
            "additionalProperties": _ANY_SCHEMA | Boolean(),
            "required": Array(items=String(), unique_items=True),
            # Arrays.
            "items": _ANY_SCHEMA | Array(items=_ANY_SCHEMA, min_items=1),
            "additionalItems": _ANY_SCHEMA | Boolean(),
            "minItems": _COUNT,
            "maxItems": _COUNT,
            "uniqueItems": Boolean(),
        }
    )
    | Boolean()
)

definitions["JSONSchema"] = JSONSchema


def from_json_schema(data: bool | dict, definitions: Definitions | None = None) -> Field:
    """The field for a schema. References are looked up among the definitions, by default the schema's components."""
    if isinstance(data, bool):
        return Any() if data else NeverMatch()
    if definitions is None:
        definitions = Definitions()
        for key, value in data.get("components", {}).get("schemas", {}).items():
            definitions[f"#/components/schemas/{key}"] = from_json_schema(value, definitions=definitions)
    if "$ref" in data:
        return ref_from_json_schema(data, definitions=definitions)
    constraints = []
    if not TYPE_CONSTRAINTS.isdisjoint(data):
        constraints.append(type_from_json_schema(data, definitions=definitions))
    constraints += [read(data, definitions) for keyword, read in _READERS.items() if keyword in data]
    if not constraints:
        return Any()
    return constraints[0] if len(constraints) == 1 else AllOf(constraints)


def type_from_json_schema(data: dict, definitions: Definitions) -> Field:
    """The field for the types of a schema, or one for any of them."""
    type_strings, allow_null = get_valid_types(data)
    if not type_strings:
        return Const(None) if allow_null else NeverMatch()
    if len(type_strings) == 1:
        return from_json_schema_type(data, type_strings.pop(), allow_null, definitions)
    # In one order, whatever the order of a set is today.
    fields = [
        from_json_schema_type(data, type_string, False, definitions) for type_string in sorted(type_strings)
    ]
    return Union(any_of=fields, allow_null=allow_null)


def get_valid_types(data: dict) -> tuple[set[str], bool]:
    """The types of a schema without "null", and whether that is among them."""
    types = data.get("type", [])
    names = {types} if isinstance(types, str) else set(types)
    if not names:
        names = {"null", "boolean", "object", "array", "number", "string"}
    if "number" in names:
        names.discard("integer")
    return names - {"null"}, "null" in names


def _default(data: dict) -> typing.Any:
    return data.get("default", NO_DEFAULT)


def _field_or_switch(data: typing.Any, definitions: Definitions) -> typing.Any:
    return data if data is None or isinstance(data, bool) else from_json_schema(data, definitions=definitions)


def _fields_by_name(data: dict | None, definitions: Definitions) -> dict[str, Field] | None:
    if data is None:
        return None
    return {key: from_json_schema(value, definitions=definitions) for key, value in data.items()}


def from_json_schema_type(data: dict, type_string: str, allow_null: bool, definitions: Definitions) -> Field:
    """The field for one type of a schema."""
    common: dict[str, typing.Any] = {"allow_null": allow_null, "default": _default(data)}
    if type_string in ("number", "integer"):
        bounds = {argument: data.get(keyword) for keyword, argument in _NUMBER_KEYWORDS.items()}
        return {"number": Float, "integer": Integer}[type_string](coerce_types=False, **bounds, **common)
    if type_string == "string":
        min_length = data.get("minLength", 0)
        return String(
            allow_blank=min_length == 0,
            min_length=min_length if min_length > 1 else None,
            max_length=data.get("maxLength"),
            format=data.get("format"),
            pattern=data.get("pattern"),
            coerce_types=False,
            **common,
        )
    if type_string == "boolean":
        return Boolean(coerce_types=False, **common)
    if type_string == "array":
        items = data.get("items")
        if isinstance(items, list):
            items = [from_json_schema(item, definitions=definitions) for item in items]
        elif items is not None:
            items = from_json_schema(items, definitions=definitions)
        additional = _field_or_switch(data.get("additionalItems"), definitions)
        return Array(
            items=items,
            additional_items=True if additional is None else additional,
            min_items=data.get("minItems", 0),
            max_items=data.get("maxItems"),
            unique_items=data.get("uniqueItems", False),
            **common,
        )
    if type_string == "object":
        names = data.get("propertyNames")
        return Object(
            properties=_fields_by_name(data.get("properties"), definitions),
            pattern_properties=_fields_by_name(data.get("patternProperties"), definitions),
            additional_properties=_field_or_switch(data.get("additionalProperties"), definitions),
            property_names=None if names is None else from_json_schema(names, definitions=definitions),
            min_properties=data.get("minProperties"),
            max_properties=data.get("maxProperties"),
            required=data.get("required"),
            **common,
        )
    raise AssertionError(f"Invalid argument type_string={type_string!r}")


def ref_from_json_schema(data: dict, definitions: Definitions) -> Field:
    """The reference of a schema to another one."""
    to = data["$ref"]
    assert to.startswith("#/"), "Unsupported $ref style in document."
    return Reference(to=to, definitions=definitions)


def _several(data: list, definitions: Definitions) -> list[Field]:
    return [from_json_schema(item, definitions=definitions) for item in data]


def enum_from_json_schema(data: dict, definitions: Definitions) -> Field:
    """The field for one of several values."""
    return Choice(choices=[(item, item) for item in data["enum"]], default=_default(data))


def const_from_json_schema(data: dict, definitions: Definitions) -> Field:
    """The field for one value."""
    return Const(const=data["const"], default=_default(data))


def all_of_from_json_schema(data: dict, definitions: Definitions) -> Field:
    """The field for what all of several schemas take."""
    return AllOf(all_of=_several(data["allOf"], definitions), default=_default(data))


def any_of_from_json_schema(data: dict, definitions: Definitions) -> Field:
    """The field for what any of several schemas takes."""
    return Union(any_of=_several(data["anyOf"], definitions), default=_default(data))


def one_of_from_json_schema(data: dict, definitions: Definitions) -> Field:
    """The field for what exactly one of several schemas takes."""
    return OneOf(one_of=_several(data["oneOf"], definitions), default=_default(data))


def not_from_json_schema(data: dict, definitions: Definitions) -> Field:
    """The field for what a schema does not take."""
    return Not(negated=from_json_schema(data["not"], definitions=definitions), default=_default(data))


def if_then_else_from_json_schema(data: dict, definitions: Definitions) -> Field:
    """The field for what one schema takes, if another takes it."""
    clauses = {
        f"{keyword}_clause": from_json_schema(data[keyword], definitions=definitions) if keyword in data else None
        for keyword in ("if", "then", "else")
    }
    return IfThenElse(default=_default(data), **clauses)  # type: ignore[arg-type]


# What is read beside the types, by the keyword that asks for it.
_READERS = {
    "enum": enum_from_json_schema,
    "const": const_from_json_schema,
    "allOf": all_of_from_json_schema,
    "anyOf": any_of_from_json_schema,
    "oneOf": one_of_from_json_schema,
    "not": not_from_json_schema,
    "if": if_then_else_from_json_schema,
}


def to_json_schema(arg: Field | Definitions, _definitions: dict | None = None) -> bool | dict:
    """The schema of a field, or of definitions; what it refers to is among its components."""
    if isinstance(arg, Any):
        return True
    if isinstance(arg, NeverMatch):
        return False
    components = {} if _definitions is None else _definitions
    data: dict = {}
    if isinstance(arg, Definitions):
        for key, value in arg.items():
            components[key] = to_json_schema(value, _definitions=components)
    elif isinstance(arg, Reference):
        data["$ref"] = f"#/components/schemas/{arg.to}"
        if arg.to not in components:
            # It may refer to itself.
            components[arg.to] = True
            components[arg.to] = to_json_schema(arg.target, _definitions=components)
    elif isinstance(arg, Field):
        data = _field_to_json_schema(arg, components)
    if _definitions is None and components:
        data["components"] = {"schemas": components}
    return data


def _field_to_json_schema(field: Field, components: dict) -> dict:
    for kind, write in _WRITERS:
        if isinstance(field, kind):
            return write(field, components)
    raise ValueError(f"Cannot convert field type {type(field).__qualname__!r} to JSON Schema")


def _typed(name: str, field: Field) -> dict:
    return {"type": [name, "null"] if field.allow_null else name, **get_standard_properties(field)}


def _written(value: typing.Any, components: dict) -> typing.Any:
    """An argument of a field as its keyword has it."""
    if isinstance(value, Field):
        return to_json_schema(value, _definitions=components)
    if isinstance(value, dict):
        return {key: _written(one, components) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_written(one, components) for one in value]
    return value


def _keywords(field: Field, keywords: dict[str, str], components: dict) -> dict:
    given = ((keyword, getattr(field, argument)) for keyword, argument in keywords.items())
    return {keyword: _written(value, components) for keyword, value in given if value is not None}


def _string_to(field: String, components: dict) -> dict:
    data = _typed("string", field)
    if field.min_length is not None or not field.allow_blank:
        data["minLength"] = field.min_length or 1
    if field.max_length is not None:
        data["maxLength"] = field.max_length
    if field.pattern_regex is not None:
        flags = re.RegexFlag(field.pattern_regex.flags)
        if flags != re.RegexFlag.UNICODE:
            raise ValueError(
                f"Cannot convert regular expression with non-standard flags to JSON schema: {flags!s}"
            )
        data["pattern"] = field.pattern_regex.pattern
    if field.format is not None:
        data["format"] = field.format
    return data


def _number_to(field: Number, components: dict) -> dict:
    name = "integer" if isinstance(field, Integer) else "number"
    return {**_typed(name, field), **_keywords(field, _NUMBER_KEYWORDS, components)}


def _array_to(field: Array, components: dict) -> dict:
    data = {**_typed("array", field), **_keywords(field, _ARRAY_KEYWORDS, components)}
    return {**data, "uniqueItems": True} if field.unique_items is not False else data


def _object_to(field: Object, components: dict) -> dict:
    data = {**_typed("object", field), **_keywords(field, _OBJECT_KEYWORDS, components)}
    for keyword in ("properties", "patternProperties", "required"):
        if not data[keyword]:
            del data[keyword]
    return data


def _schema_to(field: Schema, components: dict) -> dict:
    data = _typed("object", field)
    if field.fields:
        data["properties"] = _written(field.fields, components)
    if field.required:
        data["required"] = field.required
    return data


def _choice_to(field: Choice, components: dict) -> dict:
    return {"enum": [key for key, _ in field.choices], **get_standard_properties(field)}


def _const_to(field: Const, components: dict) -> dict:
    return {"const": field.const, **get_standard_properties(field)}


def _composite_to(**keywords: str) -> typing.Callable[[typing.Any, dict], dict]:
    """Writes a field that has nothing but other fields."""
    named = {keyword.rstrip("_"): argument for keyword, argument in keywords.items()}
    return lambda field, components: {**_keywords(field, named, components), **get_standard_properties(field)}


# The first class that a field is of.
_WRITERS: list[tuple[typing.Any, typing.Callable[[typing.Any, dict], dict]]] = [
    (String, _string_to),
    ((Integer, Float, Decimal), _number_to),
    (Boolean, lambda field, components: _typed("boolean", field)),
    (Array, _array_to),
    (Object, _object_to),
    (Schema, _schema_to),
    (Choice, _choice_to),
    (Const, _const_to),
    (Union, _composite_to(anyOf="any_of")),
    (OneOf, _composite_to(oneOf="one_of")),
    (AllOf, _composite_to(allOf="all_of")),
    (IfThenElse, _composite_to(if_="if_clause", then="then_clause", else_="else_clause")),
    (Not, _composite_to(not_="negated")),
]


def get_standard_properties(field: Field) -> dict:
    """What a schema of any field may have."""
    return {"default": field.default} if field.has_default() else {}
