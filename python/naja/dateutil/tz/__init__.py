"""Time zones: fixed, local, from rules, from the IANA database and from iCalendar. Start at ``gettz``."""

from . import _tzpath
from ._tzpath import reset_tzpath
from .tz import *
from .tz import __doc__  # noqa: F401

__all__ = [
    "tzutc",
    "tzoffset",
    "tzlocal",
    "tzfile",
    "tzrange",
    "tzstr",
    "tzical",
    "tzwin",
    "tzwinlocal",
    "gettz",
    "enfold",
    "datetime_ambiguous",
    "datetime_exists",
    "resolve_imaginary",
    "available_iana_timezones",
    "UTC",
    "TZPATH",
    "reset_tzpath",
    "DeprecatedTzFormatWarning",
    "DeprecatedTzKeyWarning",
]


class DeprecatedTzFormatWarning(Warning):
    """A time zone was written in a format that will go."""


def __getattr__(name):
    # The search path is zoneinfo's, which may set another at any time.
    if name == "TZPATH":
        return _tzpath.zoneinfo.TZPATH
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), "TZPATH"})
