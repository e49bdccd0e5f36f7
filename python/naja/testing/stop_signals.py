"""Ctrl-C, SIGTERM and a closed terminal, as numbers that the controller's loop looks at.

An exception in the middle of a report would lose it, so that handlers only count here and wake the loop.
"""

import os
import signal

from .worker import above_usual

_NOW = (signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """Counts wishes to end between `hold` and `release`; `descriptor` can be read when there was one."""

    def __init__(self):
        self.count = 0
        self.descriptor = self._writing = None
        self._before = {}

    def hold(self):
        """Takes the signals over; in another thread than the main one Python does not allow it, and nothing happens."""
        reading, writing = os.pipe()
        self.descriptor, self._writing = above_usual(reading), above_usual(writing)
        os.set_blocking(self.descriptor, False)
        os.set_blocking(self._writing, False)
        for number in (signal.SIGINT, *_NOW):
            before = signal.getsignal(number)
            # Whoever started pytest with a signal ignored (`nohup`) wants it so.
            if before == signal.SIG_IGN:
                continue
            try:
                signal.signal(number, self._heard)
            except ValueError:
                return
            self._before[number] = before
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)

    def _heard(self, number, frame):
        # Nobody who sends SIGTERM waits for tests to end.
        self.count = max(2, self.count + 1) if number in _NOW else self.count + 1

    def take(self):
        """How often the end was wished for, all in all."""
        try:
            os.read(self.descriptor, 4096)
        except BlockingIOError:
            pass
        return self.count

    def release(self):
        """Gives the signals back, in the process that has held them or in one that was forked from it."""
        if self._before:
            signal.set_wakeup_fd(-1)
        for number, before in self._before.items():
            signal.signal(number, signal.SIG_DFL if before is None else before)
        self._before = {}
        for descriptor in (self.descriptor, self._writing):
            if descriptor is not None:
                os.close(descriptor)
        self.descriptor = self._writing = None
