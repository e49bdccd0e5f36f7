"""A database: its connections, its tables, its transactions."""

import math
import threading

from ._url import place_of
from .table import Table
from .types import Types
from .util import QUERY_STEP, normalize_table_name, row_factory, safe_url


class Database:
    """Tables in a database. One connection for each thread, opened when it is first needed."""

    def __init__(
        self,
        url,
        schema=None,
        engine_kwargs=None,
        ensure_schema=True,
        row_type=row_factory,
        sqlite_wal_mode=True,
        on_connect_statements=None,
    ):
        self.engine_kwargs = dict(engine_kwargs or {})
        place = place_of(url, dict(self.engine_kwargs.get("connect_args") or {}))
        self.lock = threading.RLock()
        self.local = threading.local()
        self.url = url
        self.schema = schema if schema is not None else place.schema
        self.is_sqlite = place.engine == "sqlite"
        self.is_postgres = place.engine == "postgresql"
        self.is_mysql = place.engine == "mysql"
        self.types = Types(is_postgres=self.is_postgres, is_mysql=self.is_mysql)
        statements = list(on_connect_statements or [])
        if sqlite_wal_mode and self.is_sqlite and place.path:
            statements.append("PRAGMA journal_mode=WAL")
        self._engine = place.connections(statements)
        self._engine.ensure_schema = ensure_schema
        self._engine.row_type = row_type
        if self.is_sqlite:
            # What SQLAlchemy defines in the original's connections.
            self._engine.create_function("regexp", 2, _regexp, True)
            self._engine.create_function("floor", 1, math.floor, True)
        self._tables = {}
        self._bridge = None
        self._is_closed = False

    @property
    def row_type(self):
        """What makes a row of pairs of name and value; a result has the one of the time when it was asked for."""
        return self._engine.row_type

    @row_type.setter
    def row_type(self, factory):
        self._engine.row_type = factory

    @property
    def ensure_schema(self):
        """Whether tables and columns are made where they are missing."""
        return self._engine.ensure_schema

    @ensure_schema.setter
    def ensure_schema(self, ensures):
        self._engine.ensure_schema = bool(ensures)

    @property
    def connections(self):
        """The threads that have a connection, as a dictionary by `threading.get_ident`."""
        return dict.fromkeys(self._engine.threads(), self._engine)

    @property
    def in_transaction(self):
        """Whether this thread has begun a transaction."""
        return self._engine.in_transaction

    # What needs SQLAlchemy.

    def _sqlalchemy(self):
        if self._is_closed:
            raise RuntimeError("Database is closed")
        with self.lock:
            if self._bridge is None:
                from ._sqlalchemy import Bridge

                self._bridge = Bridge(self)
            return self._bridge

    @property
    def engine(self):
        """SQLAlchemy's engine over the same connections; `None` after `close`."""
        return None if self._is_closed else self._sqlalchemy().engine

    @property
    def executable(self):
        """SQLAlchemy's connection of this thread, which is this database's own connection."""
        return self._sqlalchemy().connection()

    @property
    def op(self):
        """Alembic's operations on this database."""
        return self._sqlalchemy().operations()

    @property
    def inspect(self):
        """SQLAlchemy's inspector."""
        return self._sqlalchemy().inspector()

    @property
    def metadata(self):
        """A new `sqlalchemy.MetaData`."""
        return self._sqlalchemy().metadata()

    # Transactions.

    def begin(self):
        """Begins a transaction: nothing is stored for good until `commit`. One within another is a part of it."""
        self._engine.begin()

    def commit(self):
        """Stores for good what was done since `begin`."""
        try:
            self._engine.commit()
        finally:
            self._end_outside()

    def rollback(self):
        """Undoes what was done since `begin`."""
        if self._engine.rollback():
            self._forget_tables()
        self._end_outside()

    def _end_outside(self):
        if self._bridge is not None and not self._engine.in_transaction:
            self._bridge.release()

    def _forget_tables(self):
        for table in list(self._tables.values()):
            table._forget()

    def __enter__(self):
        was_in_transaction = self._engine.in_transaction
        try:
            self.begin()
        except BaseException:
            # Ctrl-C may come when it has begun and before anybody would end it.
            if not was_in_transaction and self._engine.in_transaction:
                self.rollback()
            raise
        return self

    def __exit__(self, kind, error, traceback):
        if kind is not None:
            self.rollback()
            return
        try:
            self.commit()
        except BaseException:
            self.rollback()
            self._forget_tables()
            raise

    def close(self):
        """Closes every connection; what was not committed is undone. Nothing can be done with it after that."""
        with self.lock:
            self._engine.check_outside()
            self._is_closed = True
            if self._bridge is not None:
                self._bridge.close()
                self._bridge = None
            self._engine.close()
            self._tables = {}

    # Tables.

    @property
    def tables(self):
        """The names of all tables."""
        return self._engine.tables(self.schema)

    @property
    def views(self):
        """The names of all views."""
        return self._engine.views(self.schema)

    def has_table(self, name):
        """Whether there is a table or a view of exactly this name."""
        return name in self.tables or name in self.views

    def __contains__(self, table_name):
        try:
            return self.has_table(normalize_table_name(table_name))
        except ValueError:
            return False

    def create_table(self, table_name, primary_id=None, primary_type=None, primary_increment=None):
        """A table, which is made when it is first written to, if it is not there.

        Its primary key is the column `id`, which counts up; or a column of another name and type, as
        `db.create_table("cities", primary_id="city", primary_type=db.types.string(25))`; or with `primary_id=False` it
        has none.
        """
        assert not isinstance(primary_type, str), "Text-based primary_type support is dropped, use db.types."
        table_name = normalize_table_name(table_name)
        with self.lock:
            self._check_open()
            if table_name not in self._tables:
                self._tables[table_name] = Table(
                    self,
                    table_name,
                    primary_id=primary_id,
                    primary_type=primary_type,
                    primary_increment=primary_increment,
                    auto_create=True,
                )
            return self._tables[table_name]

    def load_table(self, table_name):
        """A table that is there already."""
        table_name = normalize_table_name(table_name)
        with self.lock:
            self._check_open()
            if table_name not in self._tables:
                self._tables[table_name] = Table(self, table_name)
            return self._tables[table_name]

    def get_table(self, table_name, primary_id=None, primary_type=None, primary_increment=None):
        """A table, as `create_table` gives it, or as `load_table` does where `ensure_schema` is false."""
        if not self.ensure_schema:
            return self.load_table(table_name)
        return self.create_table(table_name, primary_id, primary_type, primary_increment)

    def __getitem__(self, table_name):
        table = self._tables.get(table_name) if type(table_name) is str else None
        return table if table is not None else self.get_table(table_name)

    def _ipython_key_completions_(self):
        return self.tables

    def _check_open(self):
        if self._is_closed:
            raise RuntimeError("Database is closed")

    def query(self, query, **kwargs):
        """Runs a statement and gives its rows. Its values stand as `:name` in it and are given by name.

            db.query("SELECT name FROM people WHERE born < :year", year=1900)

        A statement that writes is stored for good at once, unless a transaction has been begun. A statement of
        SQLAlchemy's can be given as well.
        """
        step = kwargs.pop("_step", QUERY_STEP)
        if not isinstance(query, str):
            return self._sqlalchemy().query(query, kwargs, step)
        return self._engine.query(query, kwargs, int(step or 0))

    # Functions in Python.

    def create_function(self, name, narg, func, *, deterministic=False):
        """Lets statements call `func`, on SQLite: `db.create_function("double", 1, lambda number: 2 * number)`.

        `narg` is how many arguments it has, or -1 for any number; `func=None` takes the function away. It is there in all
        threads, and cannot use the database that calls it. One that is `deterministic` gives the same for the same.
        """
        self._engine.create_function(name, narg, func, deterministic)

    def create_aggregate(self, name, n_arg, aggregate_class):
        """Lets statements call an aggregate, on SQLite: a class with the methods `step`, which is given each row's values,
        and `finalize`, which gives the result.
        """
        self._engine.create_aggregate(name, n_arg, aggregate_class)

    def create_collation(self, name, callback):
        """Lets statements sort by `COLLATE name`, on SQLite: `callback` is given two texts and gives a number below zero,
        zero, or one above it.
        """
        self._engine.create_collation(name, callback)

    def __repr__(self):
        return f"<Database({safe_url(self.url)})>"


def _regexp(pattern, text):
    import re

    return None if text is None else re.search(pattern, text) is not None


