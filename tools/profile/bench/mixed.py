"""A long program with many different stacks: what a recording of an hour is measured on.

    mixed.py SECONDS

Real work from the standard library and `dateutil`, in random order, in the main thread, two workers and an
asyncio loop: texts are parsed, sorted, matched, packed, formatted and stored. Prints how much was done.
"""

import ast
import asyncio
import configparser
import csv
import dataclasses
import datetime
import decimal
import difflib
import email
import email.policy
import fractions
import functools
import heapq
import html.parser
import io
import json
import logging
import pickle
import pprint
import queue
import random
import re
import sqlite3
import statistics
import string
import sys
import textwrap
import threading
import time
import tokenize
import xml.etree.ElementTree
import zlib
from pathlib import Path

from dateutil import parser, rrule

WORDS = """the quick brown fox jumps over a lazy dog while seven wizards brew strange potions and old
sailors count their coins under pale lamps near a quiet harbour where ships from distant islands land""".split()
SOURCES = [path for path in sorted(Path(ast.__file__).parent.glob("*.py")) if path.stat().st_size < 40_000]


def sentence(chance, words=12):
    return " ".join(chance.choices(WORDS, k=words)).capitalize() + "."


def read_dates(chance):
    texts = []
    for _ in range(40):
        day = datetime.datetime(chance.randrange(1970, 2038), chance.randrange(1, 13), chance.randrange(1, 29))
        texts.append(day.strftime(chance.choice(["%Y-%m-%d %H:%M", "%d %B %Y", "%b %d, %Y", "%a %d %b %Y 10:11 PM"])))
    return sum(parser.parse(text).toordinal() for text in texts)


def plan_meetings(chance):
    start = datetime.datetime(2020, 1, chance.randrange(1, 28))
    rule = rrule.rrule(rrule.WEEKLY, dtstart=start, byweekday=(rrule.MO, rrule.TH), count=60)
    return sum(1 for day in rule if day.month == 6)


def tree_of(chance, depth):
    if depth == 0:
        return chance.choice([chance.random(), chance.randrange(1000), sentence(chance, 4), None, True])
    if chance.random() < 0.5:
        return [tree_of(chance, depth - 1) for _ in range(3)]
    return {chance.choice(WORDS): tree_of(chance, depth - 1) for _ in range(3)}


def pretty_json(chance):
    text = json.dumps(tree_of(chance, 5), indent=2, sort_keys=True)
    return len(json.loads(text))


def print_trees(chance):
    return len(pprint.pformat(tree_of(chance, 4), width=60))


def pack_in_python(chance):
    written = io.BytesIO()
    pickle._Pickler(written).dump(tree_of(chance, 5))
    return len(pickle._Unpickler(io.BytesIO(written.getvalue())).load())


def compile_patterns(chance):
    total = 0
    for _ in range(5):
        words = chance.sample(sorted(set(WORDS)), 6)
        pattern = "|".join(rf"(?P<{word}>{word}\w*)(?:\s+(?=\w))?" for word in words)
        total += len(re.compile(pattern).findall(sentence(chance, 60)))
    re.purge()
    return total


@dataclasses.dataclass(order=True)
class Parcel:
    weight: float
    name: str = dataclasses.field(compare=False)

    @property
    def price(self):
        return 3.2 + self.weight * self.zone()

    def zone(self):
        return 1.5 if self.name < "m" else 2.5


def sort_parcels(chance):
    parcels = [Parcel(chance.random(), chance.choice(WORDS)) for _ in range(800)]
    parcels.sort(key=lambda parcel: (parcel.name, -parcel.price))
    first = heapq.nsmallest(20, parcels, key=lambda parcel: parcel.price)
    return len(sorted(parcels)) + len(first)


def queens(size, columns=(), row=0):
    if row == size:
        return 1
    return sum(
        queens(size, (*columns, column), row + 1)
        for column in range(size)
        if all(column != other and abs(column - other) != row - at for at, other in enumerate(columns))
    )


def place_queens(chance):
    return queens(chance.choice([5, 6]))


@functools.lru_cache(maxsize=64)
def ways(total, coins):
    if total == 0:
        return 1
    if total < 0 or not coins:
        return 0
    return ways(total - coins[0], coins) + ways(total, coins[1:])


def count_change(chance):
    ways.cache_clear()
    return ways(chance.randrange(100, 180), (50, 20, 10, 5, 2, 1))


def store_rows(chance):
    base = sqlite3.connect(":memory:")
    base.create_function("shout", 1, lambda text: text.upper())
    base.execute("create table notes (id integer primary key, word text, at real, note text)")
    rows = [(chance.choice(WORDS), chance.random(), sentence(chance)) for _ in range(400)]
    base.executemany("insert into notes (word, at, note) values (?, ?, ?)", rows)
    base.execute("create index by_word on notes (word, at)")
    answer = base.execute("select shout(word), count(*), avg(at) from notes group by word order by 2 desc").fetchall()
    base.close()
    return len(answer)


def compare_texts(chance):
    one = [sentence(chance, 5) for _ in range(40)]
    other = [line if chance.random() < 0.7 else sentence(chance, 5) for line in one]
    return sum(1 for _ in difflib.unified_diff(one, other)) + len(difflib.get_close_matches("harbor", WORDS))


class Names(ast.NodeVisitor):
    def __init__(self):
        self.names = {}

    def visit_Name(self, node):
        self.names[node.id] = self.names.get(node.id, 0) + 1
        self.generic_visit(node)

    def visit_FunctionDef(self, node):
        self.names[node.name] = len(node.body)
        self.generic_visit(node)


def read_source(chance):
    tree = ast.parse(chance.choice(SOURCES).read_text(encoding="utf-8"))
    names = Names()
    names.visit(tree)
    return len(names.names) + len(ast.unparse(tree.body[-1]))


def cut_source(chance):
    text = "\n".join(chance.choice(SOURCES).read_text(encoding="utf-8").splitlines()[:120])
    try:
        return sum(1 for _ in tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, IndentationError):
        return 0


def fold_text(chance):
    text = " ".join(sentence(chance) for _ in range(30))
    lines = textwrap.wrap(text, width=chance.randrange(30, 70))
    return len(textwrap.indent(textwrap.dedent("\n".join(lines)), "  ")) + len(zlib.compress(text.encode()))


class Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.links = []

    def handle_starttag(self, tag, attributes):
        self.links.extend(value for name, value in attributes if name == "href")


def read_page(chance):
    links = Links()
    links.feed("".join(f"<p>{sentence(chance)} <a href='/{word}?x=1&amp;y'>{word}</a></p>" for word in WORDS))
    return len(links.links)


def build_xml(chance):
    root = xml.etree.ElementTree.Element("library")
    for word in WORDS:
        book = xml.etree.ElementTree.SubElement(root, "book", name=word)
        book.text = sentence(chance)
    again = xml.etree.ElementTree.fromstring(xml.etree.ElementTree.tostring(root))
    return len(again.findall("./book[@name='fox']"))


def count_money(chance):
    total = decimal.Decimal(0)
    for _ in range(200):
        total += (decimal.Decimal(chance.randrange(10_000)) / 7).quantize(decimal.Decimal("0.01"))
    parts = [fractions.Fraction(chance.randrange(1, 99), 97) for _ in range(60)]
    return float(total) + float(sum(parts)) + statistics.stdev(chance.random() for _ in range(200))


def read_tables(chance):
    written = io.StringIO()
    csv.writer(written).writerows([word, chance.random(), sentence(chance, 4)] for word in WORDS)
    written.seek(0)
    rows = list(csv.DictReader(written, fieldnames=["word", "at", "note"]))
    settings = configparser.ConfigParser()
    settings.read_dict({"a": {"path": "%(home)s/x", "home": "/h"}, "b": {row["word"]: row["at"] for row in rows}})
    return len(settings.get("a", "path")) + len(rows)


def write_log(chance):
    written = io.StringIO()
    log = logging.Logger("mixed")
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    for word in WORDS:
        log.warning("%s: %s", word, string.Template("$a and $b").substitute(a=word, b=chance.random()))
    return len(written.getvalue())


def read_mail(chance):
    head = "".join(f"{word.title()}: {sentence(chance, 3)}\n" for word in WORDS[:12])
    mail = email.message_from_string(
        f"From: a@example.org\nTo: b@example.org\n{head}\n{sentence(chance)}", policy=email.policy.default
    )
    return len(mail.as_string())


JOBS = [
    read_dates, plan_meetings, pretty_json, print_trees, pack_in_python, compile_patterns, sort_parcels,
    place_queens, count_change, store_rows, compare_texts, read_source, cut_source, fold_text, read_page,
    build_xml, count_money, read_tables, write_log, read_mail,
]  # fmt: skip


def work_off(orders, counts):
    """A worker: most of its time it waits for an order."""
    while (order := orders.get()) is not None:
        job, seed = order
        job(random.Random(seed))
        counts[job.__name__] = counts.get(job.__name__, 0) + 1


async def talk(end):
    """Small tasks that wait and wake one another."""

    async def answer(line, chance):
        while time.monotonic() < end:
            await asyncio.sleep(chance.random() / 20)
            await line.put(fold_text(chance))

    async def listen(line):
        while time.monotonic() < end:
            try:
                await asyncio.wait_for(line.get(), timeout=0.1)
            except asyncio.TimeoutError:
                continue

    line = asyncio.Queue()
    await asyncio.gather(*(answer(line, random.Random(n)) for n in range(4)), listen(line))


def main():
    seconds = float(sys.argv[1])
    end = time.monotonic() + seconds
    orders, counts = queue.Queue(maxsize=4), {}
    workers = [
        threading.Thread(target=work_off, args=(orders, {}), name=f"worker {n}", daemon=True)
        for n in range(2)
    ]
    workers.append(threading.Thread(target=lambda: asyncio.run(talk(end)), name="talk", daemon=True))
    for worker in workers:
        worker.start()
    chance = random.Random(7)
    while time.monotonic() < end:
        job = chance.choice(JOBS)
        if chance.random() < 0.1:
            try:
                orders.put_nowait((job, chance.random()))
            except queue.Full:
                time.sleep(0.001)
        else:
            job(chance)
            counts[job.__name__] = counts.get(job.__name__, 0) + 1
    for _ in workers[:2]:
        orders.put(None)
    for worker in workers:
        worker.join()
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
