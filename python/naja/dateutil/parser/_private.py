"""Private names of the original that other programs and its tests read. Nothing in naja uses them."""

import re
import warnings
from calendar import monthrange

from ._parser import _resultbase


class _ymd(list):
    """The numbers of a date while it is not yet known which is which."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.century_specified = False
        self.dstridx = self.mstridx = self.ystridx = None

    @property
    def has_year(self):
        return self.ystridx is not None

    @property
    def has_month(self):
        return self.mstridx is not None

    @property
    def has_day(self):
        return self.dstridx is not None

    def could_be_day(self, value):
        if self.has_day:
            return False
        longest = 31
        if self.has_month:
            year = self[self.ystridx] if self.has_year else 2000
            longest = monthrange(year, self[self.mstridx])[1]
        return 1 <= value <= longest

    def append(self, val, label=None):
        is_year = val.isdigit() and len(val) > 2 if hasattr(val, "__len__") else val > 100
        if is_year:
            self.century_specified = True
            if label not in (None, "Y"):
                raise ValueError(label)
            label = "Y"
        super().append(int(val))
        if label is not None:
            place = label.lower() + "stridx"
            if getattr(self, place) is not None:
                raise ValueError({"Y": "Year", "M": "Month", "D": "Day"}[label] + " is already set")
            setattr(self, place, len(self) - 1)


class _tzparser:
    """Parses the value of a TZ variable, in the POSIX form or in the original's own, older one."""

    class _result(_resultbase):
        __slots__ = ("stdabbr", "stdoffset", "dstabbr", "dstoffset", "start", "end", "any_unused_tokens")

        class _attr(_resultbase):
            __slots__ = ("month", "week", "weekday", "yday", "jyday", "day", "time")

        def __init__(self):
            super().__init__()
            self.start = self._attr()
            self.end = self._attr()

        def __repr__(self):
            return self._repr("")

    _NAME = re.compile(r"([^0-9:,+\-]+)(?:([+-]?)(\d{4}|\d{1,2}:\d+|\d{1,2})(?![\d]))?")
    _RULE = re.compile(
        r"(?:J(?P<jyday>\d+)|M(?P<month>\d+)[-.](?P<week>\d+)[-.](?P<weekday>\d+)|(?P<yday>\d+))"
        r"(?:/(?P<time>\d{4}|\d+:\d+(?::\d+)?|\d{1,2}))?"
    )

    def parse(self, tzstr):
        """What a value says, or None where it says nothing that is understood."""
        res = self._result()
        at = 0
        for name, offset in (("stdabbr", "stdoffset"), ("dstabbr", "dstoffset")):
            found = self._NAME.match(tzstr, at)
            if not found:
                break
            setattr(res, name, found[1])
            if found[3]:
                # East of UTC is written with a minus.
                setattr(res, offset, self._seconds(found[3]) * (1 if found[2] == "-" else -1))
            at = found.end()
        rest = tzstr[at:].replace(";", ",")
        res.any_unused_tokens = res.stdabbr is None and bool(rest)
        if not rest or res.stdabbr is None:
            return res
        if not rest.startswith(","):
            return None
        parts = rest[1:].split(",")
        if len(parts) in (8, 9) and all(re.fullmatch(r"[+-]?\d+", part) for part in parts):
            return self._numbers(tzstr, res, [int(part) for part in parts])
        if len(parts) != 2:
            return None
        for rule, part in zip((res.start, res.end), parts):
            found = self._RULE.fullmatch(part)
            if not found:
                return None
            self._fill(rule, found)
        return res

    @staticmethod
    def _seconds(text):
        if ":" in text:
            hours, minutes, *seconds = (int(part) for part in text.split(":"))
            return hours * 3600 + minutes * 60 + sum(seconds)
        if len(text) == 4:
            return int(text[:2]) * 3600 + int(text[2:]) * 60
        return int(text) * 3600

    def _fill(self, rule, found):
        if found["jyday"]:
            rule.jyday = int(found["jyday"])
        elif found["month"]:
            rule.month = int(found["month"])
            rule.week = -1 if found["week"] == "5" else int(found["week"])
            rule.weekday = (int(found["weekday"]) - 1) % 7
        else:
            rule.yday = int(found["yday"]) + 1
        if found["time"]:
            rule.time = self._seconds(found["time"])

    @staticmethod
    def _numbers(tzstr, res, numbers):
        for rule, (month, week, day, time) in zip((res.start, res.end), (numbers[:4], numbers[4:8])):
            rule.month, rule.time = month, time
            if week:
                rule.week, rule.weekday = week, (day - 1) % 7
            else:
                rule.day = day
        if len(numbers) == 9:
            res.dstoffset = res.stdoffset + numbers[8]
        from .. import tz

        warnings.warn(
            f'Parsed time zone "{tzstr}" is in a non-standard dateutil-specific format, which is now deprecated; '
            "support for parsing this format will be removed in future versions. It is recommended that you switch "
            "to a standard format like the GNU TZ variable format.",
            tz.DeprecatedTzFormatWarning,
            stacklevel=2,
        )
        return res


DEFAULTTZPARSER = _tzparser()


def _parsetz(tzstr):
    return DEFAULTTZPARSER.parse(tzstr)
