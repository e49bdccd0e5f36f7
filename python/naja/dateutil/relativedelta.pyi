from datetime import date, datetime, timedelta
from typing import Self, TypeVar, overload

from ._common import weekday as weekday

_Date = TypeVar("_Date", bound=date)

MO: weekday
TU: weekday
WE: weekday
TH: weekday
FR: weekday
SA: weekday
SU: weekday
weekdays: tuple[weekday, ...]

class relativedelta:
    years: int
    months: int
    days: float
    leapdays: int
    hours: float
    minutes: float
    seconds: float
    microseconds: float
    year: int | None
    month: int | None
    day: int | None
    weekday: weekday | None
    hour: int | None
    minute: int | None
    second: int | None
    microsecond: int | None
    weeks: int
    def __init__(
        self,
        dt1: date | None = None,
        dt2: date | None = None,
        years: int = 0,
        months: int = 0,
        days: float = 0,
        leapdays: int = 0,
        weeks: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
        microseconds: float = 0,
        year: int | None = None,
        month: int | None = None,
        day: int | None = None,
        weekday: int | weekday | None = None,
        yearday: int | None = None,
        nlyearday: int | None = None,
        hour: int | None = None,
        minute: int | None = None,
        second: int | None = None,
        microsecond: int | None = None,
    ) -> None: ...
    def normalized(self) -> Self: ...
    @overload
    def __add__(self, other: relativedelta | timedelta) -> Self: ...
    @overload
    def __add__(self, other: _Date) -> _Date: ...
    @overload
    def __radd__(self, other: timedelta) -> Self: ...
    @overload
    def __radd__(self, other: _Date) -> _Date: ...
    def __sub__(self, other: relativedelta) -> Self: ...
    def __rsub__(self, other: _Date) -> _Date: ...
    def __neg__(self) -> Self: ...
    def __abs__(self) -> Self: ...
    def __mul__(self, other: float) -> Self: ...
    def __rmul__(self, other: float) -> Self: ...
    def __truediv__(self, other: float) -> Self: ...
    def __bool__(self) -> bool: ...
    def __hash__(self) -> int: ...
    def __eq__(self, other: object) -> bool: ...
