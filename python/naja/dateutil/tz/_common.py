"""What the classes of zones share."""

from datetime import timedelta

from naja._native import dates as _dates

ZERO = timedelta(0)

__all__ = ["enfold"]

_tzinfo = _dates._tzinfo
tzrangebase = _dates.tzrangebase


def enfold(dt, fold=1):
    """``dt`` with its ``fold`` set: 1 for the second of two equal wall clocks, 0 for the first."""
    return dt.replace(fold=fold)
