"""``tzfile``: a zone of the IANA database, and how it is pickled."""

from naja._native import dates as _dates

from ._common import _tzinfo, enfold  # noqa: F401

tzfile = _dates.tzfile
_TZStr = _dates._TZStr
_ttinfo = _dates._ttinfo


def _unpickle(cls, key, filename, data):
    """A ``tzfile`` from what its ``__reduce__`` gave, without opening the file."""
    zone = cls.__new__(cls)
    zone._load(key, filename, data)
    return zone
