"""`naja.dateutil.rrule` and `tz` beside python-dateutil's: the original is the oracle.

The original is a package that only this test needs, so it is installed into a folder of its own; where it cannot be
had, the tests that ask it are skipped, and say so. Seeds are fixed, and a failure shows its input.
"""

import datetime
import importlib
import itertools
import pickle
import random
import warnings

import pytest
from originals import importable

from naja.dateutil import rrule, tz

ORIGINAL = "python-dateutil==4.0.0"
SEED = 20261121
RULES = 150
INSTANTS = 40


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The original's modules."""
    with importable(tmp_path_factory.mktemp("original"), ORIGINAL, forget=("dateutil",)):
        yield {name: importlib.import_module("dateutil." + name) for name in ("rrule", "tz")}


def outcome(call):
    """What a call gives, or the class of what it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return call()
        except Exception as error:  # noqa: BLE001: the kind of exception is part of the answer
            return type(error).__name__


def some(choose, values):
    return [choose.choice(values) for _ in range(choose.randint(1, 3))]


def arguments(choose):
    """A rule near the end of the calendar: the original walks there through a rule that has no more dates."""
    start = datetime.datetime(
        choose.choice([9994, 9995, 9996]), choose.randint(1, 12), choose.randint(1, 28), choose.randint(0, 23)
    )
    rule = {"freq": choose.randint(0, 4), "dtstart": start, "until": start + datetime.timedelta(days=800)}
    parts = {
        "interval": (0.5, lambda: choose.choice([1, 2, 3, 7, 13])),
        "wkst": (0.4, lambda: choose.randint(0, 6)),
        "bymonth": (0.25, lambda: some(choose, range(1, 13))),
        "bymonthday": (0.2, lambda: some(choose, [*range(1, 32), *range(-31, 0)])),
        "byyearday": (0.1, lambda: some(choose, [*range(1, 367), *range(-366, 0)])),
        "byweekno": (0.1, lambda: some(choose, [*range(1, 54), *range(-53, 0)])),
        "byeaster": (0.1, lambda: some(choose, range(-60, 200))),
        "byhour": (0.2, lambda: some(choose, range(24))),
        "byminute": (0.2, lambda: some(choose, range(60))),
        "bysetpos": (0.15, lambda: some(choose, [1, 2, -1, -2, 10])),
        "weekdays": (0.3, lambda: [(choose.randint(0, 6), choose.choice([None, 1, -1, 5])) for _ in range(2)]),
    }
    for name, (chance, value) in parts.items():
        if choose.random() < chance:
            rule[name] = value()
    return rule


def made(module, rule):
    rule = dict(rule)
    weekdays = rule.pop("weekdays", None)
    if weekdays:
        rule["byweekday"] = [module.weekday(day, n) for day, n in weekdays]
    return module.rrule(**rule)


def test_rules_have_the_originals_dates_and_text(original):
    choose = random.Random(SEED)
    for _ in range(RULES):
        rule = arguments(choose)
        low = rule["dtstart"] + datetime.timedelta(days=choose.randint(-9, 700), hours=choose.randint(0, 23))
        high = low + datetime.timedelta(days=choose.randint(0, 90))
        inc = choose.random() < 0.5
        for name, ask in {
            "list": lambda r: list(itertools.islice(r, 50)),
            "between": lambda r: r.between(low, high, inc),
            "after": lambda r: r.after(low, inc),
            "before": lambda r: r.before(low, inc),
            "xafter": lambda r: list(r.xafter(low, 3, inc)),
            "in": lambda r: low in r,
            "str": str,
        }.items():
            ours = outcome(lambda: ask(made(rrule, rule)))
            theirs = outcome(lambda: ask(made(original["rrule"], rule)))
            assert ours == theirs, (name, rule, low, high, inc)


def test_zones_have_the_originals_offsets(original):
    choose = random.Random(SEED)
    keys = sorted(tz.available_iana_timezones())
    for key in choose.sample(keys, min(len(keys), 120)):
        ours, theirs = tz.gettz(key), original["tz"].gettz(key)
        for _ in range(INSTANTS):
            naive = datetime.datetime(1890, 1, 1) + datetime.timedelta(seconds=choose.randint(0, 220 * 31_557_600))
            for fold in (0, 1):
                a, b = (naive.replace(tzinfo=zone, fold=fold) for zone in (ours, theirs))
                assert (a.utcoffset(), a.dst(), a.tzname()) == (b.utcoffset(), b.dst(), b.tzname()), (key, naive, fold)
                assert tz.datetime_ambiguous(a) == original["tz"].datetime_ambiguous(b), (key, naive)
            a, b = (naive.replace(tzinfo=datetime.timezone.utc).astimezone(zone) for zone in (ours, theirs))
            assert (a.replace(tzinfo=None), a.fold) == (b.replace(tzinfo=None), b.fold), (key, naive)


def test_a_distant_between_does_not_walk_there():
    rule = rrule.rrule(rrule.SECONDLY, dtstart=datetime.datetime(1970, 1, 1))
    low = datetime.datetime(2970, 1, 1)
    assert len(rule.between(low, low + datetime.timedelta(seconds=5))) == 4
    assert rule.before(low) == low - datetime.timedelta(seconds=1)


def test_a_set_that_holds_itself_is_an_error_and_no_crash():
    rules = rrule.rruleset()
    rules.rrule(rules)
    with pytest.raises(RecursionError):
        list(rules)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_rules_and_zones_survive_pickling(protocol):
    zone = tz.gettz("Europe/Paris")
    rule = rrule.rrule(
        rrule.MONTHLY, byweekday=rrule.FR(-1), count=5, dtstart=datetime.datetime(2024, 1, 1, tzinfo=tz.UTC)
    )
    for value in (tz.UTC, tz.tzoffset("A", 3600), tz.tzrange("EST", -18000, "EDT"), tz.tzlocal(), zone):
        assert pickle.loads(pickle.dumps(value, protocol)) == value
    assert list(pickle.loads(pickle.dumps(rule, protocol))) == list(rule)


def test_the_same_zone_is_the_same_object():
    assert tz.tzutc() is tz.UTC
    assert tz.tzoffset("A", 3600) is tz.tzoffset("A", datetime.timedelta(hours=1))
    assert tz.gettz("Europe/Paris") is tz.gettz("Europe/Paris")
    assert tz.gettz.nocache("Europe/Paris") is not tz.gettz("Europe/Paris")
    assert tz.gettz("x" * 300) is None


def test_an_error_names_its_zone(tmp_path):
    with pytest.raises(ValueError) as caught:
        tz.tzstr("EST5EDT,garbage")
    assert caught.value.__notes__ == ["in the TZ string 'EST5EDT,garbage'"]
    path = tmp_path / "Nowhere"
    path.write_bytes(b"TZif2")
    with pytest.raises(ValueError) as caught:
        tz.tzfile(str(path))
    assert caught.value.__notes__ == [f"in {path}"]


def test_each_zone_of_a_text_is_looked_for_once(monkeypatch):
    asked = []
    monkeypatch.setattr(tz, "gettz", lambda name: asked.append(name))
    lines = "EXDATE;TZID=Nowhere:19970902\nEXDATE;TZID=Elsewhere:19970903\n" * 50
    dates = rrule.rrulestr(lines + "DTSTART;TZID=Nowhere:19970902\nRRULE:FREQ=DAILY;COUNT=3")
    assert list(dates) == [datetime.datetime(1997, 9, 4)]
    assert sorted(asked) == ["Elsewhere", "Nowhere"]


def test_names_of_zones_keep_their_letters():
    lines = "TZID=:TZID=TZID=\nDTSTART;TZID=Europe/Paris:19970902\nRRULE:FREQ=DAILY;COUNT=1"
    with pytest.raises(ValueError, match="unsupported property"):
        rrule.rrulestr(lines)
    (date,) = rrule.rrulestr(lines.partition("\n")[2])
    assert date.tzinfo is tz.gettz("Europe/Paris")
