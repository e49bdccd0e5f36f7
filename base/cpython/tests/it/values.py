"""Some sixty kinds of values in one function's local variables, and what each should read as."""

import array
import collections
import ctypes
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import json
import pathlib
import re
import sys
import threading
import types
import uuid
import weakref


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
    clock, clock_zone = datetime.time(1, 2), datetime.time(3, 4, 5, 6, tzinfo=datetime.timezone.utc)
    utc = datetime.datetime(2024, 1, 2, 3, 4, tzinfo=datetime.timezone.utc)
    east = datetime.datetime(2024, 1, 2, 3, 4, tzinfo=datetime.timezone(datetime.timedelta(hours=2), "E"))
    no_queue, unbound_queue = collections.deque(), collections.deque(range(150))
    unbound_queue.popleft()
    price, tiny_price, big_price = decimal.Decimal("-1.50"), decimal.Decimal("1E-9"), decimal.Decimal(7) ** 90
    not_price, no_price = decimal.Decimal("NaN"), decimal.Decimal("-Infinity")
    third = fractions.Fraction(1, 3)
    identity = uuid.UUID("12345678-1234-5678-1234-567812345678")
    path, asked_path, root = pathlib.PurePosixPath("/srv", "a", "x.py"), pathlib.PurePosixPath("b/c"), pathlib.PurePosixPath("/")
    str(asked_path)
    here_path, relative = pathlib.PurePosixPath(), pathlib.Path("a") / "b"
    shorts, doubles, no_array = array.array("h", [1, -2]), array.array("d", [0.5]), array.array("B")
    looked_at, looked_at_shorts = memoryview(b"abc"), memoryview(array.array("h", [1, -2, 3]))[::2]
    three, five, eight = (ctypes.c_int * 3)(1, 2, 3), ctypes.c_int(-5), ctypes.c_char_p(b"x")
    letters = (ctypes.c_char * 2)(b"a", b"b")
    part_of, proxy = functools.partial(len, [1], k=2), types.MappingProxyType({"a": 1})
    keys, values_of, pairs = {"a": 1}.keys(), {"a": 1}.values(), {"a": 1}.items()
    pattern, reference = re.compile("a+"), weakref.ref(plain)
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
        # A path remembers its text once it was asked for it.
        if name not in ("expected", "name", "value", "thing", "lock", "uses", "path", "relative")
    }
    expected.update(
        long_text="'" + "x" * 4000 + "'…<5000 characters>",
        many="[" + ", ".join(map(str, range(200))) + ", …<800 more>]",
        counter="Counter({'a': 1})",
        ordered="OrderedDict({'k': 1})",
        default="defaultdict({'d': [1]})",
        unbound_queue="deque([" + ", ".join(map(str, range(1, 150))) + "])",
        big_price="Decimal('" + str(big_price) + "')",
        third="Fraction(1, 3)",
        path="PurePosixPath('/srv/a/x.py')",
        relative="PosixPath('a/b')",
        looked_at="memoryview(b'abc')",
        looked_at_shorts="memoryview(format='h', shape=(2,), values=[1, 3])",
        three="c_int_Array_3([1, 2, 3])",
        letters="c_char_Array_2(b'ab')",
        five="c_int(-5)",
        eight="<ctypes.c_char_p object" + where(eight),
        part_of="functools.partial(<built-in function len>, [1], k=2)",
        pattern="re.compile('a+')",
        reference="<weakref to '__main__.Plain'" + where(reference),
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
