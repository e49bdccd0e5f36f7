"""python-dateutil, in Rust: `from naja.dateutil import parser` instead of `from dateutil import parser`."""

import sys

from ._version import version as __version__

__all__ = ["easter", "parser", "relativedelta", "rrule", "tz", "utils"]


def __getattr__(name):
    if name in __all__ or name == "zoneinfo":
        import importlib

        return importlib.import_module("." + name, __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return [name for name in globals() if name not in sys.modules] + __all__ + ["zoneinfo"]
