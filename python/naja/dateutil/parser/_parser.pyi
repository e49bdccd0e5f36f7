from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, tzinfo
from typing import Any, Literal, Protocol, overload

class _Readable(Protocol):
    def read(self) -> str: ...

_Text = str | bytes | bytearray | _Readable
_Zone = tzinfo | int | str | None
_Zones = Mapping[str, _Zone] | Callable[[str | None, int | None], _Zone]
_Part = Literal["year", "month", "day", "weekday", "hour", "minute", "second", "microsecond", "tzinfo"]

class ParserError(ValueError): ...
class UnknownTimezoneWarning(RuntimeWarning): ...

class parserinfo:
    JUMP: list[str]
    WEEKDAYS: list[tuple[str, ...]]
    MONTHS: list[tuple[str, ...]]
    HMS: list[tuple[str, ...]]
    AMPM: list[tuple[str, ...]]
    UTCZONE: list[str]
    PERTAIN: list[str]
    TZOFFSET: dict[str, int]
    dayfirst: bool
    yearfirst: bool
    def __init__(self, dayfirst: bool = False, yearfirst: bool = False) -> None: ...
    def jump(self, name: str) -> bool: ...
    def weekday(self, name: str) -> int | None: ...
    def month(self, name: str) -> int | None: ...
    def hms(self, name: str) -> int | None: ...
    def ampm(self, name: str) -> int | None: ...
    def pertain(self, name: str) -> bool: ...
    def utczone(self, name: str) -> bool: ...
    def tzoffset(self, name: str) -> int | None: ...
    def convertyear(self, year: int, century_specified: bool = False) -> int: ...
    def validate(self, res: Any) -> bool: ...

class parser:
    info: parserinfo
    def __init__(self, info: parserinfo | None = None) -> None: ...
    def parse(
        self,
        timestr: _Text,
        default: datetime | None = None,
        ignoretz: bool | None = False,
        tzinfos: _Zones | None = None,
        *,
        dayfirst: bool | None = None,
        yearfirst: bool | None = None,
        fuzzy: bool = False,
        fuzzy_with_tokens: bool = False,
        require: Collection[_Part] | None = None,
    ) -> Any: ...

DEFAULTPARSER: parser

@overload
def parse(
    timestr: _Text,
    parserinfo: parserinfo | None = None,
    *,
    fuzzy_with_tokens: Literal[True],
    default: datetime | None = None,
    ignoretz: bool | None = None,
    tzinfos: _Zones | None = None,
    dayfirst: bool | None = None,
    yearfirst: bool | None = None,
    fuzzy: bool | None = None,
    require: Collection[_Part] | None = None,
) -> tuple[datetime, tuple[str, ...]]: ...
@overload
def parse(
    timestr: _Text,
    parserinfo: parserinfo | None = None,
    *,
    default: datetime | None = None,
    ignoretz: bool | None = None,
    tzinfos: _Zones | None = None,
    dayfirst: bool | None = None,
    yearfirst: bool | None = None,
    fuzzy: bool | None = None,
    fuzzy_with_tokens: Literal[False] | None = None,
    require: Collection[_Part] | None = None,
) -> datetime: ...
def parse_many(
    values: Iterable[_Text],
    parserinfo: parserinfo | None = None,
    *,
    default: datetime | None = None,
    ignoretz: bool | None = None,
    tzinfos: _Zones | None = None,
    dayfirst: bool | None = None,
    yearfirst: bool | None = None,
    fuzzy: bool | None = None,
    require: Collection[_Part] | None = None,
    errors: Literal["raise", "none", "collect"] = "raise",
) -> Any: ...
def parse_with_format(
    timestr: _Text,
    *,
    default: datetime | None = None,
    ignoretz: bool | None = None,
    tzinfos: _Zones | None = None,
    dayfirst: bool | None = None,
    yearfirst: bool | None = None,
) -> tuple[datetime, str]: ...
