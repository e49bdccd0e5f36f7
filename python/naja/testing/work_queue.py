"""What is still to be run, in memory that all forked workers share.

A unit is a short list of tests that one worker runs one after the other. Workers take units by themselves, so that no
worker ever waits for the controller. All changes happen under one lock of a file, which the kernel releases when its
holder dies; each is a single write, so that a worker that is killed leaves no half of one.

A worker announces the unit that it will run next, since pytest wants to know the next test before it tears down the
fixtures of this one. An announced unit that is not begun can be taken away by a worker with nothing to do.
"""

import fcntl
import mmap
import os
import struct
import tempfile
from contextlib import contextmanager

from .worker import above_usual

_WORD = struct.Struct("<i")
_NONE = 0  # in a slot; a unit's number is stored plus one

PENDING, STARTED, FINISHED = 0, 1, 2


def _shared_file():
    """A file without a name, for the lock."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("naja-test-queue", os.MFD_CLOEXEC)
    handle = tempfile.TemporaryFile()
    descriptor = fcntl.fcntl(handle.fileno(), fcntl.F_DUPFD_CLOEXEC, 3)
    handle.close()
    return descriptor


class WorkQueue:
    """Units of tests, each of which is taken once.

    `units` are lists of indices of tests, in the order in which they are to be taken; `workers` is the highest number
    of workers that may ever ask. `seconds` are the expected durations of the units, longest first to be stolen.
    """

    _NEXT, _STOPPED, _RETURNED = 0, 1, 2

    def __init__(self, units, tests, workers, seconds=None):
        self.units = units
        self.seconds = seconds or [len(unit) for unit in units]
        self._workers = workers
        self._returned_at = 3
        self._announced_at = self._returned_at + len(units) + workers
        self._running_at = self._announced_at + workers
        self._taken_at = self._running_at + workers
        self._states_at = (self._taken_at + workers) * _WORD.size
        self._memory = mmap.mmap(-1, self._states_at + max(tests, 1))
        self._lock_file = above_usual(_shared_file())
        # The first unit of each worker is its own: else the one that starts first takes them all.
        for worker in range(min(workers, len(units))):
            self._set(self._announced_at + worker, worker + 1)
        self._set(self._NEXT, min(workers, len(units)))

    def _get(self, word):
        return _WORD.unpack_from(self._memory, word * _WORD.size)[0]

    def _set(self, word, value):
        _WORD.pack_into(self._memory, word * _WORD.size, value)

    @contextmanager
    def _locked(self):
        fcntl.lockf(self._lock_file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._lock_file, fcntl.LOCK_UN)

    # For workers

    def take(self, worker):
        """The number of the unit to run now, or `None` when there is nothing left."""
        with self._locked():
            if self._get(self._STOPPED):
                return None
            unit = self._get(self._announced_at + worker) - 1
            if unit < 0:
                unit = self._pop()
            if unit is None:
                unit = self._steal(worker)
            self._set(self._announced_at + worker, _NONE)
            self._set(self._taken_at + worker, _NONE if unit is None else unit + 1)
            return unit

    def announce(self, worker):
        """The number of the unit that this worker is to run next, or `None`; `take` may give another one.

        `None` makes pytest tear down everything, session fixtures included: so one that could still be stolen after
        that is stolen now. Its former owner takes it back when it gets there first.
        """
        with self._locked():
            if self._get(self._STOPPED):
                return None
            unit = self._pop()
            if unit is None:
                unit = self._steal(worker)
            if unit is not None:
                self._set(self._announced_at + worker, unit + 1)
            return unit

    def begin(self, worker, test):
        """Whether this test is still to be run; it then counts as begun by this worker."""
        if self._memory[self._states_at + test] != PENDING or self._get(self._STOPPED):
            return False
        self._set(self._running_at + worker, test + 1)
        self._memory[self._states_at + test] = STARTED
        return True

    def begun(self, worker, test):
        """A worker elsewhere has begun this test, also where the queue has been stopped meanwhile."""
        self._set(self._running_at + worker, test + 1)
        self._memory[self._states_at + test] = STARTED

    def finish(self, worker, test):
        """The test has been reported to its end."""
        self._memory[self._states_at + test] = FINISHED
        self._set(self._running_at + worker, _NONE)

    def _pop(self):
        count = self._get(self._RETURNED)
        if count:
            self._set(self._RETURNED, count - 1)
            return self._get(self._returned_at + count - 1)
        unit = self._get(self._NEXT)
        if unit >= len(self.units):
            return None
        self._set(self._NEXT, unit + 1)
        return unit

    def _steal(self, thief):
        """The longest unit that another worker has announced and not begun."""
        found, longest = None, -1.0
        for worker in range(self._workers):
            unit = self._get(self._announced_at + worker) - 1
            # A worker that has not run anything yet keeps its first unit.
            if worker == thief or unit < 0 or not self._get(self._running_at + worker):
                continue
            if self.seconds[unit] > longest:
                found, longest = worker, self.seconds[unit]
        if found is None:
            return None
        unit = self._get(self._announced_at + found) - 1
        self._set(self._announced_at + found, _NONE)
        return unit

    # For the controller

    def stop(self):
        """No more tests are begun."""
        with self._locked():
            self._set(self._STOPPED, 1)

    def running(self, worker):
        """The test that this worker has begun and not finished, or `None`."""
        test = self._get(self._running_at + worker) - 1
        return test if test >= 0 else None

    def give_back(self, worker):
        """A worker has died: the unit that it was in, and the one that it had announced, are for others now."""
        with self._locked():
            for slots in (self._announced_at, self._taken_at):
                unit = self._get(slots + worker) - 1
                self._set(slots + worker, _NONE)
                if unit >= 0 and any(self.state(test) == PENDING for test in self.units[unit]):
                    count = self._get(self._RETURNED)
                    self._set(self._returned_at + count, unit)
                    self._set(self._RETURNED, count + 1)
            self._set(self._running_at + worker, _NONE)

    def state(self, test):
        """`PENDING`, `STARTED` or `FINISHED`."""
        return self._memory[self._states_at + test]

    def has_pending(self):
        """Whether any test has not been begun."""
        states = self._memory[self._states_at :]
        return any(states[test] == PENDING for unit in self.units for test in unit)
