"""Zones as iCalendar's ``VTIMEZONE`` describes them."""

import _thread
import datetime

from ._common import ZERO, _tzinfo


# Where the original's classes live: what pickles name.
_HOME = __name__.rpartition(".")[0] + ".tz"


class _tzicalvtzcomp:
    """One STANDARD or DAYLIGHT component: an offset and when it begins."""

    __module__ = _HOME

    def __init__(self, tzoffsetfrom, tzoffsetto, isdst, tzname=None, rrule=None):
        self.tzoffsetfrom = datetime.timedelta(seconds=tzoffsetfrom)
        self.tzoffsetto = datetime.timedelta(seconds=tzoffsetto)
        self.tzoffsetdiff = self.tzoffsetto - self.tzoffsetfrom
        self.isdst = isdst
        self.tzname = tzname
        self.rrule = rrule


class _tzicalvtz(_tzinfo):
    """A zone of components: the one that began last holds."""

    __module__ = _HOME

    _kept = 10

    def __init__(self, tzid, comps=[]):
        self._tzid = tzid
        self._comps = comps
        self._cachedate = []
        self._cachecomp = []
        self._cache_lock = _thread.allocate_lock()

    def _find_comp(self, dt):
        if len(self._comps) == 1:
            return self._comps[0]
        dt = dt.replace(tzinfo=None)
        key = (dt, self._fold(dt))
        with self._cache_lock:
            if key in self._cachedate:
                return self._cachecomp[self._cachedate.index(key)]
        begun = [(self._find_compdt(comp, dt), comp) for comp in self._comps]
        begun = [(date, comp) for date, comp in begun if date]
        if begun:
            # The first of equal ones.
            found = max(begun, key=lambda one: one[0])[1]
        else:
            # RFC 5545 does not say what holds before all of them: standard time, if there is one.
            found = next((comp for comp in self._comps if not comp.isdst), self._comps[0])
        with self._cache_lock:
            self._cachedate.insert(0, key)
            self._cachecomp.insert(0, found)
            del self._cachedate[self._kept :], self._cachecomp[self._kept :]
        return found

    def _find_compdt(self, comp, dt):
        if comp.tzoffsetdiff < ZERO and self._fold(dt):
            dt -= comp.tzoffsetdiff
        return comp.rrule.before(dt, inc=True)

    def utcoffset(self, dt):
        if dt is None:
            return None
        return self._find_comp(dt).tzoffsetto

    def dst(self, dt):
        comp = self._find_comp(dt)
        return comp.tzoffsetdiff if comp.isdst else ZERO

    def tzname(self, dt):
        return self._find_comp(dt).tzname

    def __repr__(self):
        return f"<tzicalvtz {self._tzid!r}>"


class tzical:
    """The zones of an iCalendar file: ``keys`` has their names, ``get`` gives one."""

    __module__ = _HOME

    def __init__(self, fileobj):
        if isinstance(fileobj, str):
            self._s = fileobj
            with open(fileobj, "r") as stream:
                text = stream.read()
        else:
            self._s = getattr(fileobj, "name", repr(fileobj))
            text = fileobj.read()
        self._vtz = {}
        self._parse_rfc(text)

    def keys(self):
        """The names of the zones."""
        return list(self._vtz)

    def get(self, tzid=None):
        """The zone with a name; without one, the only zone. ``None`` where there is no such zone."""
        if tzid is None:
            if not self._vtz:
                raise ValueError("no timezones defined")
            if len(self._vtz) > 1:
                raise ValueError("more than one timezone available")
            tzid = next(iter(self._vtz))
        return self._vtz.get(tzid)

    def _parse_offset(self, s):
        s = s.strip()
        if not s:
            raise ValueError("empty offset")
        sign = {"+": 1, "-": -1}.get(s[0])
        digits = s if sign is None else s[1:]
        if len(digits) not in (4, 6) or not (digits.isascii() and digits.isdigit()):
            raise ValueError(f"invalid offset: {s}")
        hours, minutes, seconds = int(digits[:2]), int(digits[2:4]), int(digits[4:] or 0)
        return (sign or 1) * (hours * 3600 + minutes * 60 + seconds)

    def _parse_rfc(self, s):
        if not s.splitlines():
            raise ValueError("empty string")
        zone = None
        for line in _unfolded(s):
            name, separator, value = line.partition(":")
            if not separator:
                raise ValueError(f"not a property: {line}")
            name, *parameters = name.split(";")
            name = name.upper()
            if zone is not None:
                if name == "END" and value == "VTIMEZONE":
                    self._vtz[zone.tzid] = zone.finished()
                    zone = None
                else:
                    zone.read(self, line, name, parameters, value)
            elif name == "BEGIN" and value == "VTIMEZONE":
                zone = _Vtimezone()

    def __repr__(self):
        return f"{type(self).__name__}({self._s!r})"


def _unfolded(text):
    """Lines, each with the lines that go on with it, without empty ones."""
    lines = []
    for line in text.splitlines():
        line = line.rstrip()
        if not line:
            continue
        if line[0] == " " and lines:
            lines[-1] += line[1:]
        else:
            lines.append(line)
    return lines


class _Vtimezone:
    """A VTIMEZONE while it is read."""

    def __init__(self):
        self.tzid = None
        self.comps = []
        self.comptype = None

    def read(self, calendar, line, name, parameters, value):
        if name == "BEGIN":
            if value not in ("STANDARD", "DAYLIGHT"):
                raise ValueError(f"unknown component: {value}")
            self.comptype = value
            self.lines = []
            self.began = False
            self.offsets = {}
            self.tzname = None
        elif name == "END":
            self.end(value)
        elif self.comptype:
            self.component(calendar, line, name, parameters, value)
        elif name == "TZID":
            for parameter in parameters:
                if not parameter.upper().startswith("X-"):
                    raise ValueError(f"unsupported TZID parm: {parameter}")
            self.tzid = value
        elif name not in ("TZURL", "LAST-MODIFIED", "COMMENT"):
            raise ValueError(f"unsupported property: {name}")

    def component(self, calendar, line, name, parameters, value):
        if name == "DTSTART":
            for parameter in parameters:
                if parameter != "VALUE=DATE-TIME":
                    raise ValueError(f"Unsupported DTSTART param in VTIMEZONE: {parameter}")
            self.lines.append(line)
            self.began = True
        elif name in ("RRULE", "RDATE", "EXRULE", "EXDATE"):
            self.lines.append(line)
        elif name in ("TZOFFSETFROM", "TZOFFSETTO", "TZNAME"):
            if parameters:
                raise ValueError(f"unsupported {name} parm: {parameters[0]}")
            if name == "TZNAME":
                self.tzname = value
            else:
                self.offsets[name] = calendar._parse_offset(value)
        elif name != "COMMENT":
            raise ValueError(f"unsupported property: {name}")

    def end(self, value):
        if value != self.comptype or value is None:
            raise ValueError(f"invalid component end: {value}")
        if not self.began:
            raise ValueError("mandatory DTSTART not found")
        for name in ("TZOFFSETFROM", "TZOFFSETTO"):
            if name not in self.offsets:
                raise ValueError(f"mandatory {name} not found")
        from ..rrule import rrulestr

        rule = rrulestr("\n".join(self.lines), compatible=True, ignoretz=True, cache=True)
        offsets = self.offsets["TZOFFSETFROM"], self.offsets["TZOFFSETTO"]
        self.comps.append(_tzicalvtzcomp(*offsets, value == "DAYLIGHT", self.tzname, rule))
        self.comptype = None

    def finished(self):
        if self.comptype:
            raise ValueError(f"component not closed: {self.comptype}")
        if not self.tzid:
            raise ValueError("mandatory TZID not found")
        if not self.comps:
            raise ValueError("at least one component is needed")
        return _tzicalvtz(self.tzid, self.comps)
