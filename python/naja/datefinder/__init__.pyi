from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal, overload

from .date_fragment import DateFragment as DateFragment
from .v2 import (
    AbsoluteValue as AbsoluteValue,
    DurationValue as DurationValue,
    IntervalValue as IntervalValue,
    Match as Match,
    RelativeValue as RelativeValue,
    extract as extract,
    find_dates_compat as find_dates_compat,
)
from .older import DateFinder as DateFinder, find_dates_legacy as find_dates_legacy

__version__: str
__all__: list[str]

@overload
def find_dates(
    text: str,
    source: Literal[False] = False,
    index: Literal[False] = False,
    strict: bool = False,
    base_date: datetime | None = None,
    first: Literal["month", "day", "year"] = "month",
    two_digit_year_pivot: int | None = None,
    allow_month_only: bool = True,
    allow_compact_numeric: bool = False,
    allow_multiline: bool = True,
    engine: str | None = None,
) -> Iterator[datetime]: ...
@overload
def find_dates(
    text: str,
    source: bool = False,
    index: bool = False,
    strict: bool = False,
    base_date: datetime | None = None,
    first: Literal["month", "day", "year"] = "month",
    two_digit_year_pivot: int | None = None,
    allow_month_only: bool = True,
    allow_compact_numeric: bool = False,
    allow_multiline: bool = True,
    engine: str | None = None,
) -> Iterator[Any]: ...
