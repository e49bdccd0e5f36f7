"""The engine before 1.0: cuts a text into candidates, and leaves it to dateutil's parser whether one is a date."""

import datetime as _datetime

from naja._native import dates as _dates
from naja.dateutil import parser, tz

from .constants import STRIP_CHARS, TIMEZONE_REPLACEMENTS
from .v2 import as_utf8

_find = _dates.find


class DateFinder:
    """Finds dates in texts; the parts of its work are methods, as in the original."""

    #: The zones of the search that is under way, by name. `gettz` keeps none that it did not find, and looks through
    #: files for it again: a text can have ten thousand such names.
    _zones = None

    def __init__(self, base_date=None, first="month"):
        self.base_date = base_date
        self.dayfirst = first == "day"
        self.yearfirst = first == "year"

    def find_dates(self, text, source=False, index=False, strict=False):
        """Yield the dates of a text; with `source` or `index`, tuples of the date, its text, its place."""
        for date, date_string, indices in self._found(text, strict):
            if not source and not index:
                yield date
            else:
                yield (date,) + ((date_string,) if source else ()) + ((indices,) if index else ())

    def _found(self, text, strict):
        if type(self) is DateFinder:
            # No method is replaced, so the whole search can be done at once.
            order = (self.dayfirst, self.yearfirst)
            self._zones = {}
            try:
                return _find.find_older(as_utf8(text), strict, self.base_date, order, self._parse_swept)
            finally:
                self._zones = None
        return self._found_by_methods(text, strict)

    def _found_by_methods(self, text, strict):
        for date_string, indices, captures in self.extract_date_strings(text, strict=strict):
            date = self.parse_date_string(date_string, captures)
            if date is not None:
                yield date, date_string, indices

    def extract_date_strings(self, text, strict=False):
        """Yield what may be a date: its text, its place, and its parts by their group."""
        return self.extract_date_strings_inner(text, text_start=0, strict=strict)

    def extract_date_strings_inner(self, text, text_start=0, strict=False):
        """As `extract_date_strings`, for a text that starts at `text_start` of a longer one."""
        for date_string, (start, end), captures in _find.candidates(as_utf8(text), strict):
            yield date_string, (start + text_start, end + text_start), captures

    def parse_date_string(self, date_string, captures):
        """The date that a candidate is, or None."""
        try:
            return self._parse(date_string)
        except (ValueError, OverflowError):
            pass
        return self._parse_swept(date_string, captures.get("timezones", []))

    def _parse_swept(self, date_string, zones):
        date_string, tz_string = self._find_and_replace(date_string, {"timezones": zones})
        date_string = date_string.strip(STRIP_CHARS)
        # What is shorter is never a date.
        if len(date_string) < 3:
            return None
        date = self._parse_unseen(date_string)
        if date is None:
            return None
        return self._add_tzinfo(date, tz_string) if tz_string else date

    def _parse(self, date_string):
        return parser.parse(
            date_string, default=self.base_date, dayfirst=self.dayfirst, yearfirst=self.yearfirst
        )

    def _parse_unseen(self, date_string):
        if type(self) is DateFinder:
            return _find.parse_unseen(date_string, self.base_date, (self.dayfirst, self.yearfirst))
        try:
            return self._parse(date_string)
        except Exception:
            return None

    def _find_and_replace(self, date_string, captures):
        zones = captures.get("timezones", [])
        return _find.sweep(date_string, zones), self._pop_tz_string(sorted(zones))

    def _pop_tz_string(self, list_of_timezones):
        if not list_of_timezones:
            return ""
        last = list_of_timezones.pop()
        return TIMEZONE_REPLACEMENTS.get(last, last)

    def _add_tzinfo(self, datetime_obj, tz_string):
        if datetime_obj is None:
            return None
        zones = self._zones
        if zones is None:
            return datetime_obj.replace(tzinfo=tz.gettz(tz_string))
        if tz_string not in zones:
            zones[tz_string] = tz.gettz(tz_string)
        return datetime_obj.replace(tzinfo=zones[tz_string])


def find_dates_legacy(text, source=False, index=False, strict=False, base_date=None, first="month"):
    """Yield the dates of a text as datefinder did before 1.0."""
    return DateFinder(base_date=base_date, first=first).find_dates(text, source=source, index=index, strict=strict)
