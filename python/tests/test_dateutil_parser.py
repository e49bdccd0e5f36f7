"""`naja.dateutil` beside python-dateutil itself: the original is the oracle.

The original is a package that only this test needs, so it is installed into a folder of its own; where it cannot be
had, the tests here are skipped, and say so. Seeds are fixed, and a failure shows its input.
"""

import datetime
import importlib
import pickle
import random
import subprocess
import sys
import warnings

import pytest
from originals import importable

from naja.dateutil import easter, parser, relativedelta, utils

ORIGINAL = "python-dateutil==4.0.0"
SEED = 20261121
ROUNDS = 4000


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The original's modules."""
    with importable(tmp_path_factory.mktemp("original"), ORIGINAL, forget=("dateutil",)):
        yield {name: importlib.import_module("dateutil." + name) for name in ("parser", "relativedelta", "easter")}


def outcome(call, *args, **kwargs):
    """What a call gives, in a form that two libraries can be compared in."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            value = call(*args, **kwargs)
        except Exception as error:  # noqa: BLE001: the kind of exception is part of the answer
            return type(error).__name__, str(error)
    if isinstance(value, datetime.datetime):
        value = (value.replace(tzinfo=None), value.fold, repr(value.tzinfo))
    elif isinstance(value, tuple) and isinstance(value[0], datetime.datetime):
        value = (value[0].replace(tzinfo=None), repr(value[0].tzinfo), value[1])
    return value, [warning.category.__name__ for warning in caught]


MONTHS = "Jan January Feb february Mar MARCH Apr may Jun june Jul aug Sept September oct Nov December".split()
WORDS = (
    "Mon Tuesday wed of at on and am pm AM p a h hours m min s sec T Z UTC GMT EST BRST st nd th today nan inf Jan."
    " 1.2.3 . , ; : - / + ( ) ' \t \x00 é ² ٣ 10h 5m 12.5 :30 +0300 -03:00 +3 (BRST) AD"
).split(" ")
FORMATS = (
    "%Y-%m-%d %Y-%m-%dT%H:%M:%S %Y%m%dT%H%M%S %Y%m%d%H%M %y%m%d %d/%m/%Y %m/%d/%y %d.%m.%Y %b_%d,_%Y %d_%B_%Y"
    " %a_%b_%d_%H:%M:%S_%Y %A,_%d_%b_%Y_%H:%M:%S_+0200 %I:%M_%p_%d_%b_%y %Y-%m-%dT%H:%M:%S.%fZ %H:%M:%S,%f %b_%Y"
    " %Y-%j %H%M%S.%f %d-%b-%Y %B_of_%Y %I_%p %Hh%Mm%Ss %Y/%m/%d_%H:%M_GMT+3 %d %H:%M"
).split(" ")


def texts(seed, count):
    """Dates in usual formats, such dates with something changed, and heaps of words that dates are made of."""
    choose = random.Random(seed)
    for _ in range(count):
        kind = choose.random()
        if kind < 0.75:
            day = datetime.datetime(choose.randint(1, 9999), 1, 1) + datetime.timedelta(
                days=choose.randint(0, 364), microseconds=choose.randint(0, 86_399_999_999)
            )
            text = day.strftime(choose.choice(FORMATS)).replace("_", " ")
            if kind > 0.4 and text:
                at = choose.randrange(len(text))
                inserted = choose.choice(WORDS + [str(choose.randint(0, 3000))])
                text = text[:at] + inserted + text[at + choose.randint(0, 2) :]
        else:
            parts = [choose.choice(WORDS + MONTHS + [str(choose.randint(0, 99999))]) for _ in range(choose.randint(1, 8))]
            text = choose.choice(["", " "]).join(parts)
        yield text


@pytest.mark.parametrize("options", [{}, {"fuzzy": True}, {"dayfirst": True}, {"yearfirst": True, "fuzzy_with_tokens": True}])
def test_any_text_is_parsed_as_the_original_parses_it(original, options):
    default = datetime.datetime(2003, 9, 30, 1, 2, 3, 4)
    for text in texts(SEED, ROUNDS):
        ours = outcome(parser.parse, text, default=default, **options)
        theirs = outcome(original["parser"].parse, text, default=default, **options)
        assert ours == theirs, (text, options)


def test_any_iso_text_is_parsed_as_the_original_parses_it(original):
    choose = random.Random(SEED)
    dates = "%Y %Y-%m %Y%m %Y-%m-%d %Y%m%d %G-W%V-%u %GW%V%u %G-W%V %Y-%j %Y%j".split()
    times = ["", "T%H", "T%H:%M", " %H%M", "T%H:%M:%S", "T%H%M%S", "T%H:%M:%S.%f", "T%H%M%S,%f", "T24:00", "T24:00:01"]
    zones = ["", "Z", "z", "+02", "-0330", "+05:30", "+00:00", "-24:00", "+05:60", "+1"]
    for _ in range(ROUNDS):
        day = datetime.datetime(1000, 1, 1) + datetime.timedelta(microseconds=choose.randrange(9000 * 365 * 86_400_000_000))
        text = day.strftime(choose.choice(dates) + choose.choice(times)) + choose.choice(zones)
        if choose.random() < 0.3:
            at = choose.randrange(len(text))
            text = text[:at] + choose.choice("0W-:TZ.é9 ") + text[at + 1 :]
        assert outcome(parser.isoparse, text) == outcome(original["parser"].isoparse, text), text


def random_delta(choose):
    relative = "years months days weeks hours minutes seconds microseconds leapdays".split()
    absolute = {"year": 9999, "month": 12, "day": 31, "hour": 23, "minute": 59, "second": 59, "microsecond": 999999}
    arguments = {name: choose.choice([choose.randint(-5, 5), choose.randint(-400, 400)]) for name in choose.sample(relative, 3)}
    for name in choose.sample(sorted(absolute), choose.choice([0, 0, 1, 2])):
        arguments[name] = choose.randint(1, absolute[name])
    if choose.random() < 0.2:
        arguments[choose.choice(["days", "hours", "seconds"])] = choose.randint(-999, 999) / 8
    weekday = (choose.randint(0, 6), choose.choice([None, 1, 2, -1, -3])) if choose.random() < 0.4 else None
    return arguments, weekday


def test_any_relativedelta_computes_as_the_originals(original):
    choose = random.Random(SEED)
    sides = (relativedelta, original["relativedelta"])
    for _ in range(ROUNDS):
        (one, weekday), (other, _) = random_delta(choose), random_delta(choose)
        day = datetime.datetime(choose.randint(1, 9999), choose.randint(1, 12), choose.randint(1, 28), choose.randint(0, 23))
        earlier = datetime.datetime(choose.randint(1, 9999), choose.randint(1, 12), choose.randint(1, 28), 5, 6, 7, 8)
        answers = []
        for module in sides:
            extra = {} if weekday is None else {"weekday": module.weekday(*weekday)}
            make = module.relativedelta
            delta, second = make(**one, **extra), make(**other)
            answers.append(
                [
                    repr(value() if callable(value) else value)
                    for value in (
                        delta,
                        delta + second,
                        delta - second,
                        -delta,
                        abs(delta),
                        delta * 2.5,
                        delta.normalized(),
                        bool(delta),
                        delta == second,
                        delta.weeks,
                        make(day, earlier),
                        make(day.date(), earlier),
                    )
                ]
                + [outcome(lambda: day + delta), outcome(lambda: day - delta), outcome(lambda: day.date() + delta)]
            )
        assert answers[0] == answers[1], (one, other, weekday, day)


def test_easter_is_on_the_originals_day_in_every_year(original):
    for method in (1, 2, 3):
        for year in range(1, 9999, 3):
            assert outcome(easter.easter, year, method) == outcome(original["easter"].easter, year, method)


def test_parse_many_gives_what_parse_gives():
    choose = random.Random(SEED)
    for _ in range(60):
        shape = choose.choice(FORMATS)
        days = [datetime.datetime(choose.randint(1, 9999), choose.randint(1, 12), choose.randint(1, 28), choose.randint(0, 23)) for _ in range(50)]
        column = [day.strftime(shape).replace("_", " ") for day in days] + ["no date", "2003-09-25"]
        default = datetime.datetime(2003, 9, 30)
        expected = []
        for text in column:
            value = outcome(parser.parse, text, default=default)[0]
            expected.append(value if isinstance(value, tuple) else None)
        parsed, failed = parser.parse_many(column, default=default, errors="collect")
        given = [None if moment is None else (moment.replace(tzinfo=None), moment.fold, repr(moment.tzinfo)) for moment in parsed]
        assert given == expected, shape
        assert set(failed) == {row for row, value in enumerate(expected) if value is None}


def test_parse_many_names_the_row_of_the_first_wrong_text():
    with pytest.raises(parser.ParserError) as caught:
        parser.parse_many(["2003-09-25", "x"])
    assert caught.value.__notes__ == ["x\n^", "in row 1"]


def test_format_of_a_text_is_what_strptime_reads():
    for text in ("Thu, 25 Sep 2003 10:49:41 -0300", "2003-09-25T10:49:41.5", "09/25/2003 10:36 am", "20030925T104941"):
        moment, text_format = parser.parse_with_format(text)
        assert datetime.datetime.strptime(text, text_format) == moment
    with pytest.raises(parser.ParserError):
        parser.parse_with_format("10.5h")


def test_required_part_that_is_missing_is_an_error():
    assert parser.parse("Sep 2003", require={"year", "month"}).year == 2003
    with pytest.raises(parser.ParserError, match="String lacks day: Sep 2003"):
        parser.parse("Sep 2003", require={"year", "day"})


def test_custom_words_are_read_at_construction_and_replaced_methods_are_asked():
    class German(parser.parserinfo):
        MONTHS = [("Jan",), ("Feb",), ("Mär", "März"), *parser.parserinfo.MONTHS[3:]]

        def jump(self, name):
            return name == "den" or super().jump(name)

    assert parser.parse("den 5. März 2020", German()) == datetime.datetime(2020, 3, 5)


def test_objects_survive_pickling():
    delta = relativedelta.relativedelta(months=1, day=3, weekday=relativedelta.FR(-1))
    assert pickle.loads(pickle.dumps(delta)) == delta
    info = pickle.loads(pickle.dumps(parser.parserinfo(dayfirst=True)))
    assert parser.parse("02/01/2003", info) == datetime.datetime(2003, 1, 2)


def test_parser_is_imported_without_the_rest():
    code = "import sys, naja.dateutil.parser; print([n for n in sys.modules if n in ('decimal', 're', 'numpy', 'naja.dateutil.rrule', 'naja.dateutil.tz')])"
    done = subprocess.run([sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_utilities_do_what_their_names_say():
    noon = datetime.datetime(2003, 9, 25, 12)
    assert utils.within_delta(noon, noon.replace(second=1), datetime.timedelta(seconds=-1))
    assert utils.default_tzinfo(noon, datetime.timezone.utc).tzinfo is datetime.timezone.utc


@pytest.mark.parametrize(
    ("call", "text", "marked"),
    [
        (parser.parse, "the 12th of Foober 2003", "the"),
        (parser.parse, "12 Foober 2003", "Foober"),
        (parser.parse, "2003-02-30 10:00", "30"),
        (parser.parse, "25 Sep 2003 10:99", "99"),
        (parser.parse, "10:49 25/13/2003 x\ty", "x"),
        (parser.parse, "…" * 300 + " 2003", "…"),
        (parser.isoparse, "2003-13-25", "13"),
        (parser.isoparse, "20030931", "31"),
        (parser.isoparse, "2003-09-25T10:61", "61"),
        (parser.isoparse, "2003-09-25T10:4", "4"),
        (parser.isoparse, "2003-09-25T10:49:41.5x", "x"),
        (parser.isoparse, "2003-09-25T10:49+25:00", "2"),
    ],
)
def test_an_error_shows_its_place_in_the_text(call, text, marked):
    with pytest.raises(ValueError) as caught:
        call(text)
    (note,) = caught.value.__notes__
    line, marks = note.split("\n")
    start = marks.index("^")
    assert line[start : start + marks.count("^")].startswith(marked), note
    assert len(line) < 150


@pytest.mark.parametrize("digits", [28, 29, 40])
@pytest.mark.parametrize("form", ["{}h", "{}H5", "{} minutes", "1:{}", "1:{}:10", "1h{}", "0{}h", "{}.5h", "1.{}h", "{}s"])
@pytest.mark.parametrize("fuzzy", [False, True])
def test_a_number_beyond_decimal_arithmetic_raises_what_the_original_raises(original, digits, form, fuzzy):
    text = form.format("8" * digits)
    ours, theirs = (outcome(one.parse, text, fuzzy=fuzzy) for one in (parser, original["parser"]))
    assert ours == theirs, text
    # pandas asks the parser for the parts alone, and catches the same.
    ours, theirs = (outcome(one.parser()._parse, text, fuzzy=fuzzy) for one in (parser, original["parser"]))
    assert (ours[0] == "InvalidOperation") == (theirs[0] == "InvalidOperation"), text


def test_a_number_beyond_decimal_arithmetic_is_the_error_of_its_row():
    assert parser.parse_many(["8" * 29 + "h"], errors="none") == [None]
