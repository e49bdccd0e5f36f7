"""SQLAlchemy's objects for models: loaded for a program that asks for one, or gives one."""

import re

try:
    import sqlalchemy
except ImportError as error:  # pragma: no cover: there is always one where the tests run
    raise ImportError(
        "this needs SQLAlchemy, which naja.orm does without otherwise; install `sqlalchemy`, or use the lookups of "
        "`filter`"
    ) from error

_DIALECTS = {}


def _dialect(name):
    """The dialect for a kind of database; values are named, whatever the driver."""
    if name not in _DIALECTS:
        if name == "sqlite":
            from sqlalchemy.dialects import sqlite as module
        elif name in ("postgresql", "postgres"):
            from sqlalchemy.dialects import postgresql as module
        else:
            from sqlalchemy.dialects import mysql as module
        made = module.dialect(paramstyle="named")
        # SQLite keeps no decimals: they go in as floating-point numbers.
        made.supports_native_decimal = name != "sqlite"
        _DIALECTS[name] = made
    return _DIALECTS[name]


def empty_metadata():
    return sqlalchemy.MetaData()


def metadata_of(registry):
    """The registry's metadata, with the tables of all its models and their links."""
    metadata = registry._metadata
    for model in registry.models.values():
        model.build_table()
    for model in registry.models.values():
        for relation in model.many.values():
            if relation._owns_links():
                _table_of_links(metadata, relation)
    return metadata


def table_of(model):
    columns = [field.get_column(name) for name, field in model.fields.items()]
    return sqlalchemy.Table(model.tablename, model.registry._metadata, *columns, extend_existing=True)


def _table_of_links(metadata, relation):
    name, *sides = relation._columns()
    columns = []
    for column, model in zip(sides, (relation.model, relation.target)):
        key = model.fields[model.pkname]
        reference = sqlalchemy.ForeignKey(f"{model.tablename}.{model.pkname}", ondelete="CASCADE")
        columns.append(
            sqlalchemy.Column(column, key.get_column_type(), reference, primary_key=True, index=bool(columns))
        )
    sqlalchemy.Table(name, metadata, *columns, extend_existing=True)


def written(clause, dialect_name):
    """A clause as SQL: its pieces, and the values that stand between them."""
    if not hasattr(clause, "compile"):
        raise TypeError(f"a filter is made of lookups by name, or of SQLAlchemy's clauses, and not of {clause!r}")
    dialect = _dialect(dialect_name)
    compiled = clause.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    values, processors = compiled.construct_params(), compiled._bind_processors
    if not values:
        return [compiled.string], []
    # The longest first: one name may begin with another.
    names = "|".join(re.escape(name) for name in sorted(values, key=len, reverse=True))
    pieces, bound = [], []
    rest = 0
    for found in re.finditer(rf"(?<![:\w]):({names})(?!\w)", compiled.string):
        pieces.append(compiled.string[rest : found.start()])
        rest = found.end()
        value, processor = values[found[1]], processors.get(found[1])
        bound.append(value if processor is None else processor(value))
    pieces.append(compiled.string[rest:])
    return pieces, bound


def own_type(kind, dialect_name):
    """A type of the program's own: its SQL, and what it makes of values on their way in and out."""
    dialect = _dialect(dialect_name)
    own = kind.dialect_impl(dialect)
    return kind.compile(dialect=dialect), own.bind_processor(dialect), own.result_processor(dialect, None)
