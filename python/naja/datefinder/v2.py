"""Dates with their kind, their place and how sure they are; the module is named as in datefinder 1.0."""

import datetime as _datetime
import re as _re
from dataclasses import dataclass, field
from typing import Literal, Optional, Tuple, Union

from naja._native import dates as _dates

_find = _dates.find

MatchKind = Literal["absolute", "relative", "duration", "interval"]
Grain = Literal["second", "minute", "hour", "day", "week", "month", "year"]


@dataclass(frozen=True)
class AbsoluteValue:
    """A day, with its time where the text has one; `timezone_source` is `"explicit"` where the text says a zone."""

    datetime_value: _datetime.datetime
    timezone_source: Optional[str] = None


@dataclass(frozen=True)
class RelativeValue:
    """A day or time that is counted from the reference."""

    resolved_datetime: _datetime.datetime
    delta_seconds: int
    anchor: str = "reference"


@dataclass(frozen=True)
class DurationValue:
    """An amount of time."""

    total_seconds: int
    components: dict = field(default_factory=dict)


@dataclass(frozen=True)
class IntervalValue:
    """Days in a row; `end` is midnight behind the last."""

    start: _datetime.datetime
    end: _datetime.datetime
    closed_open: str = "[)"


Value = Union[AbsoluteValue, RelativeValue, DurationValue, IntervalValue]


@dataclass(frozen=True)
class Match:
    """A date in a text; `start` and `end` count code points."""

    kind: MatchKind
    text: str
    start: int
    end: int
    locale: str
    grain: Grain
    value: Value
    alternates: Tuple[Value, ...] = ()
    confidence: float = 1.0
    warnings: Tuple[str, ...] = ()


_CLASSES = {
    "absolute": AbsoluteValue,
    "relative": RelativeValue,
    "duration": DurationValue,
    "interval": IntervalValue,
}

_FIELDS = {kind: tuple(kind.__dataclass_fields__) for kind in (Match, *_CLASSES.values())}

_SURROGATE = _re.compile("[\ud800-\udfff]")


def as_utf8(text):
    """The text with a replacement character for each surrogate, which UTF-8 does not have."""
    if not isinstance(text, str):
        raise TypeError(f"expected string, not {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text)
    return text


def _settings(
    reference,
    *,
    strict,
    first,
    two_digit_year_pivot,
    allow_month_only,
    allow_compact_numeric,
    allow_multiline,
    locales=None,
):
    # A table, for `extract`'s and `find_dates`' options are the same.
    parts = (reference.year, reference.month, reference.day, reference.hour)
    return {
        "reference": parts + (reference.minute, reference.second, reference.microsecond),
        "locales": list(locales or ()),
        "strict": bool(strict),
        "first": first,
        "pivot": 68 if two_digit_year_pivot is None else two_digit_year_pivot,
        "month_only": bool(allow_month_only),
        "compact": bool(allow_compact_numeric),
        "multiline": bool(allow_multiline),
    }


def extract(
    text,
    *,
    reference_dt=None,
    locales=None,
    timezone_name=None,
    strict=False,
    first="month",
    two_digit_year_pivot=None,
    allow_month_only=True,
    allow_compact_numeric=False,
    allow_multiline=True,
    stream=False,
):
    """Return the dates of a text as a list of `Match`, or an iterator with `stream`.

    Relative dates, and missing years, are those of `reference_dt` (now, without it), which is taken to UTC; moments
    without a zone of their own are in UTC. `locales` names the languages whose months and weekdays are read.
    `timezone_name` is accepted and not used, as in the original.
    """
    utc = _datetime.timezone.utc
    if reference_dt is None:
        reference = _datetime.datetime.now(utc)
    elif reference_dt.tzinfo is None:
        reference = reference_dt.replace(tzinfo=utc)
    else:
        reference = reference_dt.astimezone(utc)
    settings = _settings(
        reference,
        locales=locales,
        strict=strict,
        first=first,
        two_digit_year_pivot=two_digit_year_pivot,
        allow_month_only=allow_month_only,
        allow_compact_numeric=allow_compact_numeric,
        allow_multiline=allow_multiline,
    )
    matches = _matches(_find.extract(as_utf8(text), settings, utc))
    return matches if stream else list(matches)


def _matches(rows):
    for *fields, value, alternate, confidence, warnings in rows:
        make = _CLASSES[fields[0]]
        value = _filled(make, value)
        alternates = () if alternate is None else (_filled(make, alternate),)
        yield _filled(Match, (*fields, value, alternates, confidence, warnings))


def _filled(kind, values):
    """An object of a frozen class: its own `__init__` would set each field through a slow call."""
    made = object.__new__(kind)
    object.__setattr__(made, "__dict__", dict(zip(_FIELDS[kind], values)))
    return made


def find_complete(text, reference_dt, **options):
    """The dates that `extract` finds, as tuples of a date, its text and its place; naive where no zone is written.

    `options` are those of `extract` after the zone, each of them.
    """
    return _find.find_strict(as_utf8(text), _settings(reference_dt or _datetime.datetime.now(), **options))


def find_dates_compat(
    text,
    *,
    reference_dt=None,
    strict=False,
    first="month",
    two_digit_year_pivot=None,
    allow_month_only=True,
    allow_compact_numeric=False,
    allow_multiline=True,
):
    """Yield the moments that `extract` finds, without their places; of intervals the start, of durations nothing."""
    for match in extract(
        text,
        reference_dt=reference_dt,
        strict=strict,
        first=first,
        two_digit_year_pivot=two_digit_year_pivot,
        allow_month_only=allow_month_only,
        allow_compact_numeric=allow_compact_numeric,
        allow_multiline=allow_multiline,
        stream=True,
    ):
        if match.kind == "absolute":
            yield match.value.datetime_value
        elif match.kind == "relative":
            yield match.value.resolved_datetime
        elif match.kind == "interval":
            yield match.value.start
