"""Names, rows and results, as the original's module of this name has them."""

from collections import OrderedDict

from naja._native import db as _db

from ._errors import DatasetError, QueryError

__all__ = [
    "DatasetError",
    "OutRow",
    "QUERY_STEP",
    "QueryError",
    "ResultIter",
    "RowFactory",
    "ensure_strings",
    "index_name",
    "make_sqlite_url",
    "normalize_column_key",
    "normalize_column_name",
    "normalize_table_name",
    "pad_chunk_columns",
    "row_factory",
    "safe_url",
]

# How many rows are read at a time.
QUERY_STEP = 1000

row_factory = OrderedDict

ResultIter = _db.ResultIter


def __getattr__(name):
    # Types for annotations: `typing` is not loaded for them unless somebody asks.
    if name in _ANNOTATIONS:
        import typing
        from collections.abc import Callable, Iterable, Mapping

        rows = {"OutRow": Mapping[str, typing.Any], "WriteRow": Mapping[str, typing.Any], "MutableRow": dict[str, typing.Any]}
        rows["RowFactory"] = Callable[[Iterable[tuple[str, typing.Any]]], rows["OutRow"]]
        globals().update(rows)
        return rows[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


_ANNOTATIONS = ("OutRow", "WriteRow", "MutableRow", "RowFactory")


def make_sqlite_url(
    path, cache=None, timeout=None, mode=None, check_same_thread=True, immutable=False, nolock=False
):
    """The URL of a SQLite file with these options."""
    options = {}
    if cache:
        assert cache in ("shared", "private")
        options["cache"] = cache
    if timeout:
        options["timeout"] = timeout
    if mode:
        assert mode in ("ro", "rw", "rwc")
        options["mode"] = mode
    if nolock:
        options["nolock"] = 1
    if immutable:
        options["immutable"] = 1
    if not check_same_thread:
        options["check_same_thread"] = "false"
    if not options:
        return "sqlite:///" + path
    from urllib.parse import urlencode

    options["uri"] = "true"
    return f"sqlite:///file:{path}?{urlencode(options)}"


def ensure_strings(value):
    """A list of names, of one name or of several."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


normalize_column_name = _db.normalize_column_name
normalize_column_key = _db.normalize_column_key
normalize_table_name = _db.normalize_table_name


def safe_url(url):
    """A URL without its password."""
    scheme, separator, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    user, at, host = place.rpartition("@")
    name, colon, _ = user.partition(":")
    if not (separator and at and colon):
        return url
    return f"{scheme}://{name}:*****@{host}{slash}{path}"


def index_name(table, columns):
    """The name that an index is given."""
    from hashlib import sha1

    return f"ix_{table}_{sha1('||'.join(columns).encode()).hexdigest()[:16]}"


def pad_chunk_columns(chunk, columns):
    """Rows that all have these columns, `None` where they lack one."""
    for record in chunk:
        for column in columns:
            record.setdefault(column, None)
    return chunk
