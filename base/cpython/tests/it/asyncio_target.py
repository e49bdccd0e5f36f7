"""Tasks that wait in every way, and what the program itself knows about them.

Each waiting coroutine notes where it waits by `here(...)`, on the line of its `await`. Prints one line of JSON: for
each task its name, its stack as (function, line) from the outermost, and the names of those that wait for it.
"""

import asyncio
import json
import sys
import threading
import types

EXPECTED = {}
V = sys.version_info


def here(*_):
    """The number of the caller's line."""
    return sys._getframe(1).f_lineno


def expect(name, stack, awaited_by=()):
    EXPECTED[name] = {"stack": stack, "awaited_by": sorted(awaited_by)}


def task(coroutine, name, cls=asyncio.Task):
    return cls(coroutine, loop=asyncio.get_running_loop(), name=name)


async def sleeper(marks):
    marks.append(["sleeper", here()]); await asyncio.sleep(1000)


async def nested(marks, depth):
    if depth:
        marks.append(["nested", here()]); await nested(marks, depth - 1)
    else:
        marks.append(["nested", here()]); await sleeper(marks)


@types.coroutine
def old_style(marks):
    marks.append(["old_style", here()]); yield from sleeper(marks).__await__()


class Awaitable:
    def __init__(self, marks):
        self.marks = marks

    def __await__(self):
        self.marks.append(["__await__", here()]); yield from old_style(self.marks)


async def through_objects(marks):
    marks.append(["through_objects", here()]); await Awaitable(marks)


async def numbers(marks):
    yield 1
    marks.append(["numbers", here()]); await sleeper(marks)
    yield 2


async def through_generator(marks):
    line = here() + 1
    async for number in numbers(marks):
        if number == 1: marks.append(["through_generator", line])


async def gathering(marks, *children):
    marks.append(["gathering", here()]); await asyncio.gather(*children)


async def shielding(marks, child):
    marks.append(["shielding", here()]); await asyncio.shield(child)


async def awaiting(marks, child):
    marks.append(["awaiting", here()]); await child


async def waiting(marks, child):
    marks.append(["waiting", here()]); await asyncio.wait([child])


async def waiting_for(marks, child):
    marks.append(["waiting_for", here()]); await asyncio.wait_for(child, 1000)


async def completing(marks, *children):
    for first in asyncio.as_completed(children):
        marks.append(["completing", here()]); await first


async def both_ways(marks, child):
    marks.append(["both_ways", here()]); await asyncio.wait_for(asyncio.shield(asyncio.gather(child)), 1000)


async def consuming(marks, queue):
    marks.append(["consuming", here()]); await queue.get()


async def locked(marks, lock):
    marks.append(["locked", here()]); await lock.acquire()


async def yielding(marks):
    marks.append(["yielding", here()]); await bare(marks)


@types.coroutine
def bare(marks):
    # Suspended in a plain `yield`, with another generator on its stack, which it does not wait for.
    for _ in (number for number in range(2)):
        future = asyncio.get_running_loop().create_future()
        future._asyncio_future_blocking = True
        marks.append(["bare", here()]); yield future


GROUP = """
async def grouping(marks, members):
    label = asyncio.current_task().get_name()[:2]
    marks.append(["grouping", 5])
    async with asyncio.TaskGroup() as group:
        inner = []
        members.append((group.create_task(sleeper(inner), name=label + "member"), inner))
"""


async def main(started, label):
    loop = asyncio.get_running_loop()
    keep = []

    def start(name, function, *args, **options):
        marks = []
        made = task(function(marks, *args), label + name, **options)
        keep.append((made, marks))
        return made

    sleep = start("sleep", sleeper)
    a, b = start("a", nested, 3), start("b", through_objects)
    python = start("python", sleeper, cls=asyncio.tasks._PyTask)
    start("gather", gathering, a, b, python)
    shielded = start("shielded", through_generator)
    start("shield", shielding, shielded)
    start("awaits", awaiting, sleep)
    start("awaits too", awaiting, sleep)
    waited = start("waited", sleeper)
    start("wait", waiting, waited)
    waited_for = start("waited for", sleeper)
    start("wait for", waiting_for, waited_for)
    first, second = start("first", sleeper), start("second", sleeper)
    start("as completed", completing, first, second)
    start("both ways", both_ways, start("gathered and shielded", sleeper))
    start("python awaits", awaiting, start("awaited by python", sleeper), cls=asyncio.tasks._PyTask)
    start("пряжа 🐍", consuming, asyncio.Queue())
    lock = asyncio.Lock()
    await lock.acquire()
    start("lock", locked, lock)
    start("yield", yielding)
    if V >= (3, 11):
        namespace = {"asyncio": asyncio, "sleeper": sleeper}
        exec(compile(GROUP, __file__, "exec"), namespace)
        start("group", namespace["grouping"], keep)
    if V >= (3, 12):
        marks = []
        eager = asyncio.Task(sleeper(marks), loop=loop, name=label + "eager", eager_start=True)
        keep.append((eager, marks))
    for _ in range(5):
        await asyncio.sleep(0)
    for made, marks in keep:
        stack = [list(mark) for mark in marks]
        expect(made.get_name(), stack)
    waits = {
        "sleep": ["awaits", "awaits too"], "a": ["gather"], "b": ["gather"], "python": ["gather"],
        "shielded": ["shield"], "waited": ["wait"], "waited for": ["wait for"],
        "first": ["as completed"], "second": ["as completed"], "gathered and shielded": ["both ways"],
        "awaited by python": ["python awaits"], "member": ["group"],
    }
    for name, by in waits.items():
        if label + name in EXPECTED:
            EXPECTED[label + name]["awaited_by"] = sorted(label + one for one in by)
    started.append(asyncio.current_task())
    threading.current_thread().keep = keep
    # Runs when this task waits.
    loop.call_soon(barrier.wait)
    await loop.create_future()


barrier = threading.Barrier(3)
threads = []
for label in ("1 ", "2 "):
    started = []
    thread = threading.Thread(target=lambda label=label: asyncio.run(main([], label)), daemon=True)
    thread.start()
    threads.append(thread)
barrier.wait()
print(json.dumps({"tasks": EXPECTED, "threads": [thread.ident for thread in threads]}), flush=True)
sys.stdin.read()
