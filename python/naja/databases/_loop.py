"""How the workers of `naja._native` tell an event loop what they have done."""

import asyncio
import atexit
import os
import weakref

from naja._native import db

from . import _errors

_HUBS = weakref.WeakKeyDictionary()


def hub_of(loop):
    """The loop's own, which listens as long as the loop lives."""
    hub = _HUBS.get(loop)
    if hub is None:
        hub = db.Hub(_errors.make)
        os.set_blocking(hub.fileno(), False)
        loop.add_reader(hub.fileno(), hub.collect)
        _HUBS[loop] = hub
    return hub


class Near:
    """Remembers the hub of the loop that asked last."""

    __slots__ = ("_pair",)

    def __init__(self):
        self._pair = (None, None)

    def hub(self, loop):
        known, hub = self._pair
        if known is not loop:
            hub = hub_of(loop)
            self._pair = (loop, hub)
        return hub

    def is_due(self):
        """Whether the loop is to have a turn, after statements that it has run itself."""
        return self._pair[1].is_due()


async def done(near, worker, send, *words):
    """Gives a job to a worker and waits until it is done; a task that is cancelled takes its job with it."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    number = send(near.hub(loop), future, *words)
    try:
        return await future
    except (asyncio.CancelledError, GeneratorExit):
        worker.cancel(number)
        raise


# Connections are closed while there is still an interpreter, and statements that run are interrupted.
atexit.register(db.end_all)
os.register_at_fork(after_in_child=db.forked)
os.register_at_fork(after_in_child=_HUBS.clear)
