"""Time zones, and the search for one by its name.

The methods that ``datetime`` calls are Rust; here is what is asked once: how a zone is made, found and kept.
"""

import _thread
import datetime
import os
import sys
import time
import warnings
import weakref
from collections import OrderedDict

from naja._native import dates as _dates

from .. import _tzdata_impl
from . import _tzpath
from ._common import _tzinfo, enfold, tzrangebase
from ._factories import _TzOffsetFactory, _TzSingleton, _TzStrFactory
from ._ical import tzical, _tzicalvtz, _tzicalvtzcomp  # noqa: F401
from ._tzfile import tzfile

__all__ = [
    "tzutc",
    "tzoffset",
    "tzlocal",
    "tzfile",
    "tzrange",
    "tzrangebase",
    "tzstr",
    "tzical",
    "tzwin",
    "tzwinlocal",
    "gettz",
    "enfold",
    "datetime_ambiguous",
    "datetime_exists",
    "resolve_imaginary",
    "available_iana_timezones",
    "UTC",
    "DeprecatedTzKeyWarning",
]

tzwin = tzwinlocal = None

ZERO = datetime.timedelta(0)
EPOCH = datetime.datetime(1970, 1, 1)

TZFILES = ["/etc/localtime", "localtime"]


class tzutc(_dates.tzutc, metaclass=_TzSingleton):
    """UTC. There is one instance, ``UTC``."""

    __hash__ = None
    # ``datetime`` looks it up by a new string each time, which is compared class by class: found here it is found first.
    utcoffset = _dates.tzutc.utcoffset


UTC = tzutc()


class tzoffset(_dates.tzoffset, metaclass=_TzOffsetFactory):
    """A fixed distance from UTC, in seconds or as a ``timedelta``, under a name that may be ``None``."""

    __hash__ = None
    utcoffset = _dates.tzoffset.utcoffset


class tzlocal(_tzinfo):
    """The zone that the ``time`` module tells of: the standard and daylight offsets of now, for all times."""

    def __init__(self):
        self._std_offset = datetime.timedelta(seconds=-time.timezone)
        self._dst_offset = datetime.timedelta(seconds=-time.altzone) if time.daylight else self._std_offset
        self._dst_saved = self._dst_offset - self._std_offset
        self._hasdst = bool(self._dst_saved)
        self._tznames = tuple(time.tzname)

    def utcoffset(self, dt):
        if dt is None and self._hasdst:
            return None
        return self._dst_offset if self._isdst(dt) else self._std_offset

    def dst(self, dt):
        if dt is None and self._hasdst:
            return None
        return self._dst_offset - self._std_offset if self._isdst(dt) else ZERO

    def tzname(self, dt):
        return self._tznames[self._isdst(dt)]

    def fromutc(self, dt):
        if self._hasdst or not isinstance(dt, datetime.datetime) or dt.tzinfo is not self:
            return super().fromutc(dt)
        return dt + self._std_offset

    def is_ambiguous(self, dt):
        """Whether a wall clock shows ``dt`` twice."""
        now = self._naive_is_dst(dt)
        return not now and now != self._naive_is_dst(dt - self._dst_saved)

    def _naive_is_dst(self, dt):
        return time.localtime(_datetime_to_timestamp(dt) + time.timezone).tm_isdst

    def _isdst(self, dt, fold_naive=True):
        if not self._hasdst:
            return False
        dstval = self._naive_is_dst(dt)
        if self.is_ambiguous(dt):
            fold = getattr(dt, "fold", None)
            return fold_naive if fold is None else not fold
        return dstval

    def __eq__(self, other):
        if isinstance(other, tzlocal):
            return self._std_offset == other._std_offset and self._dst_offset == other._dst_offset
        if isinstance(other, tzutc):
            return not self._hasdst and self._tznames[0] in {"UTC", "GMT"} and self._std_offset == ZERO
        if isinstance(other, tzoffset):
            return (
                not self._hasdst and self._tznames[0] == other._name and self._std_offset == other._offset
            )
        return NotImplemented

    __hash__ = None

    def __repr__(self):
        return f"{type(self).__name__}()"


def _delta(offset):
    """Seconds, or anything with ``total_seconds``, as a ``timedelta``."""
    seconds = getattr(offset, "total_seconds", None)
    return datetime.timedelta(seconds=offset if seconds is None else seconds())


class tzrange(tzrangebase):
    """A zone with the same rule every year.

    ``start`` and ``end`` are ``relativedelta`` from the first of January: by default the first Sunday in April at 2
    o'clock, and the last Sunday in October at 1 o'clock standard time.
    """

    _same_every_time = True

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "transitions" in vars(cls):
            cls._same_every_time = False

    def __init__(self, stdabbr, stdoffset=None, dstabbr=None, dstoffset=None, start=None, end=None):
        from ..relativedelta import SU, relativedelta

        self._std_abbr = stdabbr
        self._dst_abbr = dstabbr
        self._std_offset = ZERO if stdoffset is None else _delta(stdoffset)
        if dstoffset is not None:
            self._dst_offset = _delta(dstoffset)
        elif dstabbr and stdoffset is not None:
            self._dst_offset = self._std_offset + datetime.timedelta(hours=1)
        else:
            self._dst_offset = ZERO
        if dstabbr and start is None:
            start = relativedelta(hours=+2, month=4, day=1, weekday=SU(+1))
        if dstabbr and end is None:
            end = relativedelta(hours=+1, month=10, day=31, weekday=SU(-1))
        self._start_delta = start
        self._end_delta = end
        self._dst_base_offset_ = self._dst_offset - self._std_offset
        self.hasdst = bool(self._start_delta)

    def transitions(self, year):
        """The wall clocks at which daylight saving time begins and ends, or ``None`` without it."""
        if not self.hasdst:
            return None
        new_year = datetime.datetime(year, 1, 1)
        return new_year + self._start_delta, new_year + self._end_delta

    @property
    def _dst_base_offset(self):
        return self._dst_base_offset_

    def __eq__(self, other):
        if not isinstance(other, tzrange):
            return NotImplemented
        return (
            self._std_abbr == other._std_abbr
            and self._dst_abbr == other._dst_abbr
            and self._std_offset == other._std_offset
            and self._dst_offset == other._dst_offset
            and self._start_delta == other._start_delta
            and self._end_delta == other._end_delta
        )

    __hash__ = None


class tzstr(tzrange, metaclass=_TzStrFactory):
    """A zone as POSIX's TZ variable writes it: ``EST5EDT,M3.2.0,M11.1.0``.

    ``GMT+3`` and ``UTC+3`` are three hours ahead of UTC, as people mean them, unless ``posix_offset`` is set.
    """

    def __init__(self, s, posix_offset=False):
        from ..parser._parser import _parsetz

        self._s = s
        parsed = _parsetz(s)
        if parsed is None or parsed.any_unused_tokens:
            error = ValueError("unknown string format")
            error.add_note(f"in the TZ string {s!r}")
            raise error
        if parsed.stdabbr in ("GMT", "UTC") and not posix_offset:
            parsed.stdoffset *= -1
        super().__init__(
            parsed.stdabbr, parsed.stdoffset, parsed.dstabbr, parsed.dstoffset, start=False, end=False
        )
        self._start_delta = self._end_delta = None
        if parsed.dstabbr:
            self._start_delta = self._delta(parsed.start)
            if self._start_delta:
                self._end_delta = self._delta(parsed.end, isend=1)
        self.hasdst = bool(self._start_delta)

    def _delta(self, x, isend=0):
        from ..relativedelta import SU, relativedelta, weekday

        if x.month is not None:
            day = {"month": x.month}
            if x.weekday is not None:
                day["weekday"] = weekday(x.weekday, x.week)
                day["day"] = 1 if x.week > 0 else 31
            elif x.day:
                day["day"] = x.day
        elif x.yday is not None:
            day = {"yearday": x.yday}
        elif x.jyday is not None:
            day = {"nlyearday": x.jyday}
        else:
            day = None
        if not day:
            day = {"month": 10, "day": 31, "weekday": SU(-1)} if isend else {"month": 4, "day": 1, "weekday": SU(+1)}
        seconds = 7200 if x.time is None else x.time
        if isend:
            # The end is written on the clock of daylight saving time; tzrange wants it on that of standard time.
            saved = self._dst_offset - self._std_offset
            seconds -= saved.seconds + saved.days * 86400
        return relativedelta(seconds=seconds, **day)

    def __repr__(self):
        return f"{type(self).__name__}({self._s!r})"


class DeprecatedTzKeyWarning(FutureWarning):
    """``gettz`` was given a relative key, such as ``../zone``, for a file outside of every folder on ``TZPATH``.

    This is an error unless a warnings filter says otherwise. Absolute paths are not affected.
    """


def _escapes_tzpath(path):
    """Whether a path lies outside of every folder on the search path."""
    path = os.path.normpath(path)
    folders = [os.path.normpath(folder) for folder in _tzpath.zoneinfo.TZPATH]
    return not any(path.startswith(os.path.join(folder, "")) for folder in folders)


def _warn_tzpath_escape(name):
    with warnings.catch_warnings():
        # Last in the list, so that any filter of the user's is stronger.
        warnings.filterwarnings("error", category=DeprecatedTzKeyWarning, append=True)
        level, frame = 1, sys._getframe(0)
        while frame is not None and frame.f_globals.get("__name__") == __name__:
            level, frame = level + 1, frame.f_back
        warnings.warn(
            f"{name!r} is not below any folder on TZPATH: use an absolute path", DeprecatedTzKeyWarning, level
        )


def _local_zone():
    for path in TZFILES:
        candidates = [path] if os.path.isabs(path) else [os.path.join(p, path) for p in _tzpath.zoneinfo.TZPATH]
        for candidate in candidates:
            if os.path.isfile(candidate):
                try:
                    return tzfile(candidate)
                except (OSError, ValueError):
                    pass
    return tzlocal()


def _zone_on_path(name):
    for folder in _tzpath.zoneinfo.TZPATH:
        path = os.path.join(folder, name)
        try:
            if not os.path.isfile(path):
                if " " not in path:
                    continue
                path = path.replace(" ", "_")
                if not os.path.isfile(path):
                    continue
            if _escapes_tzpath(path):
                _warn_tzpath_escape(name)
            with open(path, "rb") as stream:
                return tzfile(stream, filename=path, key=name)
        except (OSError, ValueError):
            pass
    return None


def _zone_of_tzdata(name):
    for key in dict.fromkeys([name, name.replace(" ", "_")]):
        try:
            with _tzdata_impl._load_tzdata(key) as stream:
                return tzfile(stream, key=name)
        except (OSError, ValueError):
            pass
    return None


class _Gettz:
    """Finds zones and keeps those found, so that the same name gives the same object."""

    def __init__(self):
        self.__instances = weakref.WeakValueDictionary()
        self.__kept = OrderedDict()
        self.__kept_size = 8
        self._cache_lock = _thread.allocate_lock()

    def __call__(self, name=None):
        kept = self.__kept
        try:
            zone = kept[name]
            kept.move_to_end(name)
            return zone
        except KeyError:
            # Never found, found long ago, or dropped by another thread this moment.
            pass
        zone = self.__instances.get(name)
        if zone is None:
            zone = self.nocache(name=name)
            if name is None or zone is None or isinstance(zone, tzlocal):
                # What depends on the surroundings may be another the next time.
                return zone
            zone = self.__instances.setdefault(name, zone)
        with self._cache_lock:
            self.__kept[name] = zone
            if len(self.__kept) > self.__kept_size:
                self.__kept.popitem(last=False)
        return zone

    def set_cache_size(self, size):
        """How many zones are kept even if nobody uses them."""
        with self._cache_lock:
            self.__kept_size = size
            while len(self.__kept) > size:
                self.__kept.popitem(last=False)

    def cache_clear(self):
        """Forgets all zones."""
        with self._cache_lock:
            self.__instances = weakref.WeakValueDictionary()
            self.__kept.clear()

    @staticmethod
    def nocache(name=None):
        """Finds a zone without regard to those found before."""
        if name is None:
            name = os.environ.get("TZ")
        if name is None or name in ("", ":"):
            return _local_zone()
        try:
            if name.startswith(":"):
                name = name[1:]
        except TypeError as error:
            if isinstance(name, bytes):
                raise TypeError("gettz argument should be str, not bytes") from error
            raise
        if os.path.isabs(name):
            return tzfile(name) if os.path.isfile(name) else None
        zone = _zone_on_path(name) or _zone_of_tzdata(name)
        if zone is not None:
            return zone
        if any(character in "0123456789" for character in name):
            try:
                return tzstr(name)
            except ValueError:
                return None
        if name in ("GMT", "UTC"):
            return UTC
        if name in time.tzname:
            return tzlocal()
        return None


gettz = _Gettz()
gettz.__doc__ = """The zone with a name: an IANA key, a path of a TZif file, or a string as in the TZ variable.

Without a name, or with an empty one, the local zone. ``None`` where there is no such zone. Keys are looked for on
``TZPATH`` first, then in the ``tzdata`` package. The same name gives the same object; ``gettz.nocache`` looks anew,
``gettz.cache_clear`` forgets.
"""


def available_iana_timezones():
    """The names of all zones on ``TZPATH`` and in the ``tzdata`` package, as a new set."""
    zones = set(_tzdata_impl._load_tzdata_keys())
    for root in _tzpath.zoneinfo.TZPATH:
        for folder, folders, files in os.walk(root):
            if folder == root:
                # Copies of all the others, with and without leap seconds.
                folders[:] = [name for name in folders if name not in ("right", "posix")]
            for name in files:
                path = os.path.join(folder, name)
                key = os.path.relpath(path, root).replace(os.sep, "/")
                if key not in zones and _is_zone_file(path):
                    zones.add(key)
    return zones - {"posixrules", "localtime"}


def _is_zone_file(path):
    try:
        with open(path, "rb") as stream:
            return stream.read(4) == b"TZif"
    except OSError:
        return False


def datetime_exists(dt, tz=None):
    """Whether a wall clock in ``tz``, or in ``dt``'s own zone, ever shows ``dt``."""
    if tz is None:
        if dt.tzinfo is None:
            raise ValueError("Datetime is naive and no time zone provided.")
        tz = dt.tzinfo
    naive = dt.replace(tzinfo=None)
    back = naive.replace(tzinfo=tz).astimezone(UTC).astimezone(tz)
    return back.replace(tzinfo=None) == naive


def datetime_ambiguous(dt, tz=None):
    """Whether a wall clock in ``tz``, or in ``dt``'s own zone, shows ``dt`` twice."""
    if tz is None:
        if dt.tzinfo is None:
            raise ValueError("Datetime is naive and no time zone provided.")
        tz = dt.tzinfo
    is_ambiguous = getattr(tz, "is_ambiguous", None)
    if is_ambiguous is not None:
        try:
            return tz.is_ambiguous(dt)
        except Exception:
            pass
    dt = dt.replace(tzinfo=tz)
    first, second = enfold(dt, fold=0), enfold(dt, fold=1)
    return not (first.utcoffset() == second.utcoffset() and first.dst() == second.dst())


def resolve_imaginary(dt):
    """``dt``, or, where no wall clock shows it, what the clock would show had it not been put ahead."""
    if dt.tzinfo is not None and not datetime_exists(dt):
        before = (dt - datetime.timedelta(hours=24)).utcoffset()
        after = (dt + datetime.timedelta(hours=24)).utcoffset()
        dt += after - before
    return dt


def _datetime_to_timestamp(dt):
    return (dt.replace(tzinfo=None) - EPOCH).total_seconds()
