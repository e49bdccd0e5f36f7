"""Measures naja.dateutil beside python-dateutil; writes `results.md` and `results.json`.

    against.py [--short] [WORD…]     `cargo dev bench dates` builds first and then starts this

WORD chooses the cases whose names contain it; the others keep the results that they have. Each case is one line of
`CASES`: a name, a target, and for each side what is run. Answers are compared before costs; the sides run in turn;
a figure is the median of the runs, shown with the smallest and the largest.
"""

import argparse
import dataclasses
import datetime
import importlib
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time
import typing
import warnings

import rules_and_zones

HERE = pathlib.Path(__file__).resolve().parent
FOLDER = HERE.parents[2] / ".cache" / "bench" / "dates"
ORIGINAL = "python-dateutil==4.0.0"
DEFAULT = datetime.datetime(2003, 9, 25)
EARLIER = datetime.datetime(1990, 1, 31)


@dataclasses.dataclass
class Case:
    """One line of the table: `run` gets the modules of a side and gives the function to be measured."""

    name: str
    # The smallest allowed ratio peer ÷ naja.
    target: float
    run: typing.Callable
    # What stands on the other side; the original's modules where nothing else is said.
    peer: typing.Callable | None = None
    calls: int = 200
    # What the other side is, where it is not the original.
    beside: str | None = None


def parse_case(text, **options):
    return Case(f"parse {text!r}", 15, lambda side: lambda parse=side.parser.parse: parse(text, default=DEFAULT, **options))


ISO = "2003-09-25T10:49:41.123456+02:00"
FUZZY = "Today is 25 of September of 2003, exactly at 10:49:41 with timezone -03:00."


def column(shape, count):
    days = (datetime.datetime(1990, 1, 1) + datetime.timedelta(minutes=997 * row) for row in range(count))
    return [day.strftime(shape) for day in days]


def many(shape, as_array=False):
    """`parse_many` beside the loop over naja's own `parse`, a million strings."""
    kept = {}

    def values():
        if not kept:
            texts = column(shape, 1_000_000)
            if as_array:
                import numpy

                kept["array"] = numpy.array(texts)
            kept["texts"] = texts
        return kept

    def ours(side):
        given = values()["array" if as_array else "texts"]
        return lambda: side.parser.parse_many(given)

    def loop(side):
        parse, texts = SIDES["naja"].parser.parse, values()["texts"]
        return lambda: [parse(text) for text in texts]

    kind = "a numpy array" if as_array else "a list"
    return Case(f"parse_many, a million in {kind}, {shape}, beside the loop over naja's parse", 5, ours, loop, 1, "a loop")


CASES = [
    *(
        parse_case(text)
        for text in (
            "2003-09-25T10:49:41",
            "2003-09-25T10:49:41.5-03:00",
            "2003-09-25",
            "20030925T104941",
            "Thu Sep 25 10:36:28 2003",
            "Thu, 25 Sep 2003 10:49:41 -0300",
            "09/25/2003",
            "25/09/2003 14:05",
            "September 25, 2003 at 10:36am",
            "25 Sep 2003",
            "10:36:28.5 pm",
            "Sep 03",
        )
    ),
    parse_case(FUZZY, fuzzy=True),
    Case("isoparse", 30, lambda side: lambda parse=side.parser.isoparse: parse(ISO), calls=2_000),
    Case(
        "isoparse beside datetime.fromisoformat",
        1 / 1.5,
        lambda side: lambda parse=side.parser.isoparse: parse(ISO),
        lambda side: lambda parse=datetime.datetime.fromisoformat: parse(ISO),
        2_000,
        "datetime",
    ),
    Case(
        "datetime + relativedelta",
        6,
        lambda side: lambda delta=side.relativedelta.relativedelta(months=1, days=2): DEFAULT + delta,
        calls=2_000,
    ),
    Case(
        "relativedelta(months=1, days=2)",
        1,
        lambda side: lambda make=side.relativedelta.relativedelta: make(months=1, days=2),
        calls=1_000,
    ),
    Case(
        "relativedelta between two datetimes",
        6,
        lambda side: lambda make=side.relativedelta.relativedelta: make(DEFAULT, EARLIER),
        calls=500,
    ),
    Case("easter(2024)", 1, lambda side: lambda easter=side.easter.easter: easter(2024), calls=2_000),
    many("%Y-%m-%d %H:%M:%S"),
    many("%d %b %Y"),
    many("%Y-%m-%dT%H:%M:%S", as_array=True),
    *(Case(*row) for row in rules_and_zones.CASES),
]

SIDES = {}


class Side:
    """The modules of one of the two packages, imported when a case asks for them."""

    def __init__(self, package):
        self._package = package

    def __getattr__(self, name):
        module = importlib.import_module(f"{self._package}.{name}")
        setattr(self, name, module)
        return module


def install():
    """Puts the original into a folder of its own."""
    if not (FOLDER / "dateutil").is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(FOLDER), ORIGINAL]
        subprocess.run(command, check=True)
    sys.path.insert(0, str(FOLDER))
    SIDES["naja"], SIDES["original"] = Side("naja.dateutil"), Side("dateutil")


def comparable(value):
    """An answer in a form that is the same on both sides."""
    if type(value).__module__ == "numpy":
        return value.tolist()
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        # Zones of two packages are never equal, and equality of aware times looks at the instant alone.
        return value.replace(tzinfo=None), value.fold, value.utcoffset()
    if isinstance(value, (list, datetime.date)):
        return value
    return repr(value)


def measure(case, runs):
    ours = case.run(SIDES["naja"])
    theirs = (case.peer or case.run)(SIDES["original"])
    one, other = comparable(ours()), comparable(theirs())
    if one != other:
        raise SystemExit(f"WRONG ANSWER in {case.name}: {str(one)[:200]} and {str(other)[:200]}")
    del one, other
    columns = ([], [])
    # Many short rounds: what else the machine does then falls on few of them.
    for _ in range(runs * 5 if case.calls > 1 else runs):
        for function, times in zip((ours, theirs), columns):
            calls = range(case.calls if function is ours or case.peer else max(case.calls // 5, 1))
            start = time.perf_counter()
            for _ in calls:
                function()
            times.append((time.perf_counter() - start) / len(calls))
    return result(case.name, "s", *columns, case.target) | ({"beside": case.beside} if case.beside else {})


def result(name, unit, ours, theirs, target, at_most=None):
    one, other = statistics.median(ours), statistics.median(theirs)
    return {
        "original": "python-dateutil",
        "case": name,
        "unit": unit,
        "naja": one,
        "peer": other,
        "ratio": other / one,
        "spread": [min(ours), max(ours), min(theirs), max(theirs)],
        "target": target if at_most is None else at_most,
        "met": other / one >= target if at_most is None else one <= at_most,
    }


def in_a_process(code):
    """Seconds that a Python takes to run some code, and what it prints."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-S", "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"failed: {code}")
    return time.perf_counter() - start, done.stdout


def imports(runs):
    """What importing the parser adds to a bare Python, in milliseconds."""
    codes = ("pass", "import naja.dateutil.parser", "import dateutil.parser")
    columns = ([], [], [])
    for _ in range(max(runs, 5) * 2):
        for code, times in zip(codes, columns):
            times.append(1000 * in_a_process(code)[0])
    bare = statistics.median(columns[0])
    ours, theirs = ([one - bare for one in column] for column in columns[1:])
    return result("import of the parser, over bare Python", "ms", ours, theirs, None, at_most=5)


def memory(runs):
    """Peak memory of a process that parses 200,000 strings one by one and keeps the datetimes, in MiB.

    The process reads it itself: what wait4 tells is never below what this process had when it started the other.
    """
    code = (
        "from {}.parser import parse; import datetime\n"
        "kept = [parse('2003-09-25 10:%02d:41' % (row % 60)) for row in range(200_000)]\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    columns = ([], [])
    for _ in range(min(runs, 3)):
        for package, column in zip(("naja.dateutil", "dateutil"), columns):
            column.append(int(in_a_process(code.format(package))[1]) / 1024)
    return result("peak memory, 200,000 strings parsed one by one", "MiB", *columns, 1)


EXTRA = {"import": imports, "memory": memory}


def shown(value, unit):
    if unit != "s":
        return f"{value:.1f} {unit}"
    for factor, name in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if value * factor >= 1:
            return f"{value * factor:.2f} {name}"
    return f"{value * 1e9:.0f} ns"


def page(results):
    processor = next(
        (line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine()
    )
    lines = [
        "# naja.dateutil beside python-dateutil",
        "",
        "Written by `against.py` (`cargo dev bench dates`); do not edit. Each figure is a median of runs in turn, the spread",
        "is from the smallest to the largest run, the ratio is the peer's time ÷ naja's. Answers were compared first.",
        "",
        f"{ORIGINAL}, CPython {platform.python_version()}, {processor}, {os.cpu_count()} cores, {platform.system()}.",
        "",
        "| case | naja | peer | ratio | spread naja | spread peer | target | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in results:
        unit = one["unit"]
        low, high, peer_low, peer_high = (shown(value, unit) for value in one["spread"])
        is_ratio = unit != "ms"
        cells = [
            one["case"].replace("|", "\\|"),
            shown(one["naja"], unit),
            shown(one["peer"], unit),
            f"{one['peer'] / one['naja']:.1f}",
            f"{low} to {high}",
            f"{peer_low} to {peer_high}",
            f"≥ {one['target']:.3g} ×" if is_ratio else f"≤ {one['target']} ms",
            "met" if one["met"] else "**missed**",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="fewer runs, to see that everything works")
    parser.add_argument("words", nargs="*", metavar="WORD")
    arguments = parser.parse_args()
    runs = 3 if arguments.short else 7
    warnings.simplefilter("ignore")
    install()
    stored = HERE / "results.json"
    cases = json.loads(stored.read_text())["cases"] if stored.is_file() else []
    others = [one for one in cases if one["original"] != "python-dateutil"]
    kept = {one["case"]: one for one in cases if one["original"] == "python-dateutil"}

    def is_chosen(name):
        return not arguments.words or any(word in name for word in arguments.words)

    results = []
    for case in CASES:
        if is_chosen(case.name):
            kept[case.name] = measure(case, runs)
        if case.name in kept:
            results.append(kept[case.name])
            print(f"{case.name}: {results[-1]['ratio']:.1f}", file=sys.stderr)
    for word, extra in EXTRA.items():
        if is_chosen(word):
            one = extra(runs)
            kept[one["case"]] = one
            print(f"{one['case']}: {one['ratio']:.1f}", file=sys.stderr)
    names = {one["case"] for one in results}
    results += [one for name, one in kept.items() if name not in names]
    stored.write_text(json.dumps({"cases": results + others}, indent=1, ensure_ascii=False) + "\n")
    (HERE / "results.md").write_text(page(results))
    if not arguments.words:
        # Quality and speed of finding dates in texts, which have pages of their own.
        subprocess.run([sys.executable, HERE / "datefinder.py"], check=True)


if __name__ == "__main__":
    main()
