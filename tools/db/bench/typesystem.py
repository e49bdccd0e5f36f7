"""Measures naja.typesystem beside typesystem: `cargo dev bench db typesystem [--short] [WORD…]`.

WORD chooses the cases whose names contain it; the others keep the results that they have. Each case is a line of
`CASES`: what is asked, of which field, with which value. Answers are compared before times, messages with everything
that they say; the sides run in turn; a figure is the median of the runs, shown with the smallest and the largest.
"""

import dataclasses
import importlib
import json
import pathlib
import sys
import time

import stored
from sides import arguments, import_costs, install

HERE = pathlib.Path(__file__).resolve().parent
FOLDER = HERE.parents[2] / ".cache" / "bench" / "typesystem"
NAME = "typesystem"
ORIGINAL = ["typesystem==0.4.1", "pyyaml==6.0.4"]

PERSON = {
    "id": 3,
    "name": "Ann Example",
    "email": "ann@example.org",
    "born": "1990-05-17",
    "joined": "2018-09-14T09:30:15Z",
    "key": "93e19019-c7a6-45fe-8936-f6f4d550f35f",
    "score": 88.5,
    "role": "user",
    "tags": ["a", "bb", "ccc"],
    "address": {"street": "Main Street 1", "city": "Oslo", "zip": "12345"},
    "site": "https://example.org/ann",
    "ip": "192.168.1.1",
}
WRONG = PERSON | {
    "id": 0,
    "email": "nobody",
    "born": "2018-02-30",
    "tags": ["a", 3],
    "address": {"street": "", "city": "Oslo", "zip": "1"},
}
PLAIN = {"id": 3, "name": "Ann", "score": 1.5, "active": True, "note": "some words"}


class Fields:
    """The same fields, made of one side's classes."""

    def __init__(self, side):
        self.side = side
        definitions = side.Definitions()
        address = side.Schema(
            {
                "street": side.String(max_length=100),
                "city": side.String(max_length=50),
                "zip": side.String(pattern="^[0-9]{5}$"),
            }
        )
        definitions["Address"] = address
        self.person = side.Schema(
            {
                "id": side.Integer(minimum=1),
                "name": side.String(max_length=100),
                "email": side.Email(),
                "born": side.Date(),
                "joined": side.DateTime(),
                "key": side.UUID(),
                "score": side.Float(minimum=0, maximum=100),
                "active": side.Boolean(default=True),
                "role": side.Choice(choices=["admin", "user", "guest"]),
                "tags": side.Array(items=side.String(max_length=20), max_items=10),
                "address": side.Reference("Address", definitions=definitions),
                "site": side.URL(allow_null=True),
                "ip": side.IPAddress(),
            }
        )
        self.plain = side.Schema(
            {
                "id": side.Integer(),
                "name": side.String(max_length=100),
                "score": side.Float(),
                "active": side.Boolean(),
                "note": side.String(),
            }
        )
        self.people = side.Array(items=self.person)
        self.plains = side.Array(items=self.plain)
        self.numbers = side.Array(items=side.Integer(minimum=0))
        self.unique = side.Array(unique_items=True)
        self.table = side.Object(properties=side.Integer())
        self.patterns = side.Object(pattern_properties={"^a": side.Integer()})
        self.either = side.Integer() | side.Date() | side.String()
        self.country = side.Choice(choices=[(f"c{number}", f"Country {number}") for number in range(200)])
        for kind in ("Integer", "String", "Date", "DateTime", "UUID", "Email", "URL", "IPAddress", "Float", "Decimal", "Boolean"):
            setattr(self, kind.lower(), getattr(side, kind)())
        self.price = side.Float(precision="0.01")
        self.json_schema = side.from_json_schema(
            {
                "type": "object",
                "properties": {
                    "id": {"type": "integer", "minimum": 1},
                    "name": {"type": "string", "maxLength": 100},
                    "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
                    "size": {"anyOf": [{"type": "number"}, {"enum": ["s", "m", "l"]}]},
                },
                "required": ["id", "name"],
                "additionalProperties": False,
            }
        )


@dataclasses.dataclass
class Case:
    """One line of the table: what is asked of a field, with a value."""

    name: str
    field: str
    value: object
    ask: str = "validate"
    target: float = 10


def document(value):
    return json.dumps(value, indent=2)


CASES = [
    Case("a record of 13 fields, nested", "person", PERSON),
    Case("a list of 1,000 of them", "people", [PERSON] * 1000),
    Case("a record of 5 plain fields", "plain", PLAIN),
    Case("a list of 1,000 of them, plain", "plains", [PLAIN] * 1000),
    Case("a record with 7 errors, as a result", "person", WRONG, "validate_or_error"),
    Case("a record with 7 errors, its messages read", "person", WRONG, "messages"),
    Case("a list of 1,000 numbers", "numbers", list(range(1000))),
    Case("a list of 1,000 that must differ", "unique", list(range(1000))),
    Case("an object of 1,000 numbers", "table", {str(number): number for number in range(1000)}),
    Case("an object of 100 keys by a pattern", "patterns", {f"a{number}": number for number in range(100)}),
    Case("a union, its second member", "either", "2018-09-14"),
    Case("one of 200 choices, the last", "country", "c199"),
    Case("by a JSON schema", "json_schema", {"id": 3, "name": "Ann", "tags": ["a", "b"], "size": "m"}),
    Case("JSON of 100 records, validated", "people", document([PERSON] * 100), "validate_json"),
    Case("JSON of 100 records, one wrong", "people", document([PERSON] * 99 + [PERSON | {"id": 0}]), "validate_json"),
    Case("JSON of 100 records, as tokens", "people", document([PERSON] * 100), "tokenize_json", target=5),
    # One value alone: calling into the field and making the result is most of it.
    Case("one integer", "integer", 5, target=5),
    Case("one integer in text", "integer", "5", target=5),
    Case("one string", "string", "some words", target=3),
    Case("one date", "date", "2018-09-14"),
    Case("one datetime", "datetime", "2018-09-14T09:30:15.25+02:00"),
    Case("one UUID", "uuid", PERSON["key"], target=5),
    Case("one mail address", "email", PERSON["email"], target=5),
    Case("one URL", "url", PERSON["site"], target=5),
    Case("one IP address", "ipaddress", PERSON["ip"], target=5),
    Case("one float", "float", 2.5, target=5),
    Case("one price, to two decimals", "price", 2.567, target=5),
    Case("one decimal in text", "decimal", "2.50", target=2),
    Case("one boolean in words", "boolean", "on", target=2),
    Case("one wrong integer, as a result", "integer", "x", "validate_or_error", target=5),
]


def asked(fields, case):
    """The function to be measured, which is called with the case's value."""
    field, side = getattr(fields, case.field), fields.side
    if case.ask == "validate_json":
        return lambda value: side.validate_json(value, field)
    if case.ask == "tokenize_json":
        return side.tokenize_json
    if case.ask == "messages":
        return lambda value: field.validate_or_error(value).error.messages()
    return getattr(field, case.ask)


def answer(side, ask, value):
    """What comes of it, in a form that is the same on both sides."""
    try:
        result = ask(value)
    except side.ValidationError as error:
        return [repr(message) for message in error.messages()]
    return repr((result, result.value) if hasattr(result, "start") else result)


def quietly(side, ask):
    """Calls it; the error, where there is one, is part of the work."""

    def call(value):
        try:
            ask(value)
        except side.ValidationError:
            pass

    return call


def seconds(call, value, count):
    """What so many calls take."""
    start = time.perf_counter()
    for _ in range(count):
        call(value)
    return time.perf_counter() - start


def calls_in(call, value, span):
    """How many calls take about that long."""
    count = 1
    while seconds(call, value, count) < span:
        count *= 2
    return count


def measure(case, sides, runs):
    asks = [asked(fields, case) for fields in sides]
    one, other = (answer(fields.side, ask, case.value) for fields, ask in zip(sides, asks))
    if one != other:
        raise SystemExit(f"WRONG ANSWER in {case.name}:\n{str(one)[:2000]}\n{str(other)[:2000]}")
    raises = case.ask == "validate_json"
    calls = [quietly(fields.side, ask) if raises else ask for fields, ask in zip(sides, asks)]
    counts = [calls_in(call, case.value, 0.01) for call in calls]
    columns = ([], [])
    # Many short rounds: what else the machine does then falls on few of them.
    for _ in range(runs):
        for call, count, times in zip(calls, counts, columns):
            times.append(seconds(call, case.value, count) / count)
    return stored.result(NAME, case.name, "s", *columns, case.target)


def imports(runs):
    """What importing adds to a bare Python, in milliseconds of the clock."""
    costs = import_costs("import naja.typesystem", "import typesystem", runs)
    return stored.result(NAME, "import, over bare Python", "ms", *costs, None)


def main():
    options = arguments(__doc__)
    install(FOLDER, "typesystem", ORIGINAL)
    sides = [Fields(importlib.import_module(name)) for name in ("naja.typesystem", "typesystem")]
    runs = 5 if options.short else 31
    results = [measure(case, sides, runs) for case in CASES if options.is_chosen(case.name)]
    if options.is_chosen("import"):
        results.append(imports(runs))
    for one in results:
        print(f"{one['case']}: {one['ratio']:.1f}", file=sys.stderr)
    if not options.short:
        stored.store(NAME, ORIGINAL[0], results)


if __name__ == "__main__":
    main()
