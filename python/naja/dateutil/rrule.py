"""Recurrence rules as in iCalendar (RFC 5545): ``rrule`` for one, ``rruleset`` for several, ``rrulestr`` for text."""

from naja._native import dates as _dates

from ._common import weekday as weekdaybase

__all__ = [
    "rrule",
    "rruleset",
    "rrulestr",
    "YEARLY",
    "MONTHLY",
    "WEEKLY",
    "DAILY",
    "HOURLY",
    "MINUTELY",
    "SECONDLY",
    "MO",
    "TU",
    "WE",
    "TH",
    "FR",
    "SA",
    "SU",
]

FREQNAMES = ["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"]
YEARLY, MONTHLY, WEEKLY, DAILY, HOURLY, MINUTELY, SECONDLY = range(7)


class weekday(weekdaybase):
    """A weekday, and with ``n`` the how-manieth of its month or year: ``FR(-1)`` is the last Friday."""

    def __init__(self, wkday, n=None):
        if n == 0:
            raise ValueError("Can't create weekday with n==0")
        super().__init__(wkday, n)


MO, TU, WE, TH, FR, SA, SU = weekdays = tuple(weekday(number) for number in range(7))

rrulebase = _dates.rrulebase
rrule = _dates.rrule
rruleset = _dates.rruleset
rrulestr = _dates.rrulestr
