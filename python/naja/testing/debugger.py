"""A debugger in a worker: `--pdb`, `--trace`, `breakpoint()`.

The worker whose test wants a debugger gets the terminal: its process group becomes the foreground one, and the three
standard streams are the terminal. Meanwhile no other worker begins a test, and the controller shows nothing. One worker
has it at a time; the others wait for a lock, which the kernel releases when its holder dies. Start at `Terminal`.
"""

import fcntl
import mmap
import os
import signal
import sys
import time

import pytest

from .work_queue import shared_file
from .worker import above_usual

_TAKEN, _GRANTED, _QUIT = 0, 1, 2
# The controller is waited for so long at most; it may be in a hook of a plugin's.
_PATIENCE_S = 5.0


class Loan:
    """Who has the terminal: memory and a lock that the controller shares with all workers."""

    def __init__(self):
        self._memory = mmap.mmap(-1, 3)
        self._file = above_usual(shared_file())

    # For workers

    def take(self, ask):
        """Waits until nobody else has the terminal; `ask` asks the controller, whose consent is waited for.

        Gives whether it may be taken: not after a debugger was quit, which ends the run.
        """
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        if self.was_quit:
            fcntl.lockf(self._file, fcntl.LOCK_UN)
            return False
        self._memory[_GRANTED] = 0
        self._memory[_TAKEN] = 1
        ask()
        deadline = time.monotonic() + _PATIENCE_S
        while not self._memory[_GRANTED] and time.monotonic() < deadline:
            time.sleep(0.002)
        return True

    @property
    def was_quit(self):
        """Whether a debugger was quit."""
        return bool(self._memory[_QUIT])

    def give_back(self, outcome):
        """Lets the next one have it; `outcome` is that of the hook in which the debugger was, `None` inside of it."""
        if outcome is not None and outcome.excinfo is not None and issubclass(outcome.excinfo[0], pytest.exit.Exception):
            self._memory[_QUIT] = 1
        self._memory[_TAKEN] = 0
        fcntl.lockf(self._file, fcntl.LOCK_UN)

    def wait_until_free(self):
        """Returns at once where no worker has the terminal; costs no system call then."""
        if self._memory[_TAKEN]:
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    # For the controller

    def grant(self):
        """From now on the controller writes nothing to the terminal."""
        self._memory[_GRANTED] = 1

    def reset(self):
        """The worker that had the terminal has died."""
        self._memory[_TAKEN] = 0


class Terminal:
    """The pytest plugin in a worker that gets it the terminal."""

    def __init__(self, config, channel, loan):
        self._config, self._channel, self._loan = config, channel, loan
        self._device = self._owner = None
        self._saved = []

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self):
        self._loan.wait_until_free()
        outcome = yield
        self._give_back(outcome)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_exception_interact(self):
        if self._config.pluginmanager.getplugin("pdbinvoke") is None:
            yield
            return
        self._take()
        # The failure is shown before the debugger asks: by the writer of the terminal, which is mute in a worker.
        reporter = getattr(self._config.pluginmanager.getplugin("terminalreporter"), "_reporter", None)
        mute = getattr(reporter, "_tw", None)
        if reporter is not None:
            from _pytest.config import create_terminal_writer

            reporter._tw = create_terminal_writer(self._config, sys.stdout)
        debugging = sys.modules["_pytest.debugging"]
        enter = getattr(debugging, "_enter_pdb", None)
        if self._loan.was_quit and enter is not None:
            # The person has left; this failure is reported and not looked into.
            debugging._enter_pdb = lambda node, excinfo, rep: rep
        outcome = yield
        if enter is not None:
            debugging._enter_pdb = enter
        if reporter is not None:
            reporter._tw = mute
        self._give_back(outcome)

    @pytest.hookimpl
    def pytest_enter_pdb(self):
        self._take()

    @pytest.hookimpl
    def pytest_leave_pdb(self):
        self._give_back()

    def _take(self):
        if self._device is not None:
            return
        capture = self._config.pluginmanager.getplugin("capturemanager")
        if capture is not None:
            capture.suspend_global_capture(in_=True)
        try:
            # Where a program feeds the debugger, and where there is no terminal, it reads what pytest's input is.
            if not os.isatty(0):
                return
            device = above_usual(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
        except OSError:
            return
        if not self._loan.take(lambda: self._channel.send("terminal", True)):
            os.close(device)
            return
        self._device = device
        self._owner = os.tcgetpgrp(device)
        sys.stdout.flush()
        make_foreground(device, os.getpgrp())
        # Ctrl-Z would stop this process, and nobody would continue it.
        self._stopping = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
        self._saved = [above_usual(os.dup(number)) for number in range(3)]
        for number in range(3):
            os.dup2(device, number)

    def _give_back(self, outcome=None):
        if self._device is None:
            return
        try:
            sys.stdout.flush()
        except (OSError, ValueError):
            pass
        terminal = os.fstat(self._device)
        for number, saved in enumerate(self._saved):
            # pytest may have begun to capture again, and has put a file there itself.
            if os.path.samestat(os.fstat(number), terminal):
                os.dup2(saved, number)
            os.close(saved)
        signal.signal(signal.SIGTSTP, self._stopping)
        make_foreground(self._device, self._owner)
        os.close(self._device)
        self._device, self._saved = None, []
        self._channel.send("terminal", False)
        self._loan.give_back(outcome)


def make_foreground(device, group):
    """Gives the terminal to a process group, also from a group in the background."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        os.tcsetpgrp(device, group)
    except OSError:  # the group, or the terminal, is gone
        pass
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def take_back():
    """Makes this process's group the foreground one again, after the death of a worker that was it."""
    try:
        device = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return
    make_foreground(device, os.getpgrp())
    os.close(device)
