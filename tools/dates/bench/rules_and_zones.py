"""The cases of `against.py` for rrule and tz: (name, target, run, peer, calls, beside), as its `Case` takes them."""

import datetime
import zoneinfo

START = datetime.datetime(2000, 1, 1)
SUMMER = datetime.datetime(2023, 7, 4, 12)
NEW_YORK = "America/New_York"
TEXT = "DTSTART:19970902T090000\nRRULE:FREQ=MONTHLY;COUNT=3;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"


def dates(**rule):
    """All dates of a rule, from its arguments on."""

    def run(side):
        module = side.rrule
        arguments = dict(rule, freq=getattr(module, rule["freq"]))
        if arguments.get("byweekday") == "last Friday":
            arguments["byweekday"] = module.FR(-1)
        return lambda: list(module.rrule(dtstart=START, **arguments))

    return run


def distant_between(side):
    module = side.rrule
    rule = module.rrule(module.DAILY, dtstart=START)
    low, high = datetime.datetime(2020, 1, 1), datetime.datetime(2020, 2, 1)
    return lambda: rule.between(low, high)


def conversion(side):
    zone, instant = side.tz.gettz(NEW_YORK), SUMMER.replace(tzinfo=side.tz.UTC)
    return lambda: instant.astimezone(zone)


def conversion_by_zoneinfo(side):
    zone, instant = zoneinfo.ZoneInfo(NEW_YORK), SUMMER.replace(tzinfo=datetime.timezone.utc)
    return lambda: instant.astimezone(zone)


def offset(side):
    return SUMMER.replace(tzinfo=side.tz.gettz(NEW_YORK)).utcoffset


def offset_by_zoneinfo(side):
    return SUMMER.replace(tzinfo=zoneinfo.ZoneInfo(NEW_YORK)).utcoffset


def cached(side):
    return lambda: side.tz.gettz(NEW_YORK) is side.tz.gettz(NEW_YORK)


CASES = [
    ("rrule: ten years of weekdays", 15, dates(freq="DAILY", byweekday=range(5), until=datetime.datetime(2010, 1, 1)), None, 3),
    ("rrule: 500 last Fridays", 15, dates(freq="MONTHLY", byweekday="last Friday", count=500), None, 10),
    ("rrule: 100 Mondays of week 20", 15, dates(freq="YEARLY", byweekno=20, byweekday=0, count=100), None, 10),
    ("rrule: 10,000 minutes", 15, dates(freq="MINUTELY", count=10_000), None, 2),
    ("rrule: between, 20 years after the start", 150, distant_between, None, 5),
    ("rrulestr", 1, lambda side: lambda: str(side.rrule.rrulestr(TEXT)), None, 500),
    ("UTC to New York", 4, conversion, None, 20_000),
    ("UTC to New York beside zoneinfo", 1 / 1.2, conversion, conversion_by_zoneinfo, 20_000, "zoneinfo"),
    ("utcoffset in New York", 4, offset, None, 20_000),
    ("utcoffset in New York beside zoneinfo", 1 / 1.2, offset, offset_by_zoneinfo, 20_000, "zoneinfo"),
    ("gettz, found before", 1, cached, None, 10_000),
]
