from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

Captures = dict[str, list[str]]

class DateFinder:
    base_date: datetime | None
    dayfirst: bool
    yearfirst: bool
    def __init__(
        self, base_date: datetime | None = None, first: Literal["month", "day", "year"] = "month"
    ) -> None: ...
    def find_dates(
        self, text: str, source: bool = False, index: bool = False, strict: bool = False
    ) -> Iterator[Any]: ...
    def extract_date_strings(
        self, text: str, strict: bool = False
    ) -> Iterator[tuple[str, tuple[int, int], Captures]]: ...
    def extract_date_strings_inner(
        self, text: str, text_start: int = 0, strict: bool = False
    ) -> Iterator[tuple[str, tuple[int, int], Captures]]: ...
    def parse_date_string(self, date_string: str, captures: Captures) -> datetime | None: ...

def find_dates_legacy(
    text: str,
    source: bool = False,
    index: bool = False,
    strict: bool = False,
    base_date: datetime | None = None,
    first: Literal["month", "day", "year"] = "month",
) -> Iterator[Any]: ...
