"""`naja.datefinder`: what it finds, and beside datefinder 1.0 as the oracle of its older engine."""

import datetime
import importlib
import io
import json
import logging
import pathlib
import random
import sys
import warnings

import pytest
from originals import importable

import naja.datefinder as datefinder
from naja.datefinder import cli

ORIGINAL = ["datefinder==1.0.0", "python-dateutil==4.0.0", "regex==2026.11.15", "tzdata==2026.6"]
CORPUS = pathlib.Path(__file__).resolve().parents[2] / "tools/dates/bench/corpus/development.jsonl"
REFERENCE = datetime.datetime(2026, 3, 19, 12)
SEED = 20260319


def test_a_sentence_gives_its_one_date_with_its_time():
    strict = datefinder.find_dates("Tuesday July 22, 2014 at 5pm", strict=True, source=True, index=True)
    assert list(strict) == [(datetime.datetime(2014, 7, 22, 17), "Tuesday July 22, 2014 at 5pm", (0, 28))]
    (match,) = datefinder.extract("Tuesday July 22, 2014 at 5pm")
    assert match.value.datetime_value == datetime.datetime(2014, 7, 22, 17, tzinfo=datetime.timezone.utc)
    assert (match.kind, match.grain, match.locale, match.value.timezone_source) == ("absolute", "hour", "en", None)


def test_each_kind_has_its_class():
    text = "tomorrow, 3 hours, June 21-23, 2019, 2014-07-22T10:00Z"
    matches = datefinder.extract(text, reference_dt=REFERENCE)
    utc = datetime.timezone.utc
    assert [match.value for match in matches] == [
        datefinder.RelativeValue(datetime.datetime(2026, 3, 20, 12, tzinfo=utc), 86400),
        datefinder.DurationValue(10800, {"hours": 3}),
        datefinder.IntervalValue(
            datetime.datetime(2019, 6, 21, tzinfo=utc), datetime.datetime(2019, 6, 24, tzinfo=utc)
        ),
        datefinder.AbsoluteValue(datetime.datetime(2014, 7, 22, 10, tzinfo=utc), "explicit"),
    ]
    assert all(text[match.start : match.end] == match.text for match in matches)
    assert matches[0] == eval(repr(matches[0]), {**vars(datefinder), "datetime": datetime})


def test_an_ambiguous_number_says_so():
    (match,) = datefinder.extract("02/05/2020")
    assert match.warnings == ("ambiguous_order",)
    assert match.alternates[0].datetime_value.date() == datetime.date(2020, 5, 2)


def test_a_generator_is_given_and_engines_are_known():
    dates = datefinder.find_dates("May 5, 2010 to July 10, 2011")
    assert next(dates) == datetime.datetime(2010, 5, 5)
    with pytest.raises(ValueError, match="Unknown engine"):
        list(datefinder.find_dates("x", engine="other"))
    assert list(datefinder.find_dates("in 3 days", engine="v2", base_date=REFERENCE)) == [
        datetime.datetime(2026, 3, 22, 12)
    ]


@pytest.mark.parametrize("wrong", [None, 5, b"2014-07-22", ["2014-07-22"]])
def test_what_is_no_text_is_a_type_error(wrong):
    for find in (datefinder.find_dates, datefinder.find_dates_legacy, datefinder.extract):
        with pytest.raises(TypeError):
            list(find(wrong))


def test_surrogates_keep_the_places():
    (match,) = datefinder.extract("\ud83d \udc00 2014-07-22")
    assert (match.start, match.end) == (4, 14)
    assert list(datefinder.find_dates("")) == datefinder.extract("") == []


def test_a_zone_that_is_not_there_is_looked_for_once_in_a_text(monkeypatch):
    from naja.datefinder import older

    asked = []
    monkeypatch.setattr(older.tz, "gettz", lambda name: asked.append(name))
    assert len(list(datefinder.find_dates("12:00 est (" * 100))) == 100
    assert asked == ["est"]


def test_a_subclass_may_change_a_step():
    class Finder(datefinder.DateFinder):
        def parse_date_string(self, date_string, captures):
            return date_string

    assert list(Finder().find_dates("on 2014-07-22 .")) == ["on 2014-07-22"]


def test_the_command_line_writes_what_the_package_finds(capsys, monkeypatch):
    assert cli.main(["--engine", "extract", "--json", "--reference", "2026-03-19T12:00:00", "in", "3", "days"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["value"] == {
        "resolved_datetime": "2026-03-22T12:00:00+00:00",
        "delta_seconds": 259200,
        "anchor": "reference",
    }
    monkeypatch.setattr(sys, "stdin", io.StringIO("due 2014-07-22"))
    assert cli.main(["--engine", "legacy", "--source", "--index"]) == 0
    assert capsys.readouterr().out == "2014-07-22T00:00:00\tdue 2014-07-22\t0:14\n"
    with pytest.raises(SystemExit):
        cli.main(["--locale", "fr", "x"])


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """datefinder itself."""
    logging.getLogger("datefinder").disabled = True
    with importable(tmp_path_factory.mktemp("original"), *ORIGINAL, forget=("datefinder", "dateutil", "regex")):
        yield importlib.import_module("datefinder")


def same(original, text, **options):
    """Both older engines on one text: the candidates with their parts, then the dates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        candidates, dates = [], []
        for module in (datefinder, original):
            strict = options.get("strict", False)
            candidates.append(list(module.DateFinder().extract_date_strings(text, strict=strict)))
            found = module.find_dates_legacy(text, source=True, index=True, base_date=REFERENCE, **options)
            dates.append([(str(date), *place) for date, *place in found])
    assert candidates[0] == candidates[1], text
    assert dates[0] == dates[1], text


def test_the_older_engine_finds_what_the_original_finds_in_the_corpus(original):
    for line in CORPUS.open(encoding="utf-8"):
        record = json.loads(line)
        same(original, record["text"], first=record["first"])
        same(original, record["text"], strict=True)


def test_the_older_engine_finds_what_the_original_finds_in_random_texts(original):
    pieces = (
        "12|3|2014|20140102|201401|19990101123456|10:11|10:11:12.5|10:1|5|pm|am|a.m.|P.M.|EST|pst|central|UTC|may|May.|mar"
        "|sep|sep,|sept.|october|lørdag|SØN|sat|thurs|first|next|last|due|by|on|time|date|of|to|through|-|until|at|day|/|:"
        "|,|.|_|@|\n|T|Z|2014-01-02T03:04:05.678+02:00|-:12345-01-02T03:04:05Z|st|th|1st|x|é|standard|savings"
    ).split("|")
    draw = random.Random(SEED)
    for _ in range(2000):
        text = "".join(draw.choice(pieces) + draw.choice(["", "", " ", "  "]) for _ in range(draw.randrange(1, 14)))
        same(original, text, first=draw.choice(["month", "day", "year"]), strict=draw.random() < 0.3)
