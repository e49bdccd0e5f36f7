from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, overload

First = Literal["month", "day", "year"]
MatchKind = Literal["absolute", "relative", "duration", "interval"]
Grain = Literal["second", "minute", "hour", "day", "week", "month", "year"]

@dataclass(frozen=True)
class AbsoluteValue:
    datetime_value: datetime
    timezone_source: str | None = None

@dataclass(frozen=True)
class RelativeValue:
    resolved_datetime: datetime
    delta_seconds: int
    anchor: str = "reference"

@dataclass(frozen=True)
class DurationValue:
    total_seconds: int
    components: dict[str, int] = ...

@dataclass(frozen=True)
class IntervalValue:
    start: datetime
    end: datetime
    closed_open: str = "[)"

Value = AbsoluteValue | RelativeValue | DurationValue | IntervalValue

@dataclass(frozen=True)
class Match:
    kind: MatchKind
    text: str
    start: int
    end: int
    locale: str
    grain: Grain
    value: Value
    alternates: tuple[Value, ...] = ()
    confidence: float = 1.0
    warnings: tuple[str, ...] = ()

@overload
def extract(
    text: str,
    *,
    reference_dt: datetime | None = None,
    locales: Sequence[str] | None = None,
    timezone_name: str | None = None,
    strict: bool = False,
    first: First = "month",
    two_digit_year_pivot: int | None = None,
    allow_month_only: bool = True,
    allow_compact_numeric: bool = False,
    allow_multiline: bool = True,
    stream: Literal[False] = False,
) -> list[Match]: ...
@overload
def extract(
    text: str,
    *,
    reference_dt: datetime | None = None,
    locales: Sequence[str] | None = None,
    timezone_name: str | None = None,
    strict: bool = False,
    first: First = "month",
    two_digit_year_pivot: int | None = None,
    allow_month_only: bool = True,
    allow_compact_numeric: bool = False,
    allow_multiline: bool = True,
    stream: Literal[True],
) -> Iterator[Match]: ...
def find_dates_compat(
    text: str,
    *,
    reference_dt: datetime | None = None,
    strict: bool = False,
    first: First = "month",
    two_digit_year_pivot: int | None = None,
    allow_month_only: bool = True,
    allow_compact_numeric: bool = False,
    allow_multiline: bool = True,
) -> Iterator[datetime]: ...
