"""orm, in Rust: `import naja.orm as orm` instead of `import orm`.

    database = databases.Database("sqlite:///notes.db")
    models = orm.ModelRegistry(database=database)

    class Note(orm.Model):
        registry = models
        fields = {
            "id": orm.Integer(primary_key=True),
            "text": orm.String(max_length=100),
            "done": orm.Boolean(default=False),
        }

    await models.create_all()
    await Note.objects.create(text="Buy the groceries.")
    note = await Note.objects.get(id=1)

SQLAlchemy is not needed. Where a program asks for one of its objects (`Note.table`, `models.metadata`), it is loaded then.
"""

from .constants import CASCADE, RESTRICT, SET_NULL
from .exceptions import FieldError, MultipleMatches, NoMatch
from .fields import (
    JSON,
    URL,
    UUID,
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Decimal,
    Email,
    Enum,
    Float,
    ForeignKey,
    Integer,
    IPAddress,
    OneToOne,
    String,
    Text,
    Time,
)
from .models import Model, ModelRegistry, QuerySet
from .relations import Links, ManyToMany
from .typed import TypedModel, field

__version__ = "0.3.1"
__all__ = [
    "CASCADE",
    "RESTRICT",
    "SET_NULL",
    "NoMatch",
    "MultipleMatches",
    "FieldError",
    "BigInteger",
    "Boolean",
    "Date",
    "DateTime",
    "Decimal",
    "Email",
    "Enum",
    "Float",
    "ForeignKey",
    "Integer",
    "IPAddress",
    "JSON",
    "Links",
    "ManyToMany",
    "OneToOne",
    "String",
    "Text",
    "Time",
    "URL",
    "UUID",
    "Model",
    "ModelRegistry",
    "QuerySet",
    "TypedModel",
    "field",
]
