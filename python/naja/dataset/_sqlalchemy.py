"""What a database looks like to a program that uses SQLAlchemy's objects: loaded for such a program only."""

import contextlib
import threading

try:
    import sqlalchemy
except ImportError as error:  # pragma: no cover: there is always one where the tests run
    raise ImportError(
        "this needs SQLAlchemy, which naja.dataset does without otherwise; install `sqlalchemy`, or use "
        "db.query and the filters of find"
    ) from error

from sqlalchemy.pool import StaticPool

from . import _errors


def declared_type(kind, engine):
    """The SQL of one of SQLAlchemy's types, for `sqlite`, `postgresql` or `mysql`."""
    from sqlalchemy.dialects import mysql, postgresql, sqlite

    dialects = {"sqlite": sqlite, "postgresql": postgresql, "mysql": mysql}
    return kind.compile(dialect=dialects[engine].dialect())


def _face(database):
    """The URL by which SQLAlchemy finds its dialect for a database, and the module that stands for its driver."""
    if database.is_postgres:
        from . import _dbapi_postgres

        sqlalchemy.dialects.registry.register("postgresql.naja", "naja.dataset._dialect_postgres", "Dialect")
        return "postgresql+naja://", _dbapi_postgres
    if database.is_mysql:
        from . import _dbapi_mysql

        sqlalchemy.dialects.registry.register("mysql.naja", "naja.dataset._dialect_mysql", "Dialect")
        return "mysql+naja://", _dbapi_mysql
    from . import _dbapi_sqlite

    return "sqlite://", _dbapi_sqlite


class Bridge:
    """SQLAlchemy's objects over the connections of a database."""

    def __init__(self, database):
        self._database = database
        self._local = threading.local()
        url, driver = _face(database)
        self.engine = sqlalchemy.create_engine(
            url,
            module=driver,
            creator=lambda: driver.connect(database._engine),
            # One face is enough: it is each thread's own connection. Nothing is undone when it is given back, since
            # the transaction may be the program's.
            poolclass=StaticPool,
            pool_reset_on_return=None,
            echo=bool(database.engine_kwargs.get("echo")),
        )

    def connection(self):
        """The calling thread's."""
        if getattr(self._local, "connection", None) is None:
            self._local.connection = self.engine.connect()
        return self._local.connection

    def release(self):
        """Gives back the calling thread's connection: what SQLAlchemy began ended with our transaction."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            self._local.connection = None
            connection.close()

    def close(self):
        self.release()
        self.engine.dispose()

    def operations(self):
        try:
            from alembic.migration import MigrationContext
            from alembic.operations import Operations
        except ImportError as error:
            raise ImportError("db.op needs Alembic; install `alembic`") from error
        return Operations(MigrationContext.configure(self.connection()))

    def inspector(self):
        return sqlalchemy.inspect(self.connection())

    def metadata(self):
        return sqlalchemy.MetaData(schema=self._database.schema)

    def table(self, table):
        """The table as SQLAlchemy's, read from the database again when its columns have changed."""
        described = table._describe()
        if table._reflected is None or table._reflected[0] != described:
            reflected = sqlalchemy.Table(
                table.name, self.metadata(), schema=self._database.schema, autoload_with=self.connection()
            )
            table._reflected = (described, reflected)
        return table._reflected[1]

    def query(self, statement, values, step):
        """Runs a statement of SQLAlchemy's."""
        result = self.connection().execute(statement, values) if values else self.connection().execute(statement)
        rows = Rows(result, self._database.row_type)
        self._commit()
        return rows

    def find(self, table, clauses, filters, limit, offset, order_by, step):
        own = self.table(table)
        statement = own.select().where(self._condition(table, clauses, filters)).limit(limit).offset(offset or 0)
        for name in [order_by] if isinstance(order_by, str) else order_by or ():
            if name is not None and table.has_column(name.lstrip("-")):
                column = own.c[table._get_column_name(name.lstrip("-"))]
                statement = statement.order_by(column.desc() if name.startswith("-") else column.asc())
        return self.query(statement, None, step)

    def count(self, table, clauses, filters):
        statement = sqlalchemy.select(sqlalchemy.func.count()).where(self._condition(table, clauses, filters))
        return self.connection().execute(statement.select_from(self.table(table))).scalar()

    def delete(self, table, clauses, filters):
        statement = self.table(table).delete().where(self._condition(table, clauses, filters))
        count = self.connection().execute(statement).rowcount
        self._commit()
        return count > 0

    def distinct(self, table, columns, filters, limit, offset):
        clauses, wanted = [], []
        for column in columns:
            if isinstance(column, sqlalchemy.ClauseElement):
                clauses.append(column)
            elif table.has_column(column):
                wanted.append(self.table(table).c[table._get_column_name(column)])
            else:
                raise _errors.make("DatasetError", f"No such column: {column}")
        if not wanted:
            return Rows(None, self._database.row_type)
        statement = sqlalchemy.select(*wanted).distinct().where(self._condition(table, clauses, filters))
        statement = statement.limit(limit).offset(offset).order_by(*(column.asc() for column in wanted))
        return self.query(statement, None, None)

    def _condition(self, table, clauses, filters):
        clauses = list(clauses)
        for name, value in filters.items():
            clauses.append(self._filter(table, name, value))
        return sqlalchemy.and_(True, *clauses)

    def _filter(self, table, name, value):
        if not table.has_column(name):
            return sqlalchemy.false()
        column = self.table(table).c[table._get_column_name(name)]
        if isinstance(value, (list, tuple, set)):
            return column.in_(value)
        if isinstance(value, dict):
            return sqlalchemy.and_(True, *(_compared(column, operator, one) for operator, one in value.items()))
        return column == value

    def _commit(self):
        if not self._database.in_transaction:
            self.connection().commit()


# How each operator of a filter compares; `like` and its kin are methods of a column by the same name.
_OPERATORS = {
    ">": "__gt__", "gt": "__gt__", "<": "__lt__", "lt": "__lt__",
    ">=": "__ge__", "gte": "__ge__", "<=": "__le__", "lte": "__le__",
    "=": "__eq__", "==": "__eq__", "is": "__eq__", "!=": "__ne__", "<>": "__ne__", "not": "__ne__",
    "like": "like", "ilike": "ilike", "notlike": "notlike", "notilike": "notilike",
    "in": "in_", "notin": "notin_",
}  # fmt: skip


def _compared(column, operator, value):
    if operator in ("between", ".."):
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            raise _errors.make("QueryError", "'between' filter requires a list of two values")
        return column.between(*value)
    if operator in ("startswith", "endswith"):
        if not isinstance(value, str):
            raise _errors.make("QueryError", f"'{operator}' filter requires a string")
        return getattr(column, operator)(value, autoescape=True)
    if operator in ("in", "notin") and not isinstance(value, (list, tuple, set)):
        raise _errors.make("QueryError", f"'{operator}' filter requires a list, got {type(value)}")
    if operator not in _OPERATORS:
        return sqlalchemy.false()
    return getattr(column, _OPERATORS[operator])(value)


class Rows:
    """The rows of a statement of SQLAlchemy's, each as the database's row type."""

    def __init__(self, result, row_type):
        self.row_type = row_type
        self.keys = []
        self._rows = iter(())
        self._result = result
        if result is not None and result.returns_rows:
            self.keys = list(result.keys())
            # All at once: they are in memory already.
            self._rows = iter(result.fetchall())

    def __iter__(self):
        return self

    def __next__(self):
        return self.row_type(next(self._rows)._mapping.items())

    next = __next__

    def close(self):
        """Ends the reading."""
        self._rows = iter(())
        if self._result is not None:
            with contextlib.suppress(sqlalchemy.exc.SQLAlchemyError):
                self._result.close()
