"""Parses dates and times as people write them (`parse`), and as ISO 8601 has them (`isoparse`)."""

from ._parser import (
    DEFAULTPARSER,
    ParserError,
    UnknownTimezoneWarning,
    parse,
    parser,
    parserinfo,
)
from .isoparser import isoparse, isoparser

__all__ = [
    "parse",
    "parser",
    "parserinfo",
    "isoparse",
    "isoparser",
    "ParserError",
    "UnknownTimezoneWarning",
]

_PRIVATE = ("_timelex", "_tzparser", "_resultbase", "_parsetz")


def __getattr__(name):
    if name == "DEFAULTTZPARSER":
        from . import _parser

        return _parser.DEFAULTTZPARSER
    if name in _PRIVATE:
        globals()[name] = _deprecated(name)
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _deprecated(name):
    """A private name of the original that programs use all the same: it works, and warns."""
    import functools
    import warnings

    from . import _parser

    private = getattr(_parser, name)
    kind = "class" if isinstance(private, type) else "function"
    message = (
        f"{name} is a private {kind} and may break without warning, "
        "it will be moved and or renamed in future versions."
    )
    if kind == "function":

        @functools.wraps(private)
        def wrapped(*args, **kwargs):
            warnings.warn(message, DeprecationWarning, stacklevel=2)
            return private(*args, **kwargs)

        return wrapped

    def __init__(self, *args, **kwargs):
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        private.__init__(self, *args, **kwargs)

    return type(name, (private,), {"__init__": __init__, "__doc__": private.__doc__, "__module__": __name__})
