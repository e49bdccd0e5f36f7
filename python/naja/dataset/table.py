"""A table: rows in, rows out."""

from naja._native import db as _db

from .types import BigInteger, Integer, declared

# What `create_column` understands beside SQLAlchemy's own; each becomes a part of the column's SQL.
_COLUMN_OPTIONS = ("nullable", "unique", "default", "server_default", "index", "foreign_key")


class Table(_db.Table):
    """Rows of a table; the table and its columns are made when they are needed.

    `insert`, `find` and all others that read and write rows are native and described there.
    """

    PRIMARY_DEFAULT = "id"

    def __new__(
        cls,
        database,
        table_name,
        primary_id=None,
        primary_type=None,
        primary_increment=None,
        auto_create=False,
    ):
        key_type = Integer if primary_type is None else primary_type
        kind = key_type if isinstance(key_type, type) else type(key_type)
        is_whole = kind.__name__ in (Integer.__name__, BigInteger.__name__)
        key = cls.PRIMARY_DEFAULT if primary_id is None else primary_id
        counts_up = is_whole if primary_increment is None else bool(primary_increment)
        # SQLite counts up only a column that is called INTEGER, which holds 64 bits all the same.
        is_row_id = database.is_sqlite and is_whole and counts_up

        def declare(sample):
            return declared(sample, database.types.engine)

        table = super().__new__(
            cls,
            database._engine,
            table_name,
            database.schema,
            key if key is not False else None,
            declare(Integer if is_row_id else key_type),
            counts_up,
            auto_create,
            declare,
        )
        table.db = database
        table._reflected = None
        return table

    def __init__(self, *arguments, **options):
        pass

    # What needs SQLAlchemy.

    @property
    def table(self):
        """The table as a `sqlalchemy.Table`, made if it is not there."""
        self._create()
        return self.db._sqlalchemy().table(self)

    @property
    def _table(self):
        return self.table if self._is_known else None

    def _find_by_clauses(self, clauses, filters, limit, offset, order_by, step):
        return self.db._sqlalchemy().find(self, clauses, filters, limit, offset, order_by, step)

    def _count_by_clauses(self, clauses, filters):
        return self.db._sqlalchemy().count(self, clauses, filters)

    def _delete_by_clauses(self, clauses, filters):
        return self.db._sqlalchemy().delete(self, clauses, filters)

    def _distinct_by_clauses(self, columns, filters, limit, offset):
        return self.db._sqlalchemy().distinct(self, columns, filters, limit, offset)

    # Its shape.

    def create_column(self, name, type, **kwargs):  # noqa: A002
        """Adds a column: `table.create_column("born", db.types.date)`; nothing happens where there is one.

        `nullable=False` needs a `default`, which older rows get as well. With `unique=True`, no two rows may have the
        same value. `foreign_key="people.id"` names a column whose values it must have.
        """
        name = self._get_column_name(name)
        if self.has_column(name):
            return
        unknown = [option for option in kwargs if option not in _COLUMN_OPTIONS]
        if unknown:
            raise TypeError(f"create_column knows no {', '.join(unknown)}; it knows {', '.join(_COLUMN_OPTIONS)}")
        sql = declared(type, self.db.types.engine)
        default = kwargs.get("server_default", kwargs.get("default"))
        if default is not None:
            sql += f" DEFAULT {_literal(default, self.db.is_sqlite)}"
        if kwargs.get("nullable", True) is False:
            sql += " NOT NULL"
        if kwargs.get("foreign_key"):
            other, _, column = str(kwargs["foreign_key"]).rpartition(".")
            if not other:
                raise ValueError(f"a foreign key names a table and a column, as 'people.id', not {kwargs['foreign_key']!r}")
            # SQLite looks for the other table in the schema of this one, and knows no other word for it.
            if self.db.schema is not None and not self.db.is_sqlite:
                other = f"{_quoted(self.db.schema)}.{_quoted(other)}"
            else:
                other = _quoted(other)
            sql += f" REFERENCES {other} ({_quoted(column)})"
        self._add_column(name, sql)
        if kwargs.get("unique"):
            self.create_index([name], unique=True)
        elif kwargs.get("index"):
            self.create_index([name])

    def create_column_by_example(self, name, value):
        """Adds a column that can hold a value like this one; nothing happens where there is one."""
        self.create_column(name, self.db.types.guess(value))

    def drop_column(self, name):
        """Removes a column with all its values."""
        if self.db._is_closed:
            raise RuntimeError("Cannot drop columns when no engine is available.")
        if self.db.is_sqlite:
            if tuple(int(part) for part in _db.sqlite_version().split(".")) < (3, 35):
                raise RuntimeError("SQLite does not support dropping columns.")
        name = self._get_column_name(name)
        if not self.exists or not self.has_column(name):
            return
        self._drop_column(name)

    def drop(self):
        """Removes the table with all its rows."""
        with self.db.lock:
            self._drop()
            self.db._tables.pop(self.name, None)

    def load(self, path, format=None, keys=None):  # noqa: A002
        """Reads the rows of a CSV, JSON or JSON lines file, in one transaction; how many there were.

        What a file is, its name says, or `format`. With `keys`, rows that are there are changed, as `upsert` does. The
        columns of a CSV file get the type that all of their values have: whole numbers, numbers, true or false, dates,
        moments, or text.
        """
        from .files import load

        return load(self, path, format, keys)

    # The original's older name.
    all = _db.Table.find


def _quoted(name):
    return '"' + name.replace('"', '""') + '"'


def _literal(value, is_sqlite):
    """A value as it stands in SQL."""
    if isinstance(value, bool):
        return str(int(value) if is_sqlite else value).upper()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    # SQLAlchemy's `text("…")` is taken as it is.
    if hasattr(value, "text"):
        return f"({value.text})"
    raise TypeError(f"a default is a number or a text, not {value!r}")


