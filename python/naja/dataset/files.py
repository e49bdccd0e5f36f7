"""Rows to files and back: CSV, JSON and JSON lines.

`freeze` writes what `find` or `query` gives; `Table.load` reads such a file, of this or another program.
"""

import base64
import contextlib
import datetime
import decimal
import os
import tempfile

from naja._native import db

from ._errors import make

# By the end of a file's name, and by the name of the format.
_FORMATS = {"csv": "csv", "json": "json", "jsonl": "jsonl", "jsonlines": "jsonl", "ndjson": "jsonl"}

_CHUNK = 1000


def freeze(result, format="csv", filename=None, fileobj=None, prefix=".", encoding="utf-8", indent=None):  # noqa: A002
    """Writes rows into a file, and gives its path.

    `result` is anything that gives rows: a table, `table.find(…)`, `db.query(…)`. `format` is `csv`, `json` or `jsonl`; the
    file is `freeze.csv` (or its like) in the folder `prefix`, or `filename` there, or an open text file `fileobj`. A
    file is replaced only when it is whole.

    Moments are written in ISO 8601, bytes in base64, JSON columns in CSV as JSON, decimal numbers as they are, `None` in
    CSV as nothing.
    """
    kind = _kind_of(format, filename)
    write = {"csv": _write_csv, "json": _write_json, "jsonl": _write_lines}[kind]
    if fileobj is not None:
        write(result, fileobj, indent)
        return None
    path = os.path.join(prefix, filename or f"freeze.{kind}")
    with _whole_file(path, encoding) as file:
        write(result, file, indent)
    return path


def _kind_of(kind, filename):
    kind = str(kind).lower().lstrip(".")
    if kind not in _FORMATS:
        raise make("DatasetError", f"cannot write or read {kind!r}; the formats are csv, json and jsonl")
    return _FORMATS[kind]


@contextlib.contextmanager
def _whole_file(path, encoding):
    """A new file beside the old one, which takes its place when everything is written."""
    folder = os.path.dirname(path) or "."
    handle, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=folder)
    try:
        # The line ends of CSV are written as they are.
        with open(handle, "w", encoding=encoding, newline="") as file:
            yield file
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask():
    before = os.umask(0)
    os.umask(before)
    return before


def _write_csv(rows, file, _indent):
    import csv

    writer, names = csv.writer(file, lineterminator="\n"), None
    for row in rows:
        if names is None:
            names = list(row)
            writer.writerow(names)
        elif list(row) != names:
            raise make("DatasetError", f"the rows of a CSV file have the same columns: {names}, and then {list(row)}")
        writer.writerow([_in_csv(value) for value in row.values()])
    if names is None and getattr(rows, "keys", None):
        writer.writerow(rows.keys)


def _write_json(rows, file, indent):
    import json

    file.write("[")
    separator = "\n"
    for row in rows:
        file.write(separator + json.dumps(dict(row), default=_in_json, ensure_ascii=False, indent=indent))
        separator = ",\n"
    file.write("\n]\n")


def _write_lines(rows, file, _indent):
    import json

    for row in rows:
        file.write(json.dumps(dict(row), default=_in_json, ensure_ascii=False) + "\n")


def _in_csv(value):
    if value is None or isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dict, list)):
        import json

        return json.dumps(value, default=_in_json, ensure_ascii=False)
    return _in_json(value)


def _in_json(value):
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"a value of type {type(value).__name__} has no form in JSON")


def load(table, path, format=None, keys=None):  # noqa: A002
    """Reads a file into a table; see `Table.load`."""
    kind = _kind_of(format or os.path.splitext(os.fspath(path))[1] or "csv", path)
    count = 0

    def take(rows):
        nonlocal count
        if keys is None:
            table.insert_many(rows)
        else:
            table.upsert_many(rows, keys)
        count += len(rows)

    with table.db:
        db.read_rows(path, kind, _CHUNK, take, lambda why: make("DatasetError", f"{path}, {why}"))
    return count
