"""The line to the program `naja test`, where it has started this pytest: events go out, orders come in.

Both are JSON, one object a line, over the descriptors that the environment names. Without them nothing is sent.

| event | fields | |
|---|---|---|
| collecting | file | pytest begins to collect this file or folder; `null`: collection is over |
| setting-up | is_over | session fixtures are set up for all workers |
| collected | tests, workers, mode | the node ids that are to be run; `test` below is an index into them |
| worker, worker-end | worker, process, crashed | a worker has been started, has ended |
| start, done | worker, test, seconds | a worker begins a test, has ended it |
| report | worker, test, when, outcome, seconds, text, file, line | a phase of a test has an outcome |
| cleanup | worker, test, is_over | a worker tears down fixtures between two tests |
| terminal | worker, is_taken | a worker has the terminal for a debugger |
| end | code | pytest ends by itself |

Under `--watch` also `waiting` (`files`, `keeps`) and `run-end` (`code`), as `watch.py` says.

Orders: stop{count}, kill{worker, reason, text}; under `--watch` run{changed, left_out, only, rest}, restart{changed, settings}, quit. Where the descriptor `NAJA_TEST_LIFE` is closed by the death of the
program, the kernel sends this process SIGTERM.

Of workers that are not forked two events tell more: `fresh` (`reason`: why this process may not be forked) and
`worker-refused` (`worker`, `reason`: a host that cannot be reached, or a worker that collected something else). The
`process` of a worker on another host is 0.
"""

import fcntl
import json
import os
import signal
from contextlib import contextmanager

from .ending import end_with

EVENTS, ORDERS, WORKERS = "NAJA_TEST_EVENTS", "NAJA_TEST_ORDERS", "NAJA_TEST_WORKERS"
DURATIONS, VIEW, PROJECT = "NAJA_TEST_DURATIONS", "NAJA_TEST_VIEW", "NAJA_TEST_PROJECT"
LIFE, TIMEOUT = "NAJA_TEST_LIFE", "NAJA_TEST_TIMEOUT"

_first = None


def of_process():
    """The line of this process, made at the first call."""
    global _first
    _first = _first or FrontEnd()
    return _first


def take():
    """The line for a session of pytest: the first one gets it, and another in the same process one to nobody."""
    front_end = of_process()
    if front_end.is_given:
        return FrontEnd()
    front_end.is_given = True
    return front_end


class FrontEnd:
    """Sends events; what comes back is read by the controller's loop."""

    def __init__(self):
        self._events = _inherited(EVENTS)
        self.orders = _inherited(ORDERS)
        self._buffer = b""
        self._held_back = None  # events that are to be sent in one piece
        self.is_given = False
        self.default_workers = os.environ.get(WORKERS)
        self.is_live = os.environ.get(VIEW) == "live"
        self._durations = _inherited(DURATIONS)
        self.project = os.environ.get(PROJECT)
        # The longest that a test may take, in seconds, which the program watches; `None` for no limit.
        self.timeout = float(os.environ.get(TIMEOUT) or 0) or None
        self._life = _inherited(LIFE)
        if self._life is not None:
            end_with(self._life, signal.SIGTERM, group=False)
        # Whatever the tests start must not think that it was started by `naja test` as well.
        for name in (EVENTS, ORDERS, WORKERS, DURATIONS, VIEW, LIFE, TIMEOUT, PROJECT):
            os.environ.pop(name, None)

    @property
    def is_there(self):
        """Whether `naja test` listens."""
        return self._events is not None

    def send(self, event, **fields):
        """Sends one event. A program that has gone away is nobody's concern here."""
        if self._events is None:
            return
        data = (json.dumps({"event": event, **fields}) + "\n").encode("utf-8", "surrogatepass")
        if self._held_back is not None:
            self._held_back.append(data)
        else:
            self._write(data)

    @contextmanager
    def in_one_piece(self):
        """What is sent inside goes out together at its end, so that not each event wakes the program."""
        self._held_back = []
        try:
            yield
        finally:
            self.flush()
            self._held_back = None

    def flush(self):
        """Sends what is held back, for instance before a fork, which would send it twice."""
        if self._held_back:
            data = b"".join(self._held_back)
            self._held_back = []
            self._write(data)

    def _write(self, data):
        data = memoryview(data)
        try:
            while data and self._events is not None:
                data = data[os.write(self._events, data) :]
        except OSError:
            self._events = None

    def read_orders(self):
        """The orders that have come in, as dictionaries; `None` when there will be no more."""
        try:
            data = os.read(self.orders, 65536)
        except OSError:
            data = b""
        if not data:
            return None
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return [json.loads(line) for line in lines if line.strip()]

    def expected_seconds(self, items):
        """How long each of these tests should take, by earlier runs; `None` where too little is known."""
        if self._durations is None:
            return None
        with open(self._durations, "rb") as file:
            known = json.loads(file.read() or b"{}")
        self._durations = None
        found = [known.get(item.nodeid) for item in items]
        seen = [seconds for seconds in found if seconds is not None]
        if len(seen) * 2 < len(found) or not seen:
            return None
        middle = sorted(seen)[len(seen) // 2]
        return [middle if seconds is None else seconds for seconds in found]

    def close_in_worker(self):
        """A worker has no line of its own."""
        for descriptor in (self._events, self.orders, self._life):
            if descriptor is not None:
                os.close(descriptor)
        self._events = self.orders = self._life = self._held_back = None


def _inherited(name):
    try:
        descriptor = int(os.environ.get(name, ""))
        fcntl.fcntl(descriptor, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    except (ValueError, OSError):
        return None
    return descriptor
