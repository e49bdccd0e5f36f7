"""Expressions of SQLAlchemy as SQL: loaded for a program that gives one."""

from sqlalchemy.dialects.sqlite import pysqlite
from sqlalchemy.sql.compiler import _CompileLabel
from sqlalchemy.sql.ddl import DDLElement

DIALECT = pysqlite.dialect(paramstyle="qmark")
# SQLite keeps no decimals: they go in as floating-point numbers.
DIALECT.supports_native_decimal = False


class Compiled:
    """The SQL of an expression, its values in order, and what is made of its columns."""

    __slots__ = ("sql", "values", "processors", "others")

    def __init__(self, query):
        compiled = query.compile(dialect=DIALECT, compile_kwargs={"render_postcompile": True})
        self.sql = compiled.string
        self.values = ()
        self.processors = None
        self.others = {}
        if isinstance(query, DDLElement):
            return
        self.values = _values(compiled)
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


def _values(compiled):
    values = compiled.construct_params()
    processors = compiled._bind_processors
    return [
        processors[name](values[name]) if name in processors else values[name] for name in compiled.positiontup or ()
    ]
