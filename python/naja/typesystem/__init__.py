"""typesystem, in Rust: `import naja.typesystem as typesystem` instead of `import typesystem`.

Fields are checked in Rust as long as their classes are the ones below; a subclass is asked wherever it has something
of its own to say.
"""

import typing

from .base import Message, ParseError, Position, ValidationError
from .fields import (
    URL,
    UUID,
    Any,
    Array,
    Boolean,
    Choice,
    Date,
    DateTime,
    Decimal,
    Email,
    Field,
    Float,
    Integer,
    IPAddress,
    Number,
    Object,
    Password,
    String,
    Text,
    Time,
    Union,
)
from .forms import Jinja2Forms
from .json_schema import from_json_schema, to_json_schema
from .schemas import Definitions, Reference, Schema
from .tokenize.positional_validation import validate_with_positions
from .tokenize.tokenize_json import tokenize_json, validate_json
from .tokenize.tokenize_yaml import tokenize_yaml, validate_yaml

if typing.TYPE_CHECKING:
    from .classes import schema_of

__version__ = "0.4.1"
__all__ = [
    "Array",
    "Any",
    "Boolean",
    "Choice",
    "Date",
    "DateTime",
    "Decimal",
    "Email",
    "Integer",
    "IPAddress",
    "Jinja2Forms",
    "Field",
    "Float",
    "Number",
    "Object",
    "Password",
    "Reference",
    "String",
    "Text",
    "Time",
    "Union",
    "URL",
    "UUID",
    # Schemas
    "Schema",
    "Definitions",
    # Errors
    "ParseError",
    "ValidationError",
    "Message",
    "Position",
    # JSON Schema
    "from_json_schema",
    "to_json_schema",
    # Errors with places
    "tokenize_json",
    "tokenize_yaml",
    "validate_json",
    "validate_yaml",
    "validate_with_positions",
    # Not in the original
    "schema_of",
]


def __getattr__(name: str) -> typing.Any:
    # Dataclasses are imported by who asks for them.
    if name == "schema_of":
        from .classes import schema_of

        return schema_of
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
