"""Measures how long texts of 100 KB keep naja's parsers of dates busy, and writes `hostile.md` beside itself.

    hostile.py [CALL…]     with the Python that has naja installed

Each text is one part, or two parts in turn, over and over: what a careless parser looks through from everywhere. The
parts are characters, words of dates, of rules and of zones, and every file of the fuzzers' corpora. A text that seems
the slowest so far is measured again, and the least of three counts, so that what else the machine does is left out.
The slowest of each call is measured at half its length too: a parser whose cost grows with the length takes half the
time. CALL chooses calls whose names contain it, and only shows them.
"""

import itertools
import os
import pathlib
import platform
import sys
import time
import warnings

from naja import datefinder
from naja.dateutil import parser, rrule, tz

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = HERE.parents[2] / "fuzz" / "corpus"
SIZE = 100_000
MOST_MS = 100

SIGNS = [chr(code) for code in range(128)] + list("éß½²٣日İ\u0300\u2013\u00a0\u2028🙂")
DATES = (
    "1 12 2014 20140102 1.5 1, 1/ 1- 1: . , : - / + ( ) T Z a h m s am pm st of at to in on by ago next UTC EST +01:00 "
    "May May. Monday days 10:10 12:00 1/1/2014 2014-01-02 noon tomorrow é \u00a0"
).split(" ")
DATES += [" ", "\n", "\t", "\0", "1 May ", "May 1 2014 ", "3 days ago ", "10:10:10 2014 a.m.", "12:00 est ", "x ", "Jan of ", "1 to "]
RULES = (
    "; : , = + - 1 ( ) X- X-A=B; TZID= TZID=A TZID=A: DTSTART EXDATE RDATE RRULE FREQ=DAILY RRULE:FREQ=DAILY BYDAY=MO "
    "BYMONTH=1; BYSETPOS=1 UNTIL= 19970902 19970902T090000Z MO MO(1) COUNT=1; VALUE=DATE ß \n"
).split(" ")
RULES += [" ", "\n", "\r", "DTSTART;TZID=A:19970902\n", "EXDATE:19970902\n", "RRULE:FREQ=DAILY\n", "RDATE:19970902\n"]
ZONES = "EST EST5 EST5EDT ,M3.2.0 ,M11.1.0/2 +5 - : < > <+03> J60 /2 , 5 99999 é UTC+3 .".split(" ") + [" ", "\n"]

# What begins as a date, and goes on for the whole text.
NUMBERS = [
    (head, item)
    for head in ("2003-09-25T10:49:41.", "2003-09-25T10:49:41,", "2003-09-25 10:49 ", "10:49:41 ", "25 Sep 2003 ", "12:00 EST")
    for item in ("0", "5", "é", " ", "Z", ".", ", ", "Mon ", "+", "-0", "+01:00", "x ", "²", "٣", "am ")
]

# Heads of lists that may be as long as the text.
LISTS = [
    (head, item)
    for head, items in {
        "FREQ=DAILY;BYDAY=": ("MO,", "-1FR,", "MO(+1),"),
        "FREQ=DAILY;BYMONTHDAY=": ("1,", "-1,", "99,"),
        "FREQ=DAILY;BYSETPOS=": ("1,", "366,"),
        "FREQ=YEARLY;BYEASTER=": ("1,", "-9,"),
        "FREQ=SECONDLY;BYHOUR=": ("1,", "23,"),
        "FREQ=DAILY;COUNT=": ("1", "1_"),
        "FREQ=DAILY;UNTIL=": ("1", "1.", "a"),
        "RDATE:": ("19970902,", "1,", "May,", "1997-09-02,"),
        "DTSTART:19970902\nRRULE:FREQ=DAILY\nEXDATE:": ("19970902,", "1,", "19970902T090000Z,"),
    }.items()
    for item in items
]


def repeated(part, size, head=""):
    """The part over and over; ends with a whole one, because a list must."""
    return head + (part * ((size - len(head.encode())) // len(part.encode()))).removesuffix(",")


def distinct(shape):
    """Lines with another name or number each, which a list that is searched from its start makes slow."""

    def text(size):
        lines = (shape.format(number) for number in itertools.count())
        return "".join(itertools.islice(lines, size // len(shape.format(99999))))

    return text


def texts(parts, lists=(), others=()):
    """Names of texts, and what makes each in a size."""
    singles = dict.fromkeys(SIGNS + parts if parts else [])
    pairs = (one + two for one, two in itertools.product(parts, repeat=2) if one != two)
    for part in dict.fromkeys(part for part in itertools.chain(singles, pairs) if part):
        yield repr(part), lambda size, part=part: repeated(part, size)
    for head, item in lists:
        yield f"{head!r}, {item!r}", lambda size, head=head, item=item: repeated(item, size, head)
    for shape in others:
        yield f"{shape!r}, numbered", distinct(shape)


def files(*targets):
    for target in targets:
        for path in sorted((CORPUS / target).iterdir()):
            # As the fuzz targets read it.
            part = path.read_bytes().decode("utf-8", "replace")
            if part:
                yield f"`{target}/{path.name}`", lambda size, part=part: repeated(part, size)


def date_texts():
    return itertools.chain(texts(DATES, NUMBERS), files("dates_parser", "find_dates", "iso_text"))


def rule_texts():
    shapes = ("EXDATE;TZID=A:{0:08}\n", "RRULE:FREQ=DAILY;COUNT={}\n", "EXDATE:{0:08}\n")
    return itertools.chain(texts(RULES, LISTS, shapes), files("rule_text"))


def unknown_zones():
    return texts([], others=("EXDATE;TZID=A{}:19970902\n",))


def zone_texts():
    return itertools.chain(texts(ZONES), files("tz_string"))


# (call, what it runs, its texts)
CALLS = [
    ("parse", parser.parse, date_texts),
    ("parse(fuzzy)", lambda text: parser.parse(text, fuzzy=True), date_texts),
    ("parse(fuzzy_with_tokens)", lambda text: parser.parse(text, fuzzy_with_tokens=True), date_texts),
    ("isoparse", parser.isoparse, date_texts),
    ("rrulestr", rrule.rrulestr, rule_texts),
    ("rrulestr(unfold)", lambda text: rrule.rrulestr(text, unfold=True, forceset=True), rule_texts),
    ("tz.tzstr", tz.tzstr, zone_texts),
    ("find_dates", lambda text: list(datefinder.find_dates(text)), date_texts),
    ("find_dates(strict)", lambda text: list(datefinder.find_dates(text, strict=True)), date_texts),
    ("extract", lambda text: list(datefinder.extract(text)), date_texts),
]


# Each name of a zone that is not there is looked for in the folders of zones and in a package, which is the file
# system's time and not the parser's: shown, and not held to the limit.
BY_FILES = [("rrulestr, zones that are not there", rrule.rrulestr, unknown_zones)]


def once(call, text):
    start = time.process_time()
    try:
        call(text)
    except (ValueError, OverflowError, TypeError):
        # Most are no dates; what is asked here is only how long that takes to say. A rule without a frequency is a
        # `TypeError`, as in the original.
        pass
    return (time.process_time() - start) * 1e3


def slowest(call, all_texts):
    """How many texts there are; the slowest one's name, its milliseconds, and those of half of it."""
    count, worst = 0, ("", 0.0, None)
    for name, make in all_texts():
        count += 1
        text = make(SIZE)
        if once(call, text) > worst[1]:
            spent = min(once(call, text) for _ in range(3))
            if spent > worst[1]:
                worst = (name, spent, make)
    half = min(once(call, worst[2](SIZE // 2)) for _ in range(5))
    whole = min(once(call, worst[2](SIZE)) for _ in range(5))
    return count, worst[0], whole, half


def report(rows):
    machine = f"{platform.machine()}, {platform.system()}, {os.cpu_count()} cores, CPython {platform.python_version()}"
    lines = [
        "# Texts that want to take long",
        "",
        f"Written by `bench/hostile.py`: {machine}, load average {os.getloadavg()[0]:.1f}. Texts of {SIZE // 1000} KB, each one or two",
        "parts over and over; milliseconds of processor time, the least of five runs. No call may take longer than",
        f"{MOST_MS} ms, nor grow faster than its text; where a text names thousands of zones that are not there, each is looked",
        "for in files, and that row may.",
        "",
        "| call | texts | slowest | on | half of that text |",
        "| --- | --- | --- | --- | --- |",
    ]
    for call, count, name, whole, half in rows:
        shown = name if name.startswith("`") else f"`{name}`"
        lines.append(f"| {call} | {count} | {whole:.1f} | {shown.replace('|', chr(92) + '|')} | {half:.1f} |")
    return "\n".join(lines) + "\n"


def main():
    warnings.simplefilter("ignore")
    chosen = sys.argv[1:]
    calls = [case for case in CALLS + BY_FILES if not chosen or any(word in case[0] for word in chosen)]
    rows = [(name, *slowest(call, all_texts)) for name, call, all_texts in calls]
    text = report(rows)
    if not chosen:
        (HERE / "hostile.md").write_text(text, encoding="utf-8")
    print(text)
    by_files = [name for name, _, _ in BY_FILES]
    if any(whole > MOST_MS for name, _, _, whole, _ in rows if name not in by_files):
        sys.exit(f"hostile.py: a text of {SIZE // 1000} KB takes longer than {MOST_MS} ms")


if __name__ == "__main__":
    main()
