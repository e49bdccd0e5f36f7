"""How processes of a run end together, and what they leave to read when they end before their time.

The kernel ends a worker when the process that forked it is gone, however that went: each holds the reading end of a
pipe whose writing end its parent keeps. Start at `end_with` and `Remains`.
"""

import faulthandler
import fcntl
import functools
import os
import select
import signal
import sys
import tempfile

# As much of the output of a test that died is shown, from its end, in bytes.
_MOST_OUTPUT = 1 << 16
# As they were before a `Witness` has put its own in their place.
_exit, _kill = os._exit, os.kill


def end_with(descriptor, number=signal.SIGKILL, group=True):
    """Has this process, or its whole process group, get the signal `number` once nobody can write to the pipe any more.

    Works where the system sends signals for pipes of one's choice, which is Linux; elsewhere nothing happens.
    """
    if not (hasattr(fcntl, "F_SETSIG") and hasattr(os, "O_ASYNC")):
        return
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, -os.getpgrp() if group else os.getpid())
    fcntl.fcntl(descriptor, fcntl.F_SETSIG, int(number))
    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_ASYNC)
    # The other end may have been closed before the kernel was asked.
    if select.select([descriptor], [], [], 0)[0]:
        os.kill(-os.getpgrp() if group else os.getpid(), number)


class Remains:
    """What is left of a worker that died: the stacks that it wrote at its end, and what its test had printed.

    Made in the controller before the fork; both processes have the files, so that they can be read afterwards.
    """

    def __init__(self):
        self.stacks = tempfile.TemporaryFile()
        self.output = [tempfile.TemporaryFile(buffering=0) for _ in range(2)]

    def capture_here(self, capture, start):
        """Calls `start`, by which pytest's module `capture` makes its two files, and has it take these in their place."""
        original = getattr(capture, "TemporaryFile", None)
        if original is None:
            return start()
        ours = [os.fdopen(os.dup(file.fileno()), "w+b", buffering=0) for file in self.output]
        capture.TemporaryFile = lambda *words, **named: ours.pop(0) if ours else original(*words, **named)
        try:
            return start()
        finally:
            capture.TemporaryFile = original

    def sections(self):
        """What the test had printed and no report has brought yet, as a report's sections."""
        found = []
        for name, file in zip(("stdout", "stderr"), self.output):
            size = os.fstat(file.fileno()).st_size
            text = os.pread(file.fileno(), _MOST_OUTPUT, max(0, size - _MOST_OUTPUT)).decode("utf-8", "replace")
            if size > _MOST_OUTPUT:
                text = f"... {size - _MOST_OUTPUT} bytes before are left out\n" + text
            if text:
                found.append((f"Captured {name} before the end", text))
        return found

    def stacks_text(self):
        """The Python stacks of all threads, as they were when the process died; empty where it could not tell."""
        size = os.fstat(self.stacks.fileno()).st_size
        return os.pread(self.stacks.fileno(), size, 0).decode("utf-8", "replace").strip()

    def close(self):
        """Nothing is left then."""
        for file in (self.stacks, *self.output):
            file.close()


class Witness:
    """The pytest plugin in a worker that writes down, when a test ends the process, where it did so.

    A fault is told by faulthandler. It cannot tell of `os._exit`, and no process can tell of SIGKILL; but one that a
    test sends to itself through the module `os` is seen before. SIGKILL from elsewhere leaves no stacks.
    """

    def __init__(self, stacks):
        self._stacks = stacks
        self._process = os.getpid()
        for name, is_end in (
            ("_exit", lambda *_: True),
            ("kill", lambda process, number: number == signal.SIGKILL and process in self._own_targets()),
            ("killpg", lambda group, number: number == signal.SIGKILL and group in (0, os.getpgrp())),
        ):
            setattr(os, name, self._told(getattr(os, name), is_end))

    def adopt(self):
        """This process, forked from the one that was watched, is the one to watch now."""
        self._process = os.getpid()

    def _own_targets(self):
        return (os.getpid(), 0, -os.getpgrp(), -1)

    def _told(self, function, is_end):
        @functools.wraps(function)
        def told(*words, **named):
            try:
                if os.getpid() == self._process and is_end(*words, **named):
                    faulthandler.dump_traceback(self._stacks, all_threads=True)
            except Exception:  # wrong arguments, or a file that the test has closed: the call itself will tell
                pass
            return function(*words, **named)

        return told

    def pytest_runtest_logstart(self):
        # What a child of an earlier test wrote when that died is not about this one.
        if os.getpid() == self._process:
            try:
                os.lseek(self._stacks.fileno(), 0, os.SEEK_SET)
                os.ftruncate(self._stacks.fileno(), 0)
            except OSError:
                pass


def end_like(status):
    """Ends this process as another has ended, whose status `os.waitpid` gave."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        faulthandler.disable()
        try:
            import resource

            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the core was written by the other
        except (ImportError, ValueError, OSError):
            pass
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        _kill(os.getpid(), number)
    _exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1)


def capture_module():
    """pytest's module with its captures; it has no public name for what is needed here."""
    return sys.modules["_pytest.capture"]
