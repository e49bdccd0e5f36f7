"""Some sixty kinds of values in one function's local variables, and what each should read as."""

import collections
import dataclasses
import datetime
import enum
import json
import sys
import threading
import types


@dataclasses.dataclass
class Point:
    x: int
    y: int


class Slotted:
    __slots__ = ("a", "b", "unset")

    def __init__(self):
        self.a, self.b = 1, "two"


class Both(Slotted):
    __slots__ = ("__dict__",)

    def __init__(self):
        super().__init__()
        self.c = [3]


class Plain:
    shared = "not the instance's"

    def method(self):
        pass


class Color(enum.Enum):
    RED = 1
    BLUE = "b"


class Level(enum.IntEnum):
    HIGH = 70000000000


Named = collections.namedtuple("Named", "left right")


class Tagged(tuple):
    pass


class Number(int):
    pass


class Mapping(dict):
    pass


class Wrong(ValueError):
    pass


class Outer:
    class Inner:
        pass


def generator():
    yield 1


def where(value):
    """As what is known by its name and address reads."""
    return " at %#x>" % id(value)


def holds(argument, second=2, *rest, only="k", **named):
    cell = [argument]
    none, true, false, dots, absent = None, True, False, ..., NotImplemented
    zero, small, negative, one_digit = 0, 7, -5, 2**30 - 1
    two_digits, three_digits, below = 2**30, 2**60 + 12345, -(2**62)
    huge = 3**200
    point_one, large, tiny, infinite, minus_zero = 0.1, 1e100, 1.5e-9, float("inf"), -0.0
    imaginary, both_parts = 2j, 1.5 - 2j
    empty, text, quotes, lines = "", "snake", "it's", "a\n\tb\\"
    latin, wide, astral, long_text = "caf\u00e9", "\u0437\u043c\u0435\u044f", "\U0001f40d", "x" * 5000
    raw, changing, no_bytes = b"\x00ab'\xff", bytearray(b"abc"), b""
    items, no_items, nested, many = [1, "a", None], [], [[1, [2]], (3,)], list(range(1000))
    pair, single, no_tuple = (1, 2.5), ("a",), ()
    one_set, no_set, frozen = {42}, set(), frozenset({"f"})
    table, no_table, numbers = {"a": 1, "b": [2]}, {}, {1: "x", (2, 3): None}
    shrunk = {key: key for key in range(20)}
    for key in range(18):
        del shrunk[key]
    counter, ordered = collections.Counter("a"), collections.OrderedDict(k=1)
    default = collections.defaultdict(list, {"d": [1]})
    queue = collections.deque([1, 2, 3], 5)
    point, slotted, slots_and_more, inner = Point(1, -2), Slotted(), Both(), Outer.Inner()
    plain = Plain()
    plain.first, plain.second = 1, {"k": "v"}
    shadow = Plain()
    shadow.__dict__["first"] = 2
    made = types.SimpleNamespace(a=1)
    pair_named, tagged, number, mapping = Named(1, "r"), Tagged((1, 2)), Number(2**40), Mapping(k=1)
    red, blue, high = Color.RED, Color.BLUE, Level.HIGH
    error, own_error, no_error = ValueError("no", 3), Wrong("w"), KeyError()
    counting, part = range(10), slice(1, None, 2)
    stepping = range(0, 10, 3)
    function, method, built_in, of_type = generator, plain.method, len, Point
    made_in_c, module, generating = int, json, generator()
    day, moment = datetime.date(2024, 2, 29), datetime.datetime(2024, 1, 2, 3, 4, 5, 678)
    hours, nothing_left = datetime.timedelta(days=-1, microseconds=5), datetime.timedelta()
    circle = [1]
    circle.append(circle)
    lock = threading.Lock()
    thing = object()
    del absent
    unset = 1
    del unset
    comprehended = [one for one in (1, 2)]

    def uses():
        return cell, named

    expected = {
        name: repr(value)
        for name, value in locals().items()
        if name not in ("expected", "name", "value", "thing", "lock", "uses")
    }
    expected.update(
        long_text="'" + "x" * 4000 + "'…<5000 characters>",
        many="[" + ", ".join(map(str, range(200))) + ", …<800 more>]",
        counter="Counter({'a': 1})",
        ordered="OrderedDict({'k': 1})",
        default="defaultdict({'d': [1]})",
        queue="deque(len=3)",
        slotted="Slotted(a=1, b='two')",
        slots_and_more="Both(a=1, b='two', c=[3])",
        inner="<__main__.Outer.Inner object" + where(inner),
        plain="Plain(first=1, second={'k': 'v'})",
        shadow="Plain(first=2)",
        made="SimpleNamespace(a=1)",
        pair_named="Named(left=1, right='r')",
        tagged="Tagged((1, 2))",
        number="Number(1099511627776)",
        mapping="Mapping({'k': 1})",
        high="<Level.HIGH: 70000000000>",
        method="<bound method Plain.method" + where(method),
        module="<module 'json'>",
        day="datetime.date(2024, 2, 29)",
        hours="datetime.timedelta(days=-1, microseconds=5)",
        circle="[1, …]",
        thing="<object object" + where(thing),
        lock="<_thread.lock object" + where(lock),
        uses="<function holds.<locals>.uses" + where(uses),
    )
    print(json.dumps(expected), flush=True)
    sys.stdin.read()
    return uses


holds("arg", 22, "more", "rest", key="v")
