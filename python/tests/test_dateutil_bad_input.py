"""What `naja.dateutil` says of bad input: the original's exception, with its message."""

import contextlib
import datetime
import importlib
import io
import os
import pathlib
import signal
import subprocess
import sys
import time
import warnings

import pytest
from originals import importable

from naja.dateutil import parser, relativedelta, rrule, tz

OURS = {"parser": parser, "relativedelta": relativedelta, "rrule": rrule, "tz": tz}
ICALENDAR = "BEGIN:VTIMEZONE\nTZID:Test\n{}\nEND:VTIMEZONE\n"
STANDARD = "BEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\n{}END:STANDARD"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The original's modules."""
    with importable(tmp_path_factory.mktemp("original"), "python-dateutil==4.0.0", forget=("dateutil",)):
        yield {name: importlib.import_module("dateutil." + name) for name in OURS}


def outcome(call, modules):
    """The value, or the exception's class and message, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            answer = repr(call(modules))
        except Exception as error:  # noqa: BLE001: which one it is, is the answer
            answer = type(error).__name__, str(error)
    return answer, [(warning.category.__name__, str(warning.message)) for warning in caught]


def icalendar(text):
    return lambda m: m["tz"].tzical(io.StringIO(text)).get()


CASES = {
    "a number": lambda m: m["parser"].parse(2003),
    "nothing": lambda m: m["parser"].parse(None),
    "a list": lambda m: m["parser"].parse(["2003"]),
    "empty": lambda m: m["parser"].parse(""),
    "blank": lambda m: m["parser"].parse("   "),
    "bytes in Latin-1": lambda m: m["parser"].parse("25 août 2003".encode("latin-1")),
    "bytes in UTF-16": lambda m: m["parser"].parse("2003".encode("utf-16")),
    "a surrogate": lambda m: m["parser"].parse("2003-09-\ud800"),
    "half a billion": lambda m: m["parser"].parse("500000000"),
    "a year of ten digits": lambda m: m["parser"].parse("1 Jan 1234567890"),
    "a hundred digits": lambda m: m["parser"].parse("9" * 100),
    "the 30th of February": lambda m: m["parser"].parse("2003-02-30"),
    "the 13th month": lambda m: m["parser"].parse("2003-13-13"),
    "hour 25": lambda m: m["parser"].parse("2003-09-25 25:00"),
    "an unknown zone": lambda m: m["parser"].parse("2003-09-25 10:00 XYZ"),
    "a word": lambda m: m["parser"].parse("2003-09-25 foo"),
    "four numbers": lambda m: m["parser"].parse("1 2 3 4"),
    "ISO: a number": lambda m: m["parser"].isoparse(20030925),
    "ISO: empty": lambda m: m["parser"].isoparse(""),
    "ISO: not ASCII": lambda m: m["parser"].isoparse("2003–09–25"),
    "ISO: the 13th month": lambda m: m["parser"].isoparse("2003-13-01"),
    "ISO: week 54": lambda m: m["parser"].isoparse("2003-W54"),
    "ISO: after the year 9999": lambda m: m["parser"].isoparse("9999-12-31T24:00"),
    "a distance in half years": lambda m: m["relativedelta"].relativedelta(years=0.5),
    "a weekday of 400 years": lambda m: m["relativedelta"].relativedelta(yearday=400),
    "beyond the year 9999": lambda m: datetime.datetime(9999, 12, 1) + m["relativedelta"].relativedelta(months=1),
    "a rule without FREQ": lambda m: m["rrule"].rrulestr("COUNT=3"),
    "an unknown FREQ": lambda m: m["rrule"].rrulestr("FREQ=FORTNIGHTLY"),
    "an unknown part": lambda m: m["rrule"].rrulestr("FREQ=DAILY;FOO=1"),
    "a part without a value": lambda m: m["rrule"].rrulestr("FREQ=DAILY;COUNT"),
    "a part that is no number": lambda m: m["rrule"].rrulestr("FREQ=DAILY;COUNT=three"),
    "an unknown weekday": lambda m: m["rrule"].rrulestr("FREQ=WEEKLY;BYDAY=XX"),
    "a rule of nothing": lambda m: m["rrule"].rrulestr(""),
    "an unknown property": lambda m: m["rrule"].rrulestr("FOO:1\nRRULE:FREQ=DAILY"),
    "COUNT and UNTIL": lambda m: list(
        m["rrule"].rrule(3, count=1, until=datetime.datetime(2003, 1, 1), dtstart=datetime.datetime(2002, 1, 1))
    ),
    "a zone that is not there": lambda m: m["tz"].gettz("No/Such_Zone"),
    "a zone in bytes": lambda m: m["tz"].gettz(b"UTC"),
    "a zone outside of the database": lambda m: m["tz"].gettz("../../../etc/passwd"),
    "a TZ string that is none": lambda m: m["tz"].tzstr("EST5EDT,M3"),
    "a file that is no zone": lambda m: m["tz"].tzfile(io.BytesIO(b"nothing of that kind")),
    "an iCalendar without components": icalendar(ICALENDAR.format("")),
    "an iCalendar inside of an iCalendar": icalendar(ICALENDAR.format(ICALENDAR.format(""))),
    "an iCalendar that does not end": icalendar("BEGIN:VTIMEZONE\nTZID:Test\n"),
    "an iCalendar with a broken rule": icalendar(ICALENDAR.format(STANDARD.format("RRULE:FREQ=NEVER\n"))),
    "an iCalendar without offsets": icalendar(ICALENDAR.format("BEGIN:STANDARD\nDTSTART:19700101T000000\nEND:STANDARD")),
}

# naja says these in words of its own; the classes are the original's.
OWN_WORDS = {
    "a file that is no zone",
    "a part without a value",
    "a zone outside of the database",
    "COUNT and UNTIL",
    "ISO: a number",
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_as_the_original_refuses_it(original, name):
    ours, theirs = outcome(CASES[name], OURS), outcome(CASES[name], original)
    if name in OWN_WORDS:
        ours, theirs = ((answer[0], [kind for kind, _ in caught]) for answer, caught in (ours, theirs))
    assert ours == theirs


@contextlib.contextmanager
def searched(folder):
    """Makes a folder the whole search path of zones."""
    tz.reset_tzpath([str(folder)])
    tz.gettz.cache_clear()
    try:
        yield
    finally:
        tz.reset_tzpath()
        tz.gettz.cache_clear()


def test_a_corrupt_zone_is_passed_over_for_the_next_place(tmp_path):
    (tmp_path / "Europe").mkdir()
    (tmp_path / "Europe" / "Paris").write_bytes(b"TZif2" + bytes(200))
    (tmp_path / "Nowhere").write_bytes(b"TZif")
    with searched(tmp_path):
        assert tz.gettz("Nowhere") is None
        paris = tz.gettz("Europe/Paris")
        if paris is not None:  # from the package `tzdata`
            assert paris.utcoffset(datetime.datetime(2024, 7, 1)) == datetime.timedelta(hours=2)


def test_without_a_zone_database_there_is_still_utc_and_the_local_zone(tmp_path):
    with searched(tmp_path / "missing"):
        assert tz.gettz("UTC").utcoffset(datetime.datetime(2024, 1, 1)) == datetime.timedelta(0)
        assert tz.gettz("Etc/No_Such_Zone") is None
        assert tz.gettz() is not None


ENDLESS = [
    "list(rrule.rrule(rrule.SECONDLY))",
    "rrule.rrule(rrule.SECONDLY).count()",
    "rrule.rrule(rrule.MINUTELY, byhour=3, cache=True)[10**12]",
    "rrule.rrule(rrule.SECONDLY) and (lambda s: (s.rrule(rrule.rrule(rrule.SECONDLY)), list(s)))(rrule.rruleset())",
]


@pytest.mark.parametrize("endless", ENDLESS)
def test_ctrl_c_stops_a_rule_without_an_end(endless):
    program = f"from naja.dateutil import rrule\nprint('begun', flush=True)\n{endless}"
    folder = str(pathlib.Path(importlib.import_module("naja").__file__).parents[1])
    # Two gigabytes: a list that grows too fast ends with its own error, not with the machine's.
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n{program}"
    process = subprocess.Popen(
        [sys.executable, "-c", limited],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": folder},
    )
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT or "MemoryError" in errors, errors
    assert "KeyboardInterrupt" in errors or "MemoryError" in errors, errors


def test_a_rule_that_has_no_date_ends():
    assert list(rrule.rrule(rrule.SECONDLY, bymonth=2, bymonthday=30, dtstart=datetime.datetime(2000, 1, 1))) == []


def test_a_rule_is_walked_only_as_far_as_it_is_asked():
    rule = rrule.rrule(rrule.SECONDLY, dtstart=datetime.datetime(2000, 1, 1))
    dates = iter(rule)
    assert [next(dates).second for _ in range(3)] == [0, 1, 2]
    assert rule[10**6] == datetime.datetime(2000, 1, 1) + datetime.timedelta(seconds=10**6)
