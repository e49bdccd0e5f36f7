"""Rows."""

from naja._native import db

from ...interfaces import Record as RecordInterface

Record = db.Record
Row = db.Row
RecordInterface.register(Record)

__all__ = ["Record", "Row"]
