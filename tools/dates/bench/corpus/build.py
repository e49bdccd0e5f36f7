"""Writes `development.jsonl` and `heldout.jsonl` from the marked-up texts in `texts/`.

`python tools/dates/bench/corpus/build.py` writes both files, `--check` only says whether they are what the texts
give. The markup is described in README.md; the split depends on the seed and on nothing else.
"""

import argparse
import datetime
import json
import pathlib
import random
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
SEED = 20260319
REFERENCE = "2026-03-19T12:00:00"
DAY_FIRST = {"day_first", "nordic", "spanish", "french", "german", "portuguese", "italian", "dutch_polish"}

MARK = re.compile(r"\[\[([^\[\]|]+)\|([^\[\]|]*)\]\]")
DATE = r"\d{4}-\d{2}-\d{2}"
CLOCK = r"T\d{2}:\d{2}(?::\d{2})?"
FORMS = (
    ("relative", re.compile(rf"~{DATE}(?:{CLOCK})?")),
    ("interval", re.compile(rf"{DATE}/{DATE}")),
    ("datetime", re.compile(rf"{DATE}{CLOCK}(?:Z|[+-]\d{{2}}:\d{{2}})?")),
    ("date", re.compile(DATE)),
    ("month-day", re.compile(rf"--\d{{2}}-\d{{2}}(?:{CLOCK})?")),
    ("month", re.compile(r"\d{4}-\d{2}")),
    ("year", re.compile(r"\d{4}")),
    ("time", re.compile(CLOCK)),
    ("duration", re.compile(r"PT?\d+[DHMW]")),
    ("other", re.compile("")),
)


def kind_of(value):
    for kind, form in FORMS:
        if form.fullmatch(value):
            return kind
    raise ValueError(f"{value!r} has none of the forms in README.md")


def check_value(kind, value):
    """Raises ValueError where a value names a day that does not exist."""
    if kind in ("date", "datetime", "relative"):
        datetime.date.fromisoformat(value.lstrip("~")[:10])
    elif kind == "interval":
        start, end = map(datetime.date.fromisoformat, value.split("/"))
        if start > end:
            raise ValueError(f"{value!r} ends before it starts")
    elif kind == "month-day":
        datetime.date.fromisoformat("2024-" + value[2:7])


def labelled(name, number, marked):
    """One record: the text without its marks, and what they say, with offsets in code points."""
    text, dates, last = [], [], 0
    length = 0
    for mark in MARK.finditer(marked):
        before = marked[last : mark.start()]
        text.append(before)
        length += len(before)
        span, value = mark.groups()
        required = not value.endswith("?")
        value = value.rstrip("?")
        kind = kind_of(value)
        check_value(kind, value)
        dates.append(
            {
                "start": length,
                "end": length + len(span),
                "text": span,
                "kind": kind,
                "value": value,
                "required": required,
            }
        )
        text.append(span)
        length += len(span)
        last = mark.end()
    text.append(marked[last:])
    return {
        "id": f"{name}-{number:02}",
        "source": name,
        "first": "day" if name in DAY_FIRST else "month",
        "reference": REFERENCE,
        "text": "".join(text),
        "dates": dates,
    }


def halves():
    """The two halves, each sorted; every source gives half of its texts to each."""
    development, heldout = [], []
    draw = random.Random(SEED)
    for path in sorted((HERE / "texts").glob("*.txt")):
        texts = path.read_text(encoding="utf-8").rstrip("\n").split("\n---\n")
        records = [labelled(path.stem, number, text) for number, text in enumerate(texts, 1)]
        draw.shuffle(records)
        middle = (len(records) + draw.randrange(2)) // 2
        development += records[:middle]
        heldout += records[middle:]
    key = lambda record: record["id"]
    return {"development": sorted(development, key=key), "heldout": sorted(heldout, key=key)}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--check", action="store_true", help="write nothing, fail where a file differs")
    check = arguments.parse_args().check
    stale = []
    for half, records in halves().items():
        path = HERE / f"{half}.jsonl"
        written = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        if check and path.read_text(encoding="utf-8") != written:
            stale.append(path.name)
        elif not check:
            path.write_text(written, encoding="utf-8")
        labels = [label for record in records for label in record["dates"]]
        required = sum(label["required"] for label in labels)
        print(f"{path.name}: {len(records)} texts, {required} required labels, {len(labels) - required} optional")
    if stale:
        sys.exit(f"{', '.join(stale)}: not what the texts give; run {pathlib.Path(__file__).name}")


if __name__ == "__main__":
    main()
