"""The command line of datefinder: finds the dates in its arguments or in standard input."""

import argparse
import datetime
import json
import sys

from . import (
    AbsoluteValue,
    DurationValue,
    IntervalValue,
    RelativeValue,
    __version__,
    extract,
    find_dates,
    find_dates_compat,
    find_dates_legacy,
)


def build_parser():
    """The arguments, those of datefinder 1.0."""
    parser = argparse.ArgumentParser(prog="datefinder", description="Find the dates in a text.")
    parser.add_argument("text", nargs="*", help="the text; standard input without it")
    parser.add_argument(
        "--engine",
        choices=("default", "legacy", "compat", "extract"),
        default="default",
        help="which function of the package is called",
    )
    parser.add_argument("--reference", help="the moment of relative dates, in ISO 8601")
    parser.add_argument(
        "--first", choices=("month", "day", "year"), default="month", help="what ambiguous numbers begin with"
    )
    parser.add_argument("--no-month-only", action="store_true", help="pass over months alone")
    parser.add_argument("--compact-numeric", action="store_true", help="read eight digits as a date")
    parser.add_argument("--no-multiline", action="store_true", help="end dates at the end of the line")
    parser.add_argument("--strict", action="store_true", help="only dates with year, month and day")
    parser.add_argument("--source", action="store_true", help="show the text of each date (default, legacy)")
    parser.add_argument("--index", action="store_true", help="show the place of each date (default, legacy)")
    parser.add_argument(
        "--locale", action="append", default=[], help="a language to read (extract); may be repeated"
    )
    parser.add_argument("--json", action="store_true", help="write JSON")
    parser.add_argument("--pretty", action="store_true", help="indent the JSON")
    parser.add_argument("--version", action="version", version=f"datefinder {__version__}")
    return parser


def main(argv=None):
    """Run the command line; returns the exit code."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.engine in ("compat", "extract") and (args.source or args.index):
        parser.error("--source/--index are only supported for default or legacy engines.")
    if args.engine != "extract" and args.locale:
        parser.error("--locale is only supported with --engine extract.")
    text = " ".join(args.text) or sys.stdin.read()
    if not text:
        raise SystemExit("No input text provided. Pass text as args or pipe via stdin.")
    rows, lines = _answers(args, text, _reference(args.reference))
    if args.json:
        json.dump(rows, sys.stdout, indent=2 if args.pretty else None)
        sys.stdout.write("\n")
    else:
        for line in lines:
            print(line)
    return 0


def _reference(value):
    try:
        return None if value is None else datetime.datetime.fromisoformat(value)
    except ValueError as error:
        raise SystemExit(f"Invalid --reference value '{value}': {error}") from None


def _answers(args, text, reference):
    """What was found, as records for JSON and as lines."""
    options = {"strict": args.strict, "first": args.first}
    extended = {
        "allow_month_only": not args.no_month_only,
        "allow_compact_numeric": args.compact_numeric,
        "allow_multiline": not args.no_multiline,
    }
    if args.engine == "extract":
        matches = extract(
            text, reference_dt=reference, locales=tuple(args.locale) or None, **options, **extended
        )
        rows = [_record(match) for match in matches]
        return rows, [f"{row['kind']}\t{row['text']}\t{row['value']}" for row in rows]
    if args.engine == "compat":
        dates = [date.isoformat() for date in find_dates_compat(text, reference_dt=reference, **options, **extended)]
        return [{"datetime": date} for date in dates], dates
    find, more = (find_dates_legacy, {}) if args.engine == "legacy" else (find_dates, extended)
    found = find(text, source=True, index=True, base_date=reference, **options, **more)
    rows, lines = [], []
    for date, matched, (start, end) in found:
        row, line = {"datetime": date.isoformat()}, date.isoformat()
        if args.source:
            row["text"] = matched
            line += f"\t{matched}"
        if args.index:
            row["index"] = [start, end]
            line += f"\t{start}:{end}"
        rows.append(row)
        lines.append(line)
    return rows, lines


def _record(match):
    return {
        "kind": match.kind,
        "text": match.text,
        "start": match.start,
        "end": match.end,
        "locale": match.locale,
        "grain": match.grain,
        "value": _value(match.value),
        "alternates": [_value(value) for value in match.alternates],
        "confidence": match.confidence,
        "warnings": list(match.warnings),
    }


def _value(value):
    if isinstance(value, AbsoluteValue):
        return {"datetime": value.datetime_value.isoformat(), "timezone_source": value.timezone_source}
    if isinstance(value, RelativeValue):
        return {
            "resolved_datetime": value.resolved_datetime.isoformat(),
            "delta_seconds": value.delta_seconds,
            "anchor": value.anchor,
        }
    if isinstance(value, DurationValue):
        return {"total_seconds": value.total_seconds, "components": dict(value.components)}
    assert isinstance(value, IntervalValue)
    return {
        "start": value.start.isoformat(),
        "end": value.end.isoformat(),
        "closed_open": value.closed_open,
    }
