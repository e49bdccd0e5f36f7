"""Threads that a database's blocking calls run on, each with a connection of its own, for coroutines that wait for them."""

import asyncio
import collections
import contextlib
import queue
import threading
import weakref


class Workers:
    """At most `limit` threads. A task that holds one does everything on it, so that its transaction is its own.

    Everything but the threads' own work happens on the event loop's thread, of one loop.
    """

    def __init__(self, limit, patience_s, name):
        self._limit = limit
        self._patience_s = patience_s
        self._name = name
        self._loop = None
        self._idle = []
        self._count = 0
        self._held = weakref.WeakKeyDictionary()
        self._waiting = collections.deque()
        self._is_closed = False

    async def run(self, call, *args, **kwargs):
        """Calls on the thread that this task holds, or on any that is free."""
        async with self.hold() as worker:
            return await worker.run(call, *args, **kwargs)

    @contextlib.asynccontextmanager
    async def hold(self):
        """A thread for this task alone, until the end of the block; the same again where the task holds one already."""
        worker = await self.take()
        try:
            yield worker
        finally:
            self.give_back(worker)

    async def take(self):
        """A thread for this task alone, until it is given back as often as it was taken."""
        self._look()
        task = asyncio.current_task()
        worker = self._held.get(task)
        if worker is None:
            worker = await self._free()
            worker.task = task
            self._held[task] = worker
        worker.holds += 1
        return worker

    def give_back(self, worker):
        worker.holds -= 1
        if worker.holds:
            return
        self._held.pop(worker.task, None)
        worker.task = None
        # One that is still busy, because its task was cancelled, is free when it is done.
        if worker.running is None or worker.running.done():
            self._now_free(worker)
        else:
            worker.running.add_done_callback(lambda _: self._now_free(worker))

    async def _free(self):
        if self._idle:
            return self._idle.pop()
        if self._count < self._limit:
            self._count += 1
            return Worker(self._loop, f"{self._name}-{self._count}")
        place = self._loop.create_future()
        self._waiting.append(place)
        try:
            return await asyncio.wait_for(asyncio.shield(place), self._patience_s)
        except BaseException as error:
            if place.done() and not place.cancelled():
                self._now_free(place.result())
            else:
                place.cancel()
            if isinstance(error, asyncio.TimeoutError):
                raise TimeoutError(
                    f"all {self._limit} connections were in use for {self._patience_s:g} s: tasks hold one as long as a "
                    "transaction or a result is open (`pool_size` and `pool_timeout` of `engine_kwargs` change that)"
                ) from None
            raise

    def _now_free(self, worker):
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(worker)
                return
        if self._is_closed:
            worker.end()
        else:
            self._idle.append(worker)

    def _look(self):
        if self._is_closed:
            raise RuntimeError("Database is closed")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError("this database is used by another event loop; open one for each loop")

    async def close(self, last):
        """Ends all threads, after what they are doing; `last` is called on one of them first."""
        if self._is_closed:
            return
        self._look()
        async with self.hold() as worker:
            self._is_closed = True
            await worker.run(last)
        while self._idle:
            self._idle.pop().end()


class Worker:
    """A thread that makes calls, one after the other."""

    def __init__(self, loop, name):
        self.task = None
        self.holds = 0
        # How many transactions of its task are open.
        self.transactions = 0
        # The future of the last call; it is done when the call is, even if nobody waits for it any more.
        self.running = None
        self._loop = loop
        self._calls = queue.SimpleQueue()
        thread = threading.Thread(target=_work, args=(self._calls, loop), name=name, daemon=True)
        thread.start()
        # A database that is forgotten does not keep its threads.
        weakref.finalize(self, self._calls.put, None)

    async def run(self, call, *args, **kwargs):
        if self.running is not None and not self.running.done():
            # A call that its task no longer waits for: what follows in the same task comes after it.
            await asyncio.wait([self.running])
        self.running = self._loop.create_future()
        # Of a call that nobody waits for, nobody asks for the error.
        self.running.add_done_callback(_asked)
        self._calls.put((self.running, call, args, kwargs))
        return await asyncio.shield(self.running)

    def end(self):
        self._calls.put(None)


def _asked(future):
    if not future.cancelled():
        future.exception()


def _work(calls, loop):
    while True:
        job = calls.get()
        if job is None:
            return
        future, call, args, kwargs = job
        result = error = None
        try:
            result = call(*args, **kwargs)
        except BaseException as raised:
            error = raised
        del job, call, args, kwargs
        # The loop may have ended meanwhile.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, future, result, error)
        del future, result, error


def _settle(future, result, error):
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration):
        future.set_exception(RuntimeError(f"a call ended with {error!r}"))
    else:
        future.set_exception(error)
