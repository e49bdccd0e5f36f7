"""Expressions of SQLAlchemy as SQL: loaded for a program that gives one."""

from sqlalchemy.dialects.sqlite import pysqlite
from sqlalchemy.sql.compiler import _CompileLabel
from sqlalchemy.sql.ddl import DDLElement

DIALECT = pysqlite.dialect(paramstyle="qmark")
# SQLite keeps no decimals: they go in as floating-point numbers.
DIALECT.supports_native_decimal = False


# Expressions that differ in nothing but their values are compiled once.
_KNOWN: dict = {}
_KNOWN_MAX = 256


class Compiled:
    """The SQL of an expression, its values in order, and what is made of its columns."""

    __slots__ = ("sql", "values", "processors", "others")

    def __init__(self, query):
        if isinstance(query, DDLElement):
            self.sql, self.values = query.compile(dialect=DIALECT).string, ()
            self.processors, self.others = None, {}
            return
        key = query._generate_cache_key()
        form = None if key is None else _KNOWN.get(key.key)
        if form is None:
            form = _Form(query, key)
            if form.is_same_for_all:
                if len(_KNOWN) >= _KNOWN_MAX:
                    _KNOWN.clear()
                _KNOWN[key.key] = form
        self.sql, self.processors, self.others = form.sql, form.processors, form.others
        self.values = form.values(key)


class _Form:
    """An expression that was compiled."""

    __slots__ = ("_compiled", "_binding", "is_same_for_all", "sql", "processors", "others")

    def __init__(self, query, key):
        compiled = query._compiler(DIALECT, cache_key=key, compile_kwargs={"render_postcompile": True})
        self._compiled = compiled
        self._binding = [(name, compiled._bind_processors.get(name)) for name in compiled.positiontup or ()]
        # An IN has as many places as it was given values.
        self.is_same_for_all = key is not None and not (compiled.post_compile_params or compiled.literal_execute_params)
        self.sql = compiled.string
        self.processors = None
        self.others = {}
        # Each is its name in the result, its name, what it is of, and its type.
        columns = compiled._result_columns
        processors = [kind._cached_result_processor(DIALECT, None) for _, _, _, kind in columns]
        if any(processors):
            if compiled._ordered_columns or compiled._textual_ordered_columns:
                self.processors = tuple(processors)
            else:
                self.processors = {column[0]: one for column, one in zip(columns, processors)}
        for place, (_, _, objects, _) in enumerate(columns):
            # Of a label, the column is the third.
            of = objects[2] if isinstance(objects[0], _CompileLabel) and len(objects) > 2 else objects[0]
            self.others[str(of)] = place

    def values(self, key):
        values = self._compiled.construct_params(extracted_parameters=None if key is None else key.bindparams)
        return [values[name] if processor is None else processor(values[name]) for name, processor in self._binding]
