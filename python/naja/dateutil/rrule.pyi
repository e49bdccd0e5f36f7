from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, tzinfo
from typing import Any, Final, SupportsIndex, TypeAlias, overload

from ._common import weekday as weekdaybase

YEARLY: Final = 0
MONTHLY: Final = 1
WEEKLY: Final = 2
DAILY: Final = 3
HOURLY: Final = 4
MINUTELY: Final = 5
SECONDLY: Final = 6
FREQNAMES: list[str]

class weekday(weekdaybase): ...

MO: weekday
TU: weekday
WE: weekday
TH: weekday
FR: weekday
SA: weekday
SU: weekday
weekdays: tuple[weekday, ...]

_Numbers: TypeAlias = int | Iterable[int] | None
_Weekdays: TypeAlias = int | weekdaybase | Iterable[int | weekdaybase] | None

class rrulebase:
    def __init__(self, cache: bool = False) -> None: ...
    def __iter__(self) -> Iterator[datetime]: ...
    @overload
    def __getitem__(self, item: SupportsIndex) -> datetime: ...
    @overload
    def __getitem__(self, item: slice) -> list[datetime]: ...
    def __contains__(self, item: datetime) -> bool: ...
    def count(self) -> int: ...
    def before(self, dt: datetime, inc: bool = False) -> datetime | None: ...
    def after(self, dt: datetime, inc: bool = False) -> datetime | None: ...
    def xafter(self, dt: datetime, count: int | None = None, inc: bool = False) -> Iterator[datetime]: ...
    def between(self, after: datetime, before: datetime, inc: bool = False, count: int = 1) -> list[datetime]: ...

class rrule(rrulebase):
    def __init__(
        self,
        freq: int,
        dtstart: date | None = None,
        interval: int = 1,
        wkst: int | weekdaybase | None = None,
        count: int | None = None,
        until: date | None = None,
        bysetpos: _Numbers = None,
        bymonth: _Numbers = None,
        bymonthday: _Numbers = None,
        byyearday: _Numbers = None,
        byeaster: _Numbers = None,
        byweekno: _Numbers = None,
        byweekday: _Weekdays = None,
        byhour: _Numbers = None,
        byminute: _Numbers = None,
        bysecond: _Numbers = None,
        cache: bool = False,
    ) -> None: ...
    def replace(self, **kwargs: Any) -> rrule: ...

class rruleset(rrulebase):
    def rrule(self, rrule: rrulebase) -> None: ...
    def rdate(self, rdate: datetime) -> None: ...
    def exrule(self, exrule: rrulebase) -> None: ...
    def exdate(self, exdate: datetime) -> None: ...

def rrulestr(
    s: str,
    *,
    dtstart: date | None = None,
    cache: bool = False,
    unfold: bool = False,
    forceset: bool = False,
    compatible: bool = False,
    ignoretz: bool = False,
    tzids: Callable[[str], tzinfo | None] | Mapping[str, tzinfo] | None = None,
    tzinfos: Callable[[str | None, int | None], tzinfo | int | None] | Mapping[str, tzinfo | int] | None = None,
) -> rrule | rruleset: ...
