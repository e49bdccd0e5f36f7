"""Expressions of SQLAlchemy as SQL: loaded for a program that gives one."""

import json

from sqlalchemy import types
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.sqlite import pysqlite
from sqlalchemy.sql.compiler import _CompileLabel
from sqlalchemy.sql.ddl import DDLElement

from naja._native import db

# Expressions that differ in nothing but their values are compiled once, for each dialect.
_KNOWN_MAX = 256


class Compiled:
    """The SQL of an expression as a query of ours, and its values in order."""

    __slots__ = ("query", "sql", "values")

    def __init__(self, query, sql, values):
        self.query = query
        self.sql = sql
        self.values = values


class Compiler:
    """Compiles expressions for one dialect; where `is_lazy`, values of rows are made when they are asked for."""

    def __init__(self, dialect, is_lazy=False):
        self._dialect = dialect
        self._is_lazy = is_lazy
        self._known = {}

    def __call__(self, query):
        if isinstance(query, DDLElement):
            sql = query.compile(dialect=self._dialect).string
            return Compiled(db.Query(sql), sql, ())
        key = query._generate_cache_key()
        form = None if key is None else self._known.get(key.key)
        if form is None:
            form = _Form(self._dialect, self._is_lazy, query, key)
            if form.is_same_for_all:
                if len(self._known) >= _KNOWN_MAX:
                    self._known.clear()
                self._known[key.key] = form
        return Compiled(form.query, form.sql, form.values(key))


class _Form:
    """An expression that was compiled."""

    __slots__ = ("_compiled", "_binding", "is_same_for_all", "sql", "query")

    def __init__(self, dialect, is_lazy, query, key):
        compiled = query._compiler(dialect, cache_key=key, compile_kwargs={"render_postcompile": True})
        self._compiled = compiled
        self._binding = [(name, compiled._bind_processors.get(name)) for name in compiled.positiontup or ()]
        # An IN has as many places as it was given values.
        self.is_same_for_all = key is not None and not (compiled.post_compile_params or compiled.literal_execute_params)
        self.sql = compiled.string
        made, others = None, {}
        # Each is its name in the result, its name, what it is of, and its type.
        columns = compiled._result_columns
        processors = [kind._cached_result_processor(dialect, None) for _, _, _, kind in columns]
        if any(processors):
            if compiled._ordered_columns or compiled._textual_ordered_columns:
                made = tuple(processors)
            else:
                made = {column[0]: one for column, one in zip(columns, processors)}
        for place, (_, _, objects, _) in enumerate(columns):
            # Of a label, the column is the third.
            of = objects[2] if isinstance(objects[0], _CompileLabel) and len(objects) > 2 else objects[0]
            others[str(of)] = place
        self.query = db.Query(self.sql, made, others, is_lazy)

    def values(self, key):
        values = self._compiled.construct_params(extracted_parameters=None if key is None else key.bindparams)
        return [values[name] if processor is None else processor(values[name]) for name, processor in self._binding]


def _sqlite():
    dialect = pysqlite.dialect(paramstyle="qmark")
    # SQLite keeps no decimals: they go in as floating-point numbers.
    dialect.supports_native_decimal = False
    return Compiler(dialect)


class _Numeric(types.Numeric):
    """The server has decimals, and the driver gives them."""

    def bind_processor(self, dialect):
        return None

    def result_processor(self, dialect, coltype):
        return None if self.asdecimal else float


class _Postgres(PGDialect):
    supports_statement_cache = True
    colspecs = {**PGDialect.colspecs, types.Numeric: _Numeric, types.Float: types.Float}


def _postgres(is_lazy, **words):
    dialect = _Postgres(paramstyle="numeric_dollar", **words)
    dialect.supports_native_decimal = True
    dialect._backslash_escapes = False
    return Compiler(dialect, is_lazy)


def _mysql():
    from sqlalchemy.dialects.mysql import pymysql

    dialect = pymysql.dialect(paramstyle="qmark")
    dialect.supports_native_decimal = True
    return Compiler(dialect)


sqlite = _sqlite()
postgres = _postgres(True)
# psycopg2 has made objects of JSON by itself.
postgres_parsed = _postgres(False, json_serializer=json.dumps, json_deserializer=lambda document: document)
mysql = _mysql()
