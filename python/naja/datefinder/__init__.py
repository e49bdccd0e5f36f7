"""datefinder, in Rust: `import naja.datefinder as datefinder` instead of `import datefinder`.

`find_dates` finds what datefinder found before 1.0, unless it is `strict` or is told an engine: then, as in `extract`,
dates are found by rules that were measured on a labelled corpus.
"""

import os

from .date_fragment import DateFragment
from .older import DateFinder, find_dates_legacy
from .v2 import (
    AbsoluteValue,
    DurationValue,
    IntervalValue,
    Match,
    RelativeValue,
    extract,
    find_complete,
    find_dates_compat,
)

__version__ = "1.0.0"

__all__ = [
    "__version__",
    "DateFinder",
    "find_dates",
    "find_dates_legacy",
    "find_dates_compat",
    "extract",
    "Match",
    "AbsoluteValue",
    "RelativeValue",
    "DurationValue",
    "IntervalValue",
]

# Where the original has it, and so where its pickles look.
DateFinder.__module__ = __name__

_ENGINES = ("legacy", "v2", "compat")


def find_dates(
    text,
    source=False,
    index=False,
    strict=False,
    base_date=None,
    first="month",
    two_digit_year_pivot=None,
    allow_month_only=True,
    allow_compact_numeric=False,
    allow_multiline=True,
    engine=None,
):
    """Yield the dates of a text, as `datetime`s.

    With `source` or `index`, yields tuples: the date, the text that says it, its start and end in code points.
    `strict` leaves out what does not say year, month and day. Incomplete dates take the missing parts from
    `base_date`. `first` (`"month"`, `"day"`, `"year"`) says what numbers such as 01/02/03 begin with.

    `engine` is `"legacy"` for the engine before 1.0 alone, or `"v2"` for what `extract` finds; without it, and without
    DATEFINDER_DEFAULT_ENGINE, a strict search is `extract`'s and any other the engine's before 1.0. The options that
    the latter does not have choose `"v2"`.
    """
    engine = engine or os.environ.get("DATEFINDER_DEFAULT_ENGINE")
    if engine is None:
        plain = two_digit_year_pivot is None and allow_month_only and not allow_compact_numeric and allow_multiline
        engine = "legacy" if plain and not strict else "v2"
    if engine.lower() not in _ENGINES:
        raise ValueError(f"Unknown engine '{engine}'. Use 'v2' or 'legacy'.")
    if engine.lower() == "legacy":
        yield from find_dates_legacy(text, source, index, strict, base_date, first)
        return
    for date, matched, place in find_complete(
        text,
        base_date,
        strict=strict,
        first=first,
        two_digit_year_pivot=two_digit_year_pivot,
        allow_month_only=allow_month_only,
        allow_compact_numeric=allow_compact_numeric,
        allow_multiline=allow_multiline,
    ):
        if not source and not index:
            yield date
        else:
            yield (date,) + ((matched,) if source else ()) + ((place,) if index else ())
