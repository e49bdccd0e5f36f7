"""Parses the dates and times of ISO 8601."""

from naja._native import dates as _dates

__all__ = ["isoparse", "isoparser"]

isoparser = _dates.isoparser
isoparse = _dates.isoparse

DEFAULT_ISOPARSER = isoparser()
