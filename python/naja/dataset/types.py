"""The types of columns. `db.types` has them by the original's names.

They are not SQLAlchemy's, which is not loaded for them, but its types can be given in their place, and a type that
SQLAlchemy found in the database is an instance of ours that means the same.
"""

import sys

__all__ = ["ColumnType", "Types"]


class _Kind(type):
    """The class of types: a type of SQLAlchemy's that means the same is an instance."""

    def __instancecheck__(cls, instance):
        if type.__instancecheck__(cls, instance):
            return True
        names = {one.__name__ for one in type(instance).__mro__}
        return "TypeEngine" in names and cls.__name__ in names

    def __repr__(cls):
        return cls.__name__


class ColumnType(metaclass=_Kind):
    """A type of columns."""

    sql = "TEXT"
    # Where an engine calls it otherwise.
    sql_of: dict[str, str] = {}

    def declared(self, engine="sqlite"):
        """Its name in the SQL of an engine: `sqlite`, `postgresql` or `mysql`."""
        return self.sql_of.get(engine, self.sql)

    def __repr__(self):
        return f"{type(self).__name__}()"

    def __eq__(self, other):
        return type(self) is type(other) and self.declared() == other.declared()

    def __hash__(self):
        return hash(self.declared())


class Integer(ColumnType):
    sql = "INTEGER"


class BigInteger(ColumnType):
    sql = "BIGINT"


class Float(ColumnType):
    sql = "FLOAT"
    # MySQL's FLOAT has 24 bits.
    sql_of = {"mysql": "DOUBLE"}


class Boolean(ColumnType):
    sql = "BOOLEAN"


class Date(ColumnType):
    sql = "DATE"


class DateTime(ColumnType):
    sql = "DATETIME"
    sql_of = {"postgresql": "TIMESTAMP WITHOUT TIME ZONE", "mysql": "DATETIME(6)"}


class Time(ColumnType):
    sql = "TIME"
    sql_of = {"postgresql": "TIME WITHOUT TIME ZONE", "mysql": "TIME(6)"}


class JSON(ColumnType):
    sql = "JSON"


class JSONB(JSON):
    """JSON as PostgreSQL keeps it to look into it."""

    sql_of = {"postgresql": "JSONB"}


class LargeBinary(ColumnType):
    sql = "BLOB"
    sql_of = {"postgresql": "BYTEA", "mysql": "LONGBLOB"}


class UnicodeText(ColumnType):
    sql = "TEXT"


class Unicode(ColumnType):
    """Text of at most `length` characters, where the database looks at that."""

    def __init__(self, length=None):
        if length is not None and not (isinstance(length, int) and length > 0):
            raise ValueError(f"the length of a text column is a number above 0, not {length!r}")
        self.length = length

    def declared(self, engine="sqlite"):
        if self.length is None:
            # MySQL's has a length always.
            return "TEXT" if engine == "mysql" else "VARCHAR"
        return f"VARCHAR({self.length})"

    def __repr__(self):
        return f"Unicode({self.length or ''})"


class Numeric(ColumnType):
    """Decimal numbers of `precision` digits, `scale` of them after the point."""

    def __init__(self, precision=None, scale=None):
        self.precision, self.scale = precision, scale

    def declared(self, engine="sqlite"):
        if self.precision is None:
            # MySQL's would hold whole numbers of ten digits.
            return "DECIMAL(65, 30)" if engine == "mysql" else "NUMERIC"
        return f"NUMERIC({int(self.precision)}, {int(self.scale or 0)})"


class Types:
    """The types by name: `db.types.string(25)`."""

    integer = Integer
    string = Unicode
    text = UnicodeText
    float = Float
    bigint = BigInteger
    boolean = Boolean
    date = Date
    datetime = DateTime
    time = Time
    decimal = Numeric
    binary = LargeBinary
    json = JSON

    def __init__(self, is_postgres=None, is_mysql=False):
        self.engine = "postgresql" if is_postgres else "mysql" if is_mysql else "sqlite"
        if is_postgres:
            self.json = JSONB

    def guess(self, sample):
        """The type of a column that is made for a value; a type is taken as it is."""
        import datetime

        if isinstance(sample, ColumnType) or _is_sqlalchemy_type(sample):
            return sample
        if isinstance(sample, type) and (issubclass(sample, ColumnType) or _is_sqlalchemy_class(sample)):
            return sample()
        decimal = sys.modules.get("decimal")
        if decimal is not None and isinstance(sample, decimal.Decimal):
            return self.decimal
        for kind, column in (
            (bool, self.boolean),
            (int, self.bigint),
            (float, self.float),
            (datetime.datetime, self.datetime),
            (datetime.date, self.date),
            (datetime.time, self.time),
            ((dict, list, tuple), self.json),
            ((bytes, bytearray), self.binary),
        ):
            if isinstance(sample, kind):
                return column
        return self.text


def declared(sample, engine="sqlite"):
    """The SQL of the type that a user gave, or of the one for a value of a type that Rust does not know."""
    if isinstance(sample, type) and (issubclass(sample, ColumnType) or _is_sqlalchemy_class(sample)):
        sample = sample()
    if _is_sqlalchemy_type(sample):
        from ._sqlalchemy import declared_type

        return declared_type(sample, engine)
    if isinstance(sample, ColumnType):
        return sample.declared(engine)
    if isinstance(sample, str):
        raise TypeError(f"a type is one of db.types, not the text {sample!r}")
    # Whole numbers of numpy and their like.
    return BigInteger.sql if hasattr(sample, "__index__") else UnicodeText.sql


def _is_sqlalchemy_class(kind):
    module = sys.modules.get("sqlalchemy.types")
    return module is not None and issubclass(kind, module.TypeEngine)


def _is_sqlalchemy_type(sample):
    module = sys.modules.get("sqlalchemy.types")
    return module is not None and type.__instancecheck__(module.TypeEngine, sample)
