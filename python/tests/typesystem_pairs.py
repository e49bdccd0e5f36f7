"""Random schemas and values, given to typesystem and to naja.typesystem: where they disagree, it says so.

    typesystem_pairs.py fields|json|yaml SEED COUNT

A program of its own, since optional packages have to be there before naja.typesystem is imported. It prints how many
answers it compared; the first one that differs ends it with exit code 1.
"""

import copy
import datetime
import decimal
import math
import random
import sys
import uuid

import typesystem as original

import naja.typesystem as naja

SIDES = (original, naja)

TEXTS = [
    *("", " ", "abc", " abc ", "a\0b", "\x1c x\x1f", "\u3000ab\u00a0", "\ud800", "12:34\ud800", "true", "Off", "NULL", "None", "x" * 40),
    *("0", "12", "-7", "+3", "1.5", "1e3", "1E400", "1e999999", "nan", "sNaN", "-inf", "Infinity", "0x10", "1_000", " 42 ", "٣"),
    *("9" * 30, "0." + "3" * 30, "1.005", "2.675", "-0", "-0.0", ".5", "5.", "1e", "--1", "truey"),
    *("2018-09-14", "2018-9-4", "2018-02-30", "0000-01-01", "9999-12-31", "2018-09-14\n", "２０１８-09-14", "20180914"),
    *("9:30", "09:30:15.25", "24:00", "9:3:1.1234567", "09:30:15.", "09:30:", "9:30:15.123456789012345", "12:34xyz"),
    *("2018-09-14T09:30:15Z", "2018-09-14 9:30", "2018-09-14T09:30:15.5+02:00", "2018-09-14T09:30-0130", "2018-09-14T25:00"),
    *("2018-09-14T09:30+1", "2018-09-14T09:30+01:", "2018-09-14T09:30+99:99", "2018-09-14T09:30:15Z\n", "2018-09-14t09:30"),
    *("93e19019-c7a6-45fe-8936-f6f4d550f35f", "93E19019-c7a6-45fe-8936-f6f4d550f35f", "93e19019-c7a6-65fe-8936-f6f4d550f35f"),
    *("93e19019-c7a6-45fe-8936-f6f4d550f35f}", "93e19019-c7a6-45fe-8936-f6f4d550f35fx", "93e19019c7a645fe8936f6f4d550f35f"),
    *("a@b.co", "a.b@c-d.org.", "a@b", "a..b@c.de", '"q q"@x.org', "a@-b.de", "a@b-.de", "ſ@b.de", "a@K.de", "a@b.c1", "@b.de", "a@b.de\n"),
    *("a@" + "x" * 63 + ".de", "a@" + "x" * 64 + ".de", "a@b.de..", "a@b@c.de", "a@x." + "y" * 64),
    *("127.0.0.1", "256.1.1.1", "01.2.3.4", "1.2.3.4.5", "1.2.3", "::1", "2001:db8:0:0:0:0:0:1", "1.2.3.4/8", "1.1.1.0"),
    *("http://x", "https://example.org/a?b#c", "x", "//host", "a:b", "http://", "http://[::1", "http://a]b/", "1http://x", "h\ttp://x", "http:///a"),
]
NUMBERS = [
    *(0, 1, -1, 5, 7, 10, 15, 255, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 10**30, 10**300, 10**400, -(10**400)),
    *(0.0, -0.0, 0.1, 0.5, 1.5, 2.5, 1.005, 2.675, 123.456, 1e15, 1e16, 1e22, 1e300, 5e-324, 0.3, 7.0, 10.0, -2.5, 3.14159, 1e30),
    *(math.nan, math.inf, -math.inf, True, False),
]
OTHERS = [
    None,
    b"12",
    (1, 2),
    decimal.Decimal("2.50"),
    decimal.Decimal("sNaN"),
    decimal.Decimal("1e400"),
    datetime.date(2018, 9, 14),
    datetime.datetime(2018, 9, 14, 9, 30),
    datetime.time(9, 30),
    uuid.UUID("93e19019-c7a6-45fe-8936-f6f4d550f35f"),
    object,
    3j,
]
KEYS = ["a", "b", "ab", "name", "x1", "", "é"]
PATTERNS = ["^[abc]*$", "a", r"\d+", "^x", "é", "$"]


class Shout(str):
    """A string of a class of its own, with a method that says something else."""

    def strip(self, *args):
        return str.strip(self, *args).upper()


class Pairs(dict):
    """A dictionary that is no plain one."""


class Builder:
    """One random schema, built once for each side from the same choices."""

    def __init__(self, seed):
        self.seed = seed

    def build(self, side):
        self.random = random.Random(self.seed)
        self.side = side
        self.definitions = side.Definitions()
        self.fields = []
        field = self.field(self.random.randrange(4))
        self.definitions["Name"] = self.leaf()
        return field

    def common(self, is_strict=False):
        given = {}
        if self.random.random() < 0.15 and not is_strict:
            given["allow_null"] = True
        if self.random.random() < 0.15:
            given["default"] = self.random.choice([None, 3, "d", list])
        if self.random.random() < 0.06:
            given["read_only"] = True
        return given

    def field(self, depth):
        makers = [self.leaf] if depth == 0 else [self.leaf, self.array, self.object, self.schema, self.schema, self.union, self.other]
        field = self.random.choice(makers)() if depth == 0 else self.pick(makers, depth)
        self.fields.append(field)
        return field

    def pick(self, makers, depth):
        maker = self.random.choice(makers)
        return maker() if maker == self.leaf else maker(depth - 1)

    def leaf(self):
        choose, side = self.random, self.side
        kind = choose.choice(
            "String String Integer Float Decimal Number Boolean Choice Text Date Time DateTime UUID Email URL IPAddress Any Const Reference Own".split()
        )
        given = self.common(is_strict=kind == "Const")
        maybe = lambda value, share=0.3: value if choose.random() < share else None
        if kind in ("String", "Text"):
            given |= dict(
                allow_blank=choose.random() < 0.3,
                trim_whitespace=choose.random() < 0.7,
                max_length=maybe(choose.randrange(8)),
                min_length=maybe(choose.randrange(5)),
                pattern=maybe(choose.choice(PATTERNS)),
                coerce_types=choose.random() < 0.7,
            )
            if kind == "String":
                given["format"] = maybe(choose.choice(["date", "uuid", "email", "phone", "url", "time"]))
        elif kind in ("Integer", "Float", "Decimal", "Number"):
            bound = lambda: maybe(choose.choice([0, 1, 5, 10, 2.5, -3, 10**20, decimal.Decimal("1.5"), 1e10, True]), 0.2)
            given |= dict(minimum=bound(), maximum=bound(), exclusive_minimum=bound(), exclusive_maximum=bound())
            given["precision"] = maybe(choose.choice(["0.01", "1", "0.1", "1.000", "1e1", "0.5"]), 0.2)
            given["multiple_of"] = maybe(choose.choice([1, 2, 5, 0.1, 0.01, 2.5, 10]), 0.2)
            given["coerce_types"] = choose.random() < 0.7
        elif kind == "Boolean":
            given["coerce_types"] = choose.random() < 0.7
        elif kind == "Choice":
            keys = choose.sample([1, True, 0, False, None, "a", "b", "", 1.5, "abc"], choose.randrange(5))
            given["choices"] = [(key, "words") for key in keys]
            if choose.random() < 0.3:
                given["choices"] += ["plain", ([1, True], "list"), ({"a": 1}, "object")]
            given["coerce_types"] = choose.random() < 0.7
        elif kind == "Const":
            return side.fields.Const(choose.choice([None, 1, True, "a", [1], {"a": [True]}]), **given)
        elif kind == "Reference":
            return side.Reference("Name", definitions=self.definitions, **given)
        elif kind == "Own":
            return self.own(given)
        return getattr(side, kind)(**given)

    def own(self, given):
        """A field of the user's own: each way in which a subclass can differ."""
        side = self.side

        class Even(side.Integer):
            errors = {**side.Integer.errors, "even": "Must be even and below {limit}, not {{}}."}
            limit_of_class = 10

            def __init__(self, **kwargs):
                super().__init__(**kwargs)
                self.limit = 10

            def validate(self, value):
                value = super().validate(value)
                if value is not None and value % 2:
                    raise self.validation_error("even")
                return value

        class Loud(side.String):
            def get_error_text(self, code):
                return super().get_error_text(code).upper()

        class Coded(side.Float):
            def validation_error(self, code):
                message = side.Message(text=f"no: {code}", code="own", index=["deep", 1])
                return side.ValidationError(messages=[message, message])

        class Spread(side.Array):
            def validate_or_error(self, value):
                return super().validate_or_error([value] if not isinstance(value, list) else value)

        class Moving(side.String):
            @property
            def max_length(self):
                return len(self.title) + 3

            @max_length.setter
            def max_length(self, value):
                pass

        class Yes(side.Boolean):
            coerce_values = {"yes": True, "no": False}

        class Sized(side.Field):
            def validate(self, value):
                try:
                    return len(value)
                except TypeError:
                    raise side.ValidationError(text="no size", code="type")

        class Always(side.String):
            default = "always"

        class Asked(side.Integer):
            def has_default(self):
                return True

            def get_default_value(self):
                return 77

        kind = self.random.choice([Even, Loud, Coded, Spread, Moving, Yes, Sized, Always, Asked])
        return kind(**given)

    def many(self, depth):
        return [self.field(depth) for _ in range(self.random.randrange(1, 4))]

    def array(self, depth):
        choose = self.random
        given = self.common()
        shape = choose.randrange(3)
        items = None if shape == 0 else self.field(depth) if shape == 1 else self.many(depth)
        given["additional_items"] = choose.choice([True, False, "field"])
        if given["additional_items"] == "field":
            given["additional_items"] = self.field(0)
        for name in ("min_items", "max_items", "exact_items"):
            if choose.random() < 0.2:
                given[name] = choose.randrange(4)
        return self.side.Array(items=items, unique_items=choose.random() < 0.3, **given)

    def named(self, depth):
        return {key: self.field(depth) for key in self.random.sample(KEYS, self.random.randrange(4))}

    def object(self, depth):
        choose = self.random
        given = self.common()
        given["properties"] = self.named(depth) if choose.random() < 0.8 else self.field(depth)
        if choose.random() < 0.3:
            given["pattern_properties"] = {pattern: self.field(0) for pattern in choose.sample(PATTERNS, 2)}
        given["additional_properties"] = choose.choice([True, False, None, "field"])
        if given["additional_properties"] == "field":
            given["additional_properties"] = self.field(0)
        if choose.random() < 0.2:
            given["property_names"] = self.side.String(max_length=1)
        if choose.random() < 0.3:
            given["required"] = choose.sample(KEYS, 2)
        for name in ("min_properties", "max_properties"):
            if choose.random() < 0.2:
                given[name] = choose.randrange(3)
        return self.side.Object(**given)

    def schema(self, depth):
        return self.side.Schema(fields=self.named(depth), **self.common())

    def union(self, depth):
        return self.side.Union(any_of=self.many(depth), **self.common())

    def other(self, depth):
        side, choose = self.side.composites, self.random
        kind = choose.choice([side.OneOf, side.AllOf, side.Not, side.IfThenElse, side.NeverMatch])
        if kind is side.NeverMatch:
            return kind()
        if kind is side.Not:
            return kind(self.field(depth))
        if kind is side.IfThenElse:
            return kind(*self.many(depth))
        return kind(self.many(depth))


def scalar(choose):
    pool = choose.choice([TEXTS, TEXTS, NUMBERS, OTHERS])
    value = choose.choice(pool)
    return Shout(value) if isinstance(value, str) and choose.random() < 0.05 else value


def value_for(choose, depth=3):
    """A value that has nothing to do with the schema."""
    if depth == 0 or choose.random() < 0.4:
        return scalar(choose)
    if choose.random() < 0.4:
        items = [value_for(choose, depth - 1) for _ in range(choose.randrange(4))]
        return items + items[:1] if choose.random() < 0.3 else items
    made = {choose.choice(KEYS): value_for(choose, depth - 1) for _ in range(choose.randrange(4))}
    if choose.random() < 0.06:
        made[choose.choice([1, None, (1,)])] = 1
    return Pairs(made) if choose.random() < 0.1 else made


def fitting(choose, field, depth=6):
    """A value that may well fit a field of the original's."""
    if depth == 0 or choose.random() < 0.12:
        return value_for(choose, 2)
    go = lambda inner: fitting(choose, inner, depth - 1)
    if isinstance(field, original.Array):
        items = field.items
        if isinstance(items, list):
            return [go(item) for item in items]
        return [go(items) if items is not None else scalar(choose) for _ in range(choose.randrange(4))]
    if isinstance(field, original.Schema):
        return {key: go(inner) for key, inner in field.fields.items() if choose.random() < 0.93}
    if isinstance(field, original.Object):
        made = {key: go(inner) for key, inner in field.properties.items() if choose.random() < 0.93}
        for key in choose.sample(KEYS, choose.randrange(3)):
            made.setdefault(key, scalar(choose))
        return made
    if isinstance(field, original.Union):
        return go(choose.choice(field.any_of))
    if isinstance(field, original.Choice) and field.choices:
        return choose.choice(field.choices)[0]
    if isinstance(field, original.Boolean):
        return choose.choice([True, False, "on", "0", 1, ""])
    if isinstance(field, original.Number):
        return choose.choice(NUMBERS + ["12", "1.5"])
    if isinstance(field, original.String):
        return choose.choice(TEXTS)
    return value_for(choose, 1)


def shown(value):
    """A value with the types of everything in it."""
    if isinstance(value, dict):
        return [type(value).__name__, [(shown(key), shown(inner)) for key, inner in value.items()]]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, [shown(inner) for inner in value]]
    return f"{type(value).__name__} {value!r}"


def messages(error):
    said = [(one.text, one.code, one.index, repr(one.start_position), repr(one.end_position)) for one in error.messages()]
    return said, repr(error), str(error), shown(dict(error)), len(error), hash(error) is not None


def answer(side, ask):
    try:
        return "value", ask()
    except (side.ValidationError, side.ParseError) as error:
        return type(error).__name__, messages(error)
    except RecursionError:
        return "recursion", None
    except Exception as error:
        return "raised", error


def outcome(side, field, value):
    kind, result = answer(side, lambda: field.validate_or_error(value))
    if kind != "value":
        return kind, result
    checked, error = result
    assert bool(result) is (error is None)
    again = answer(side, lambda: field.validate(value))
    if type(field).__name__ == "Spread":
        # Its two methods are not meant to agree.
        return again[0], str(again[1]), shown(checked), error and messages(error)
    if error is None:
        assert again[0] == "value" and shown(again[1]) == shown(checked), (again, checked)
        return "value", shown(checked)
    assert again[0] == "ValidationError" and again[1] == messages(error), (again, error)
    return "error", messages(error)


# Where the original fails with one of these, which is no verdict on the value, naja gives a verdict.
ESCAPES = (OverflowError, ValueError, TypeError, AttributeError, AssertionError, decimal.InvalidOperation)


def has_escaped(theirs, ours):
    """Whether the original raised what is no verdict, and naja gave one (or the value that there is)."""
    kind, error = theirs
    if kind != "raised":
        return False
    if ours[0] == "raised":
        # A field of the user's own fails by itself: its text names what it has not.
        return repr(ours[1]) == "KeyError('max_length')"
    return isinstance(error, ESCAPES) and ours[0] in ("value", "error", "recursion")


def check_fields(seed):
    choose = random.Random(f"values {seed}")
    builder = Builder(seed)
    fields, parts = [], []
    for side in SIDES:
        fields.append(builder.build(side))
        parts.append(builder.fields)
    compared = 0
    for step in range(12):
        if step == 8:
            changed(choose.random(), parts)
        value = fitting(choose, fields[0]) if step % 3 else value_for(choose)
        theirs, ours = (outcome(side, field, copy.deepcopy(value)) for side, field in zip(SIDES, fields))
        if theirs != ours and not has_escaped(theirs, ours):
            raise SystemExit(f"seed {seed}, step {step}: {describe(fields[0])}\nvalue {value!r}\noriginal {theirs}\nnaja     {ours}")
        compared += theirs[0] != "raised"
    return compared


def changed(share, parts):
    """Sets an attribute of one field, or changes a list or a dictionary in it, on both sides alike."""
    place = int(share * len(parts[0]))
    for side, fields in zip(SIDES, parts):
        field = fields[place]
        if isinstance(field, side.String):
            field.max_length, field.allow_blank = 2, True
        elif isinstance(field, side.Number):
            field.minimum = 3
        elif isinstance(field, side.Choice):
            field.choices.append(("added", "Added"))
        elif isinstance(field, side.Schema):
            field.fields["b"] = side.Boolean(allow_null=True)
            field.required.append("zz")
        elif isinstance(field, side.Object):
            field.properties["b"] = side.Integer()
            field.required = ["b"]
        elif isinstance(field, side.Array):
            field.min_items = 1
        elif isinstance(field, side.Union):
            field.any_of.append(side.Any())
        else:
            field.errors = {code: text + "!" for code, text in type(field).errors.items()}


def describe(field, depth=0):
    inner = {
        key: value
        for key, value in vars(field).items()
        if value not in (None, "") and key not in ("title", "description", "pattern_regex", "definitions")
    }
    return f"{type(field).__name__}({', '.join(f'{key}={told(value)}' for key, value in inner.items())})"


def told(value):
    if isinstance(value, original.Field):
        return describe(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {told(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(told, value)) + "]"
    return repr(value)


PIECES = [*'{}[]:,"', '"a"', '"b"', '"\\u00e9"', '"\\ud83d\\ude00"', '"\\ud800"', '"\\x"', '"\\u12"', "é", "1", "-1", "0", "01", "1.5", "1e5", "1E400", "-", "1.", "true", "false", "null", "nul", "NaN", " ", "\n", "\t", "\r\n", "\u2028", "\0", "\x1f", "'", '"unterminated', '"a\\', str(10**25)]  # fmt: skip


def document(choose, depth=4):
    white = lambda: choose.choice(["", "", " ", "\n", "\r\n  ", "\t"])
    if depth == 0 or choose.random() < 0.3:
        return white() + choose.choice(['"a"', '"é\\n"', '"x y"', "1", "-2.5", "1e3", "true", "false", "null", str(10**25)]) + white()
    inner = lambda: document(choose, depth - 1)
    if choose.random() < 0.5:
        return white() + "[" + ",".join(inner() for _ in range(choose.randrange(4))) + white() + "]" + white()
    key = lambda: choose.choice(['"a"', '"b"', '"\\u0061"', '"é"'])
    pairs = (f"{white()}{key()}{white()}:{inner()}" for _ in range(choose.randrange(4)))
    return white() + "{" + ",".join(pairs) + white() + "}" + white()


def laid_out(token):
    """A token as plain data, with all places."""
    held = token._value
    if type(token).__name__ == "DictToken":
        held = [(laid_out(key), laid_out(value)) for key, value in held.items()]
    elif type(token).__name__ == "ListToken":
        held = [laid_out(item) for item in held]
    else:
        held = shown(held)
    return type(token).__name__, held, token._start_index, token._end_index, token.string, repr(token.start), repr(token.end)


def tokens(side, read, content):
    def everything():
        token = read(content)
        return laid_out(token), shown(token.value), repr(token), token == read(content)

    return answer(side, everything)


def check_documents(seed, read, validate, make):
    choose = random.Random(f"documents {seed}")
    content = make(choose)
    theirs, ours = (tokens(side, getattr(side, read), content) for side in SIDES)
    if theirs[0] in ("raised", "recursion"):
        # Too many digits for Python; what YAML's constructors refuse, and what the original makes no token of.
        agree = ours[0] in ("value", "ParseError")
    else:
        agree = theirs == ours
    if not agree:
        raise SystemExit(f"seed {seed}: {content!r}\noriginal {theirs}\nnaja     {ours}")
    if ours[0] != "value":
        return 1
    builder = Builder(seed)
    fields = [builder.build(side) for side in SIDES]
    value = answer(naja, lambda: getattr(naja, read)(content))[1].value
    count = answer(naja, lambda: fields[1].validate_or_error(value))
    theirs, ours = (
        answer(side, lambda: shown(getattr(side, validate)(content, field))) for side, field in zip(SIDES, fields)
    )
    # The original finds the place of one message only, and none that its field made up.
    if theirs[0] in ("raised", "recursion"):
        agree = ours[0] in ("value", "ValidationError", theirs[0])
    else:
        agree = theirs == ours or len(count[1].error.messages()) > 1
    if not agree:
        raise SystemExit(f"seed {seed}: {content!r} by {describe(fields[0])}\noriginal {theirs}\nnaja     {ours}")
    return 2


def json_text(choose):
    text = document(choose)
    if choose.random() < 0.4:
        place = choose.randrange(len(text) + 1)
        text = text[:place] + choose.choice(PIECES) + text[place + choose.randrange(3) :]
    if choose.random() < 0.05:
        text = "".join(choose.choice(PIECES) for _ in range(choose.randrange(8)))
    return text.encode("utf-8", "surrogatepass") if choose.random() < 0.2 else text


LINES = ["a: 1", "b: [1, 2, x]", "c:", "  - 1", "  - {d: null, e: ~}", "  - 'q'", "- 1.5", "- true", "? [a]", ": 2", "x: &a 1", "y: *a", "z: *b", "s: |", "  text", "t: 2018-09-14", "--- ", "!!set {a}", "k: 0x1F", "\tbad", "é: 1e3", "n: .inf", "", "# note", "f: @x"]  # fmt: skip


def yaml_text(choose):
    if choose.random() < 0.4:
        return document(choose)
    return "\n".join(choose.choice(LINES) for _ in range(choose.randrange(1, 6)))


def main():
    kind, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    checks = {
        "fields": check_fields,
        "json": lambda seed: check_documents(seed, "tokenize_json", "validate_json", json_text),
        "yaml": lambda seed: check_documents(seed, "tokenize_yaml", "validate_yaml", yaml_text),
    }
    print(sum(checks[kind](seed) for seed in range(first, first + count)))


if __name__ == "__main__":
    main()
