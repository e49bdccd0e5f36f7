"""Prints, as one line of JSON, where the fields of this interpreter's `_asyncio.Task` lie.

The structure is private to `Modules/_asynciomodule.c`, so nothing but a live interpreter says so. A task is made
out of objects that are known (its loop, its coroutine, its name, what it waits for, who waits for it), and their
addresses are looked for in the task's own memory. A number (the state) is what changes when a future is done.
Run by `derive_asyncio.py`, and by the test that compares every interpreter with its table.
"""

import _asyncio
import asyncio
import ctypes
import gc
import json
import sys

WORD = ctypes.sizeof(ctypes.c_void_p)
ABSENT = 0xFFFFFFFF


class Loop:
    """As much of an event loop as a task needs; what it is to call soon waits in a list."""

    def __init__(self):
        self.soon = []

    def get_debug(self):
        return False

    def call_soon(self, callback, *args, context=None):
        self.soon.append((callback, args))

    def call_exception_handler(self, context):
        pass

    def step(self):
        callback, args = self.soon.pop(0)
        _asyncio._set_running_loop(self)
        callback(*args)
        _asyncio._set_running_loop(None)


def memory(thing, size=None):
    return ctypes.string_at(id(thing), size or type(thing).__basicsize__)


def words(thing):
    data = memory(thing)
    return [int.from_bytes(data[i : i + WORD], "little") for i in range(0, len(data) - WORD + 1, WORD)]


def place(thing, value):
    found = [i * WORD for i, word in enumerate(words(thing)) if word == (value if isinstance(value, int) else id(value))]
    assert len(found) == 1, (thing, value, found)
    return found[0]


def changed(before, after):
    return [i for i, (one, other) in enumerate(zip(before, after)) if one != other]


loop = Loop()
waited = _asyncio.Future(loop=loop)


async def coroutine():
    await waited


running = coroutine()
name = "the name of the probe"
task = _asyncio.Task(running, loop=loop, name=name)
loop.step()
offsets = {"size": _asyncio.Task.__basicsize__}
offsets["loop"] = place(task, loop)
offsets["coro"] = place(task, running)
offsets["name"] = place(task, name)
offsets["fut_waiter"] = place(task, waited)

first, second = (lambda future: None), (lambda future: None)
task.add_done_callback(first)
offsets["callback0"] = place(task, first)
before = set(words(task))
task.add_done_callback(second)
lists = [thing for thing in gc.get_referents(task) if type(thing) is list and id(thing) not in before]
assert len(lists) == 1, lists
offsets["callbacks"] = place(task, lists[0])

done = _asyncio.Future(loop=loop)
before = memory(done)
done.set_result(None)
# The result is a pointer in a word that was empty; the state goes from 0 to 2, its number's lowest byte alone.
candidates = [i for i in changed(before, memory(done)) if i % 4 == 0 and before[i] == 0 and memory(done)[i] == 2]
candidates = [i for i in candidates if memory(done)[i : i + 4] == b"\x02\0\0\0" and i > offsets["callbacks"]]
assert len(candidates) == 1, candidates
offsets["state"] = candidates[0]

offsets["awaited_by"] = offsets["awaited_by_is_set"] = offsets["node"] = ABSENT
if hasattr(asyncio, "future_add_to_awaited_by"):
    others = [_asyncio.Future(loop=loop) for _ in range(2)]
    asyncio.future_add_to_awaited_by(task, others[0])
    offsets["awaited_by"] = place(task, others[0])
    before = memory(task)
    asyncio.future_add_to_awaited_by(task, others[1])
    pointer = range(offsets["awaited_by"], offsets["awaited_by"] + WORD)
    flags = [i for i in changed(before, memory(task)) if i not in pointer and i >= WORD]
    assert len(flags) == 1 and memory(task)[flags[0]] == 1, flags
    offsets["awaited_by_is_set"] = flags[0]

    # Tasks of a thread are one ring: the next node of one task is that of the task made after it.
    later = _asyncio.Task(coroutine(), loop=loop)
    links = [i * WORD for i, word in enumerate(words(task)) if word == id(later) + i * WORD]
    assert len(links) == 1, links
    offsets["node"] = links[0]

print(json.dumps(offsets))
sys.stdout.flush()
# Unfinished tasks would complain.
import os

os._exit(0)
