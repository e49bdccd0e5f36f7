"""Measures naja's datefinder beside datefinder 1.0: what both find in a labelled corpus, and how long they take.

Run it with the Python that has naja installed: `python tools/dates/bench/datefinder.py`. It makes an environment with
the original under `.cache`, asks both in programs of their own, and writes `datefinder.md` and `datefinder.json` beside
itself, and the timed cases into `results.json`, which other scripts share. What counts as found is written in `corpus/README.md`. Of the held-out half it shows totals only; `--show`
prints the mistakes of naja on the development half.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import random
import re
import statistics
import subprocess
import sys
import time
import venv

HERE = pathlib.Path(__file__).resolve().parent
CACHE = HERE.parents[2] / ".cache" / "bench-datefinder"
ORIGINAL = ["datefinder==1.0.0", "python-dateutil==4.0.0", "regex==2026.11.15", "tzdata==2026.6"]
RUNS = 7
SIZE = 100_000


# What runs inside of each environment.


def load(name):
    """The module to measure, and whether a call of `find_dates_legacy` exists."""
    import importlib

    return importlib.import_module(name)


def moments(module, engine, text, first, reference):
    """What an engine finds, as (start, end, moment, offset in seconds or None)."""
    if engine == "extract":
        for match in module.extract(text, reference_dt=reference, first=first):
            value = match.value
            if match.kind == "absolute":
                moment, explicit = value.datetime_value, value.timezone_source == "explicit"
            elif match.kind == "relative":
                # A relative day has the zone of the reference where the text has none.
                moment, explicit = value.resolved_datetime, False
            elif match.kind == "interval":
                moment, explicit = value.start, False
            else:
                continue
            yield match.start, match.end, moment, explicit
        return
    find = module.find_dates_legacy if engine.startswith("older") else module.find_dates
    strict = engine.endswith("strict")
    options = {"source": False, "index": True, "strict": strict, "base_date": reference, "first": first}
    for moment, (start, end) in find(text, **options):
        yield start, end, moment, moment.tzinfo is not None


def answers(module, engine, records):
    for record in records:
        reference = datetime.datetime.fromisoformat(record["reference"])
        found = []
        for start, end, moment, explicit in moments(module, engine, record["text"], record["first"], reference):
            offset = moment.utcoffset().total_seconds() if explicit and moment.utcoffset() is not None else None
            found.append((start, end, moment.replace(tzinfo=None).isoformat(), offset))
        yield found


def newspaper():
    """Words with a date in about every second sentence; the same each time."""
    draw = random.Random(1)
    words = (
        "the of company report may second meeting sun was in 42 year on market results strong march people at value "
        "3.5 percent said that from 12,000 units"
    ).split()
    dates = [
        "January 4th, 2017 at 8:00pm",
        "01/15/2005",
        "2014-03-02T10:11:12Z",
        "3 March 2014",
        "Dec 12, 1999",
        "2021-07-04 18:00",
    ]
    text, planted = "", 0
    while len(text) < SIZE:
        text += " ".join(draw.choice(words) for _ in range(40))
        if draw.random() < 0.5:
            text += " " + draw.choice(dates)
            planted += 1
        text += ".\n"
    return text, planted


# Texts of one part over and over, in which a careless search looks everywhere from everywhere.
HARD = ["1", "a", " ", "-", "1/", "12:00 est ", "1 May ", "May 1 2014 ", "1-1-", "on ", "1 to ", "3 days ago ", "10:10:10 2014 a.m."]

CALLS = {
    "find_dates": lambda module, text: list(module.find_dates(text)),
    "find_dates(strict)": lambda module, text: list(module.find_dates(text, strict=True)),
    "extract": lambda module, text: list(module.extract(text)),
    "find_dates_legacy": lambda module, text: list(module.find_dates_legacy(text)),
}


def hardest(module, part):
    """The longest of three kinds of search on one hard text; of each, the quickest of three runs."""
    text = (part * SIZE)[:SIZE]
    longest = 0
    for call in ("find_dates", "find_dates(strict)", "extract"):
        times = []
        for _ in range(3):
            start = time.process_time()
            CALLS[call](module, text)
            times.append(time.process_time() - start)
        longest = max(longest, min(times))
    return longest


def work(name):
    """Answers the questions that come in, a line of JSON each."""
    import logging
    import warnings

    warnings.simplefilter("ignore")
    logging.disable()
    module = load(name)
    text, _ = newspaper()
    for line in sys.stdin:
        question = json.loads(line)
        if question["what"] == "corpus":
            records = [json.loads(record) for record in open(question["path"], encoding="utf-8")]
            answer = list(answers(module, question["engine"], records))
        elif question["what"] == "hard":
            answer = [hardest(module, part) for part in HARD]
        else:
            call = CALLS[question["call"]]
            start = time.perf_counter()
            found = call(module, text)
            answer = [time.perf_counter() - start, len(found)]
        print(json.dumps(answer), flush=True)


class Worker:
    """A program with one of the two modules in it."""

    def __init__(self, python, module):
        command = [python, "-I", __file__, "--work", module]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


# Counting.

FULL = ("date", "datetime", "interval")


def agrees(label, moment, offset):
    """Whether a moment is what the label says, to the label's precision."""
    kind, value = label["kind"], label["value"]
    if kind in ("date", "interval"):
        return moment[:10] == value[:10]
    if kind == "month":
        return moment[:7] == value
    if kind == "month-day":
        return moment[5:10] == value[2:7] and moment[10:].startswith(value[7:])
    if kind == "relative":
        return moment.startswith(value[1:])
    clock, zone = re.fullmatch(r"(.{10}T[\d:]+?)(Z|[+-]\d\d:\d\d)?", value).groups()
    if not moment.startswith(clock):
        return False
    if zone is None or offset is None:
        return True
    seconds = 0 if zone == "Z" else int(zone[:3]) * 3600 + int(zone[0] + zone[4:]) * 60
    return offset == seconds


def count(records, found, strict):
    """Right, wrong and missed of all records, and how many right ones have the label's span; also the mistakes."""
    right = exact = 0
    wrong, missed = [], []
    for record, dates in zip(records, found):
        used = set()
        for label in record["dates"]:
            overlapping = [
                number
                for number, (start, end, _, _) in enumerate(dates)
                if number not in used and start < label["end"] and end > label["start"]
            ]
            required = label["required"] and (not strict or label["kind"] in FULL)
            if not required:
                # Optional ones are nobody's gain or loss; in a strict search, incomplete ones are mistakes.
                if not label["required"]:
                    used.update(overlapping)
                continue
            hit = next((number for number in overlapping if agrees(label, *dates[number][2:])), None)
            if hit is None:
                missed.append((record["id"], label["text"]))
            else:
                used.add(hit)
                right += 1
                exact += tuple(dates[hit][:2]) == (label["start"], label["end"])
        wrong += [
            (record["id"], record["text"][date[0] : date[1]], date[2])
            for number, date in enumerate(dates)
            if number not in used
        ]
    return {
        "right": right,
        "wrong": len(wrong),
        "missed": len(missed),
        "precision": round(right / max(right + len(wrong), 1), 3),
        "recall": round(right / max(right + len(missed), 1), 3),
        "exact_spans": exact,
    }, wrong, missed


# (case, module, engine, strict)
QUALITY = [
    ("naja extract", "naja", "extract", False),
    ("datefinder 1.0 extract", "original", "extract", False),
    ("older engine find_dates", "original", "older", False),
    ("naja find_dates(strict)", "naja", "new-strict", True),
    ("datefinder 1.0 find_dates(strict)", "original", "new-strict", True),
    ("older engine find_dates(strict)", "original", "older-strict", True),
]

# naja's call, the original's call
SPEED = [
    ("find_dates", "find_dates"),
    ("find_dates(strict)", "find_dates(strict)"),
    ("extract", "extract"),
    ("find_dates", "find_dates_legacy"),
]


def original_python():
    python = CACHE / "bin" / "python"
    if not python.exists():
        venv.create(CACHE, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *ORIGINAL], check=True)
    return str(python)


def same_dates(naja, original):
    """Whether `find_dates` of naja gives what the older engine gives, in all texts of the corpus."""
    different = total = 0
    for half in ("development", "heldout"):
        path = str(HERE / "corpus" / f"{half}.jsonl")
        ours = naja.ask(what="corpus", engine="new", path=path)
        theirs = original.ask(what="corpus", engine="older", path=path)
        total += len(theirs)
        different += sum(one != other for one, other in zip(ours, theirs))
    return {"texts": total, "different": different}


def measure(naja, original):
    cases = []
    for ours, theirs in SPEED:
        times = {"naja": [], "original": []}
        for _ in range(RUNS):
            for name, worker, call in (("naja", naja, ours), ("original", original, theirs)):
                seconds, found = worker.ask(what="time", call=call)
                times[name].append((seconds, found))
        naja_s, original_s = (sorted(seconds for seconds, _ in times[name]) for name in ("naja", "original"))
        cases.append(
            {
                "case": f"{ours} / {theirs}, {SIZE // 1000} KB",
                "naja": statistics.median(naja_s),
                "peer": statistics.median(original_s),
                "ratio": round(statistics.median(original_s) / statistics.median(naja_s), 1),
                "naja_spread": [naja_s[0], naja_s[-1]],
                "peer_spread": [original_s[0], original_s[-1]],
                "naja_found": times["naja"][0][1],
                "peer_found": times["original"][0][1],
            }
        )
    return cases


def report(results):
    lines = [
        "# naja's datefinder beside datefinder 1.0",
        "",
        f"Written by `bench/datefinder.py`: {results['machine']}, load average {results['load']}. Against {results['original']}.",
        "",
        "## What is found",
        "",
        "On the labelled corpus (`corpus/README.md`). Wrong: found, and not there or with another value. Missed: there,",
        "and not found so. Exact: found with the label's very span.",
        "",
        "| half | engine | right | wrong | missed | precision | recall | exact |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in results["quality"]:
        figures = [row[key] for key in ("right", "wrong", "missed", "precision", "recall", "exact_spans")]
        lines.append(f"| {row['half']} | {row['engine']} | " + " | ".join(map(str, figures)) + " |")
    same = results["same_as_older"]
    lines += [
        "",
        f"`find_dates` without `strict` keeps to the older engine: its dates and spans are the same in "
        f"{same['texts'] - same['different']} of {same['texts']} texts of the corpus.",
        "",
        "## Time",
        "",
        f"{SIZE // 1000} KB of words with {results['planted']} dates in them; milliseconds, median of {RUNS} alternating runs,",
        "fastest and slowest in brackets.",
        "",
        "| call: naja / original | naja | original | ratio | found by naja | found by original |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in results["cases"]:
        cells = []
        for name in ("naja", "peer"):
            low, high = row[f"{name}_spread"]
            cells.append(f"{row[name] * 1e3:.2f} ({low * 1e3:.2f}-{high * 1e3:.2f})")
        lines.append(
            f"| {row['case']} | {cells[0]} | {cells[1]} | {row['ratio']} | {row['naja_found']} | {row['peer_found']} |"
        )
    part, seconds = max(results["hard"].items(), key=lambda item: item[1])
    lines += [
        "",
        f"Hard texts: {len(results['hard'])} of {SIZE // 1000} KB, each one part over and over; the slowest search of naja's takes "
        f"{seconds * 1e3:.0f} ms of processor time, on {part!r}.",
    ]
    return "\n".join(lines) + "\n"


def write_cases(cases):
    """Puts the cases into the results of the whole tool, in the place of earlier ones of this script."""
    path = HERE / "results.json"
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"cases": []}
    others = [case for case in results["cases"] if case.get("original") != "datefinder"]
    results["cases"] = others + [{"original": "datefinder", "unit": "s", **case} for case in cases]
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--show", action="store_true", help="print naja's mistakes on the development half")
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work)
        return
    workers = {
        "naja": Worker(sys.executable, "naja.datefinder"),
        "original": Worker(original_python(), "datefinder"),
    }
    quality = []
    for half in ("development", "heldout"):
        path = HERE / "corpus" / f"{half}.jsonl"
        records = [json.loads(line) for line in path.open(encoding="utf-8")]
        for case, worker, engine, strict in QUALITY:
            found = workers[worker].ask(what="corpus", engine=engine, path=str(path))
            counts, wrong, missed = count(records, found, strict)
            quality.append({"half": half, "engine": case, **counts})
            if arguments.show and half == "development" and worker == "naja":
                print(case, *(f"  wrong  {row}" for row in wrong), *(f"  missed {row}" for row in missed), sep="\n")
    results = {
        "machine": f"{platform.machine()}, {platform.system()}, {os.cpu_count()} cores, CPython {platform.python_version()}",
        "load": round(os.getloadavg()[0], 1),
        "original": ", ".join(ORIGINAL),
        "quality": quality,
        "same_as_older": same_dates(workers["naja"], workers["original"]),
        "planted": newspaper()[1],
        "hard": dict(zip(HARD, workers["naja"].ask(what="hard"))),
        "cases": measure(workers["naja"], workers["original"]),
    }
    write_cases(results["cases"])
    (HERE / "datefinder.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    text = report(results)
    (HERE / "datefinder.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
