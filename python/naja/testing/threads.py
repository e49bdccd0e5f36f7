"""Tests in several threads of each worker: `--tests-per-worker N|auto`.

A worker's threads draw tests from the unit that the worker has taken, and from the next ones. A test that is not safe
beside others (`thread_safety.py`) waits until no thread is left, and runs in the main thread; `per_thread.py` gives each
of the others its own part of pytest. What a test reports is sent in one piece when it is over, so that a worker that
dies has reported each of its tests to the end or not at all: the one to blame is reported as crashed, the others run
once more. `Threads` is the controller's side, `ThreadedWorker` the worker's.
"""

import collections
import os
import re
import sys
import threading
import time

import pytest

from .per_thread import PerThread, Running, as_current
from .thread_safety import higher_parameters, reason_to_run_alone
from .work_queue import PENDING
from .worker import tear_down

# With a lock around the interpreter, threads serve suites that wait; more of them than this find little to do.
_AUTO = 8


def count_of(text):
    """How many threads `--tests-per-worker` asks for."""
    if text != "auto":
        count = int(text)
        if count < 1:
            raise ValueError(text)
        return count
    has_lock = getattr(sys, "_is_gil_enabled", lambda: True)()
    return _AUTO if has_lock else max(2, os.cpu_count() or 2)


# The controller's side


class Threads:
    """What the controller knows of threads: which tests run alone, and what runs where."""

    def __init__(self, items, count):
        self.items, self.count = items, count
        self.reasons = {}
        for index, item in enumerate(items):
            reason = reason_to_run_alone(item)
            if reason is not None:
                self.reasons[index] = reason
        self.again = collections.defaultdict(list)
        self.suspicions = []
        self.blamed = set()

    def lines(self, verbose):
        """What to tell the user, by how much is asked."""
        if verbose < 1:
            return
        yield f"{self.count} threads in each worker; {len(self.reasons)} of {len(self.items)} tests run alone"
        for reason, count in collections.Counter(self.reasons.values()).most_common(None if verbose > 1 else 20):
            yield f"  alone: {count} for {reason}"
        if verbose > 1:
            for index, reason in self.reasons.items():
                yield f"  alone: {self.items[index].nodeid}: {reason}"

    def prepare(self, node):
        """A worker is about to be forked: it gets what its predecessor left."""
        # Tests to run again, before all others, each with whether it runs alone; tests that run, with their thread.
        node.again, node.running = dict(self.again.pop(node.slot, ())), {}
        node.ending = node.killed_test = None

    def hear(self, node, kind, test, more=None):
        """A worker tells that a thread begins a test, has not begun it after all, or is about to end the process."""
        if kind == "begin":
            node.running[test] = more
            node.again.pop(test, None)
        elif kind == "not-begun":
            node.running.pop(test, None)
        elif kind == "ending":
            node.ending = test

    def over(self, node, test):
        """The whole report of a test has come in."""
        node.running.pop(test, None)

    def blame(self, node, crash_text):
        """A worker has died: the test that did it, or `None`; all others that it ran are for its successor."""
        running = node.running
        self.again[node.slot] += node.again.items()
        if not running:
            return None
        guilty = self._guilty(node, running, crash_text)
        others = [test for test in running if test != guilty]
        if guilty is None:
            self.suspicions.append((node.gateway.id, others))
        else:
            self.blamed.add(guilty)
        # Where nobody is known to have done it, each is run by itself, and the guilty one does it again.
        self.again[node.slot] += [(test, guilty is None) for test in others]
        running.clear()
        return guilty

    def _guilty(self, node, running, crash_text):
        if node.killed_test in running:
            return node.killed_test
        if node.killed_for or len(running) == 1:
            return next(iter(running))  # the one that has run longest
        if node.ending in running:
            return node.ending
        found = re.search(r"Current thread (0x[0-9a-fA-F]+)", crash_text)  # as faulthandler writes it
        ident = int(found.group(1), 16) if found else None
        return next((test for test, thread in running.items() if thread == ident), None)

    def settle(self, queues):
        """The run is over: tests that no worker was left for count as not begun. Text on crashes that nobody repeated."""
        for queue in queues:
            for tests in self.again.values():
                for test, _ in tests:
                    queue.put_back(test)
        self.again.clear()
        return [
            f"worker {worker!r} crashed while running {len(tests)} tests in threads; none of them does it alone: "
            + ", ".join(self.items[test].nodeid for test in tests)
            for worker, tests in self.suspicions
            if not self.blamed.intersection(tests)
        ]


# The worker's side


class _Channel:
    """Keeps what a thread has to tell of a test until the test is over; all else goes out at once."""

    def __init__(self, channel):
        self._channel = channel
        self._lock = threading.Lock()
        self._of_thread = threading.local()

    @property
    def process(self):
        """The process whose tests are reported: as of the channel below."""
        return self._channel.process

    def send(self, *message):
        kept = getattr(self._of_thread, "messages", None)
        if kept is not None and message[0] in ("report", "finish", "warning", "done"):
            kept.append(message)
        else:
            with self._lock:
                self._channel.send(*message)

    def keep(self):
        self._of_thread.messages = []

    def let_go(self, test):
        kept, self._of_thread.messages = self._of_thread.messages, None
        with self._lock:
            self._channel.send("together", test, kept)


class ThreadedWorker:
    """Runs the units of a queue in `count` threads."""

    def __init__(self, session, queue, number, reporter, threads, again):
        self.session, self.queue, self.number, self.reporter = session, queue, number, reporter
        self.items, self.threads = session.items, threads
        self.channel = reporter.channel = _Channel(reporter.channel)
        # Guards all below; whoever waits for a test to end waits here.
        self._turn = threading.Condition()
        self._safe, self._alone = [], []
        self._again = set(again)
        self._announced = None
        self._running = {}
        self._counts = collections.Counter()
        self._higher = {}
        self._is_stopped = False
        self._failure = None
        self._last = None
        self._per_thread = PerThread(session, self)
        self._add(again, {test for test in again if again[test]})

    def run(self):
        """Runs until the queue has nothing left, or pytest wants to stop."""
        self._tell_of_exits()
        try:
            while not self._is_stopped and (self._safe or self._alone or self._refill()):
                # A single test that waits for others to run alone is not worth its threads.
                if len(self._safe) > (1 if self._alone else 0):
                    self._in_threads()
                for tests in (self._safe, self._alone):
                    while tests and not self._is_stopped:
                        self._run_alone(tests.pop(0))
        except BaseException as error:
            self._failure = self._failure or error
        if self._failure is not None:
            raise self._failure
        if self.session.shouldfail or self.session.shouldstop:
            self.channel.send("stopped", str(self.session.shouldfail or self.session.shouldstop))
        else:
            self._tear_down_the_rest()

    # Which collectors are needed

    def needs(self, node):
        """Whether a test that runs or is about to run lies below this collector."""
        return self._counts[node] > 0

    def leave(self):
        """The test of the calling thread needs its collectors no more."""
        with self._turn:
            running = self._running.get(threading.get_ident())
            if running is not None and not running[1]:
                running[1] = True
                self._count(running[0], -1)

    def _count(self, test, step):
        for node in self.items[test].listchain()[:-1]:
            self._counts[node] += step

    # Taking tests; all but `_refill` of the main thread alone are called with `_turn` held

    def _add(self, tests, alone=()):
        for test in tests:
            self._count(test, 1)
            is_alone = test in alone or test in self.threads.reasons
            (self._alone if is_alone else self._safe).append(test)

    def _refill(self):
        """Takes the next unit; whether there was one."""
        unit = self.queue.take(self.number)
        if self._announced is not None:
            for test in self.queue.units[self._announced]:
                self._count(test, -1)
            self._announced = None
        if unit is None:
            return False
        self._add([test for test in self.queue.units[unit] if self.queue.state(test) == PENDING])
        return True

    def _announce(self):
        """Asks for the next unit early, so that what it needs is not torn down."""
        if self._safe or self._alone or self._announced is not None:
            return
        self._announced = self.queue.announce(self.number)
        if self._announced is not None:
            for test in self.queue.units[self._announced]:
                self._count(test, 1)

    def _draw(self):
        """The next test for the calling thread, begun; `None` when threads have nothing more to do for now."""
        while not self._is_stopped:
            at = next((at for at, test in enumerate(self._safe) if self._fits(test)), None)
            if at is not None:
                test = self._safe.pop(at)
                if self._begin(test):
                    return test
            elif self._safe:
                self._turn.wait()
            elif self._alone or not self._refill():
                return None
        return None

    def _fits(self, test):
        """Whether the parameters of higher-scoped fixtures of this test are those of all that run."""
        mine = self._parameters(test)
        return not mine or not any(
            other.get(name, index) != index
            for running in self._running.values()
            for other in (self._parameters(running[0]),)
            for name, index in mine.items()
        )

    def _parameters(self, test):
        if test not in self._higher:
            self._higher[test] = higher_parameters(self.items[test])
        return self._higher[test]

    def _begin(self, test):
        thread = threading.get_ident()
        self.channel.send("threads", "begin", test, thread)
        if test in self._again:
            self._again.discard(test)
        elif not self.queue.begin(self.number, test):
            self.channel.send("threads", "not-begun", test)
            self._count(test, -1)
            return False
        self._running[thread] = [test, False]
        self._announce()
        return True

    # Running tests

    def _in_threads(self):
        with self._per_thread.phase():
            threads = [
                threading.Thread(target=self._work, name=f"naja-{number}", daemon=True)
                for number in range(self.threads.count)
            ]
            for thread in threads:
                thread.start()
            try:
                for thread in threads:
                    thread.join()
            except BaseException as error:  # KeyboardInterrupt: no more tests, and those that run are waited for
                self._stop(error)
                for thread in threads:
                    thread.join()
        if self._failure is not None:
            raise self._failure

    def _work(self):
        loop = _own_event_loop()
        try:
            while True:
                with self._turn:
                    test = self._draw()
                if test is None:
                    return
                with as_current(Running(self.items[test], test)):
                    self._run(test)
        except BaseException as error:
            self._stop(error)
        finally:
            if loop is not None:
                loop.close()

    def _run_alone(self, test):
        with self._turn:
            has_begun = self._begin(test)
        if has_begun:
            self._run(test)

    def _run(self, test):
        item = self.items[test]
        self.reporter.test = self._last = test
        with self._turn:
            following = self._following()
        self.channel.keep()
        begin, is_whole = time.perf_counter(), False
        try:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            self.channel.send("done", test, time.perf_counter() - begin)
            is_whole = True
        except BaseException as error:
            self._stop(error)
            raise
        finally:
            # Ended by pytest.exit or Ctrl-C as well: what has been reported until then is all there will be.
            self.channel.let_go(test)
            if is_whole:
                # Of a test that was broken off, the controller says whether it has an outcome, by what it hears: it may
                # have done so already, and must not be contradicted.
                self.queue.finish(self.number, test)
            self.leave()
            with self._turn:
                self._running.pop(threading.get_ident(), None)
                if self.session.shouldfail or self.session.shouldstop:
                    self._is_stopped = True
                self._turn.notify_all()

    def _following(self):
        """Some test that comes after the one that begins now, for hooks that ask; `None` at the very end."""
        for tests in (self._safe, self._alone):
            if tests:
                return self.items[tests[0]]
        if self._announced is not None:
            return self.items[self.queue.units[self._announced][0]]
        mine = threading.get_ident()
        return next((self.items[test] for thread, (test, _) in self._running.items() if thread != mine), None)

    def _stop(self, error):
        with self._turn:
            self._is_stopped = True
            if self._failure is None:
                self._failure = error
            self._turn.notify_all()

    def _tear_down_the_rest(self):
        """Tears down what was kept for a unit that another worker has taken."""
        if self._last is None:
            return
        self._counts.clear()
        tear_down(self.session, self.reporter, self._last, self.items[self._last], None)

    def _tell_of_exits(self):
        """A test that ends the process with `os._exit` is told of, since nobody else could say which thread did it."""
        leave, process = os._exit, os.getpid()

        def told(status):
            if os.getpid() == process:
                running = self._running.get(threading.get_ident())
                if running is not None:
                    self.channel.send("threads", "ending", running[0])
            leave(status)

        os._exit = told


def _own_event_loop():
    """A loop for the calling thread, as the main thread has one, before Python 3.14 where no thread has."""
    if sys.version_info >= (3, 14) or "asyncio" not in sys.modules:
        return None
    import asyncio

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop
