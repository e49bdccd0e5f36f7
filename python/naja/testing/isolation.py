"""`--isolate`: a worker that forks a process for each test.

The worker itself runs no test and sets nothing up, so that each test begins with what there was after collection:
imported modules, and those session fixtures that were set up before workers were forked. Fixtures of modules, classes
and packages are set up for each test anew. What the test leaves running in its process group is ended with it.
"""

import os
import signal

import pytest

from .ending import end_like, end_with
from .worker import Worker, above_usual, leave

# The exit status of a process whose test has ended the run.
_STOPS = 113


class IsolatingWorker(Worker):
    """Runs each test in a child; when that dies, this worker dies in the same way, and is replaced."""

    def __init__(self, *words, witness=None):
        super().__init__(*words)
        self._witness = witness

    def _run_test(self, test, following):
        reading, writing = map(above_usual, os.pipe())
        process = os.fork()
        if process == 0:
            self._be_child(test, reading, writing)
        os.close(reading)
        _, status = os.waitpid(process, 0)
        os.close(writing)
        try:
            os.killpg(process, signal.SIGKILL)  # what the test has left behind
        except OSError:
            pass
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == _STOPS:
            self.session.shouldstop = "a test has ended the run"
        elif status != 0 or self.queue.running(self.number) is not None:
            # A message may have been cut off in its middle, so that nothing can be said after it.
            end_like(status)

    def _between(self, last, following):
        """Nothing is set up here that could be torn down."""

    def _be_child(self, test, reading, writing):
        status = 1
        try:
            os.setpgid(0, 0)
            os.close(writing)
            end_with(reading)
            channel = self.reporter.channel
            channel.adopt()
            if self._witness is not None:
                self._witness.adopt()
            if tell_end(channel, lambda: super(IsolatingWorker, self)._run_test(test, None)):
                status = 0
            else:
                self.queue.forget(self.number, test)
                status = _STOPS
            if self.session.shouldfail or self.session.shouldstop:
                channel.send("stopped", str(self.session.shouldfail or self.session.shouldstop))
                status = _STOPS
        finally:
            leave(status)


def tell_end(channel, run, test=lambda: None):
    """Calls `run`, and tells the controller when that ends the whole run; whether it did not."""
    try:
        run()
    except KeyboardInterrupt:
        channel.send("interrupted", test())
    except pytest.exit.Exception as exit:
        channel.send("exit", str(exit.msg), exit.returncode)
    except BaseException:
        excinfo = pytest.ExceptionInfo.from_current()
        channel.send("internal-error", str(excinfo.getrepr(style="long")))
    else:
        return True
    return False
