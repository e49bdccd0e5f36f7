"""The classes of the parser that a program may subclass; the work is done in Rust.

`parse` itself is the Rust function. What is written here is what a subclass sees: the tables of `parserinfo`, the
steps of `parser`. A subclass that replaces a step gets the steps one after the other; all others take the way through
Rust at once.
"""

import time

from naja._native import dates as _dates

__all__ = ["parse", "parserinfo", "ParserError"]

parse = _dates.parse


class ParserError(ValueError):
    """A string that cannot be parsed as a date and time."""

    def __str__(self):
        try:
            return self.args[0] % self.args[1:]
        except (TypeError, IndexError):
            return super().__str__()

    def __repr__(self):
        args = ", ".join(f"'{arg}'" for arg in self.args)
        return f"{type(self).__name__}({args})"


class UnknownTimezoneWarning(RuntimeWarning):
    """A string has the name of a time zone that the parser does not know."""


class parserinfo(_dates.ParserInfo):
    """The words that a parser knows; subclass it to give other words.

    :param dayfirst: whether the first of three ambiguous numbers (01/05/09) is the day.
    :param yearfirst: whether the first of three ambiguous numbers is the year.
    """

    JUMP = [" ", ".", ",", ";", "-", "/", "'", "at", "on", "and", "ad", "m", "t", "of", "st", "nd", "rd", "th"]
    WEEKDAYS = [
        ("Mon", "Monday"),
        ("Tue", "Tuesday"),
        ("Wed", "Wednesday"),
        ("Thu", "Thursday"),
        ("Fri", "Friday"),
        ("Sat", "Saturday"),
        ("Sun", "Sunday"),
    ]
    MONTHS = [
        ("Jan", "January"),
        ("Feb", "February"),
        ("Mar", "March"),
        ("Apr", "April"),
        ("May", "May"),
        ("Jun", "June"),
        ("Jul", "July"),
        ("Aug", "August"),
        ("Sep", "Sept", "September"),
        ("Oct", "October"),
        ("Nov", "November"),
        ("Dec", "December"),
    ]
    HMS = [("h", "hour", "hours"), ("m", "minute", "minutes"), ("s", "second", "seconds")]
    AMPM = [("am", "a"), ("pm", "p")]
    UTCZONE = ["UTC", "GMT", "Z", "z"]
    PERTAIN = ["of"]
    TZOFFSET = {}

    def __init__(self, dayfirst=False, yearfirst=False):
        self._jump = self._convert(self.JUMP)
        self._weekdays = self._convert(self.WEEKDAYS)
        self._months = self._convert(self.MONTHS)
        self._hms = self._convert(self.HMS)
        self._ampm = self._convert(self.AMPM)
        self._utczone = self._convert(self.UTCZONE)
        self._pertain = self._convert(self.PERTAIN)

        self.dayfirst = dayfirst
        self.yearfirst = yearfirst

        self._year = time.localtime().tm_year
        self._century = self._year // 100 * 100
        self._choose_way()

    def _convert(self, lst):
        numbers = {}
        for number, words in enumerate(lst):
            for word in words if isinstance(words, tuple) else (words,):
                numbers[word.lower()] = number
        return numbers

    def _choose_way(self):
        """Tells the Rust side whether it may answer by itself."""
        cls = type(self)
        replaced = [name for name in _METHODS if getattr(cls, name) is not _METHODS[name]]
        if any(name in replaced for name in _LOOKUPS):
            kind = "methods"
        elif cls is parserinfo and all(getattr(self, name) == table for name, table in _ENGLISH.items()):
            kind = "english"
        else:
            kind = "tables"
        self._settle(kind, replaced)

    def __getstate__(self):
        own = ("dayfirst", "yearfirst", "_year", "_century")
        return {**self.__dict__, **{name: getattr(self, name) for name in own}}

    def __setstate__(self, state):
        for name, value in state.items():
            setattr(self, name, value)
        self._choose_way()

    def jump(self, name):
        """Whether a word may stand between the parts of a date."""
        return name.lower() in self._jump

    def weekday(self, name):
        """The weekday that a word names, 0 for Monday, or None."""
        return self._weekdays.get(name.lower())

    def month(self, name):
        """The month that a word names, 1 to 12, or None."""
        number = self._months.get(name.lower())
        return None if number is None else number + 1

    def hms(self, name):
        """0, 1 or 2 for a word for hours, minutes or seconds, or None."""
        return self._hms.get(name.lower())

    def ampm(self, name):
        """0 or 1 for a word for the first or the second half of the day, or None."""
        return self._ampm.get(name.lower())

    def pertain(self, name):
        """Whether a word joins a month and its year."""
        return name.lower() in self._pertain

    def utczone(self, name):
        """Whether a word names UTC."""
        return name.lower() in self._utczone

    def tzoffset(self, name):
        """The offset of a zone in seconds by its name, or None."""
        if name in self._utczone:
            return 0
        return self.TZOFFSET.get(name)

    def convertyear(self, year, century_specified=False):
        """The year that is meant by two digits: from 50 years before this one to 49 after."""
        assert year >= 0
        if year < 100 and not century_specified:
            year += self._century
            if year >= self._year + 50:
                year -= 100
            elif year < self._year - 50:
                year += 100
        return year

    def validate(self, res):
        """Completes what was read, in place; False refuses it."""
        if res.year is not None:
            res.year = self.convertyear(res.year, res.century_specified)
        if (res.tzoffset == 0 and not res.tzname) or res.tzname in ("Z", "z"):
            res.tzname = "UTC"
            res.tzoffset = 0
        elif res.tzoffset != 0 and res.tzname and self.utczone(res.tzname):
            res.tzoffset = 0
        return True


_LOOKUPS = ("jump", "weekday", "month", "hms", "ampm", "pertain", "utczone")
_METHODS = {name: getattr(parserinfo, name) for name in (*_LOOKUPS, "tzoffset", "convertyear", "validate")}
_TABLES = {
    "_jump": "JUMP",
    "_weekdays": "WEEKDAYS",
    "_months": "MONTHS",
    "_hms": "HMS",
    "_ampm": "AMPM",
    "_utczone": "UTCZONE",
    "_pertain": "PERTAIN",
}
_ENGLISH = {name: parserinfo._convert(None, getattr(parserinfo, table)) for name, table in _TABLES.items()}
_ENGLISH.update(UTCZONE=list(parserinfo.UTCZONE), TZOFFSET={})


class _resultbase:
    """An object with one attribute for each of its slots, None until it is set."""

    __slots__ = ()

    def __init__(self):
        for name in self.__slots__:
            setattr(self, name, None)

    def _repr(self, classname):
        values = ((name, getattr(self, name)) for name in self.__slots__)
        return "{}({})".format(classname, ", ".join(f"{name}={value!r}" for name, value in values if value is not None))

    def __len__(self):
        return sum(getattr(self, name) is not None for name in self.__slots__)

    def __repr__(self):
        return self._repr(type(self).__name__)


class _Result(_resultbase):
    """What a string says."""

    __slots__ = (
        "year",
        "month",
        "day",
        "weekday",
        "hour",
        "minute",
        "second",
        "microsecond",
        "tzname",
        "tzoffset",
        "ampm",
        "any_unused_tokens",
        "__dict__",
    )

    def __init__(self):
        for name in self.__slots__[:-1]:
            setattr(self, name, None)
        self.century_specified = False

    def __len__(self):
        return sum(getattr(self, name) is not None for name in self.__slots__[:-1])


_Result.__name__ = _Result.__qualname__ = "_result"


class parser:
    """A parser with the words of `info`."""

    _result = _Result

    def __init__(self, info=None):
        self.info = info or parserinfo()

    def parse(self, timestr, default=None, ignoretz=False, tzinfos=None, **kwargs):
        """Parse a string into a `datetime`; the arguments are those of the function `parse`."""
        if self._is_changed():
            return self._parse_in_steps(timestr, default, ignoretz, tzinfos, kwargs)
        return parse(timestr, self.info, default=default, ignoretz=ignoretz, tzinfos=tzinfos, **kwargs)

    def _is_changed(self):
        cls = type(self)
        return cls is not parser and any(getattr(cls, name) is not step for name, step in _STEPS.items())

    def _parse_in_steps(self, timestr, default, ignoretz, tzinfos, kwargs):
        if default is None:
            import datetime

            default = datetime.datetime.now().replace(hour=0, minute=0, second=0, microsecond=0)
        res, skipped_tokens = self._parse(timestr, **kwargs)
        if res is None:
            raise ParserError("Unknown string format: %s", timestr)
        if len(res) == 0:
            raise ParserError("String does not contain a date: %s", timestr)
        try:
            moment = self._build_naive(res, default)
        except ValueError as error:
            raise ParserError(str(error) + ": %s", timestr) from error
        if not ignoretz:
            moment = self._build_tzaware(moment, res, tzinfos)
        return (moment, skipped_tokens) if kwargs.get("fuzzy_with_tokens", False) else moment

    def _parse(self, timestr, dayfirst=None, yearfirst=None, fuzzy=False, fuzzy_with_tokens=False):
        return _dates.parse_parts(self.info, timestr, dayfirst, yearfirst, fuzzy, fuzzy_with_tokens)

    def _build_naive(self, res, default):
        return _dates.build_naive(res, default)

    def _build_tzaware(self, naive, res, tzinfos):
        return _dates.build_aware(self.info, naive, res, tzinfos)


_STEPS = {name: getattr(parser, name) for name in ("_parse", "_build_naive", "_build_tzaware")}

DEFAULTPARSER = parser()
_dates.set_default_info(DEFAULTPARSER.info)


class _timelex:
    """The tokens of a string, one after the other."""

    def __init__(self, instream):
        self.instream = instream
        self._tokens = iter(_dates.split(instream))

    def get_token(self):
        return next(self._tokens, None)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._tokens)

    @classmethod
    def split(cls, s):
        return list(cls(s))

    @classmethod
    def isword(cls, nextchar):
        return nextchar.isalpha()

    @classmethod
    def isnum(cls, nextchar):
        return nextchar.isdigit()

    @classmethod
    def isspace(cls, nextchar):
        return nextchar.isspace()


def __getattr__(name):
    if name in ("_ymd", "_tzparser", "_parsetz", "DEFAULTTZPARSER"):
        from . import _private

        return getattr(_private, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
