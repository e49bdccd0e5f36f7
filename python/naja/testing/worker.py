"""What runs in a worker: takes tests, runs them through pytest, and sends what happened to the controller.

This file needs nothing but pytest and the standard library, so that it can be sent to another machine by itself.
Messages are tuples whose first word says what they are; `Channel` carries them over a pipe. Start at `Worker`.
"""

import atexit
import faulthandler
import fcntl
import io
import os
import pickle
import signal
import struct
import sys
import time
import warnings

import pytest

_LENGTH = struct.Struct("<I")
_HIGH_DESCRIPTORS = (700, 200, 3)


def above_usual(descriptor):
    """The same open file under a high number: tests close and reuse the low ones."""
    for lowest in _HIGH_DESCRIPTORS:
        try:
            high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, lowest)
        except OSError:  # more than this process may open
            continue
        os.close(descriptor)
        return high
    return descriptor


class Channel:
    """Sends messages to the controller over the pipe `descriptor`; whatever has been sent outlives this process."""

    def __init__(self, descriptor):
        self._descriptor = descriptor
        self._process = os.getpid()

    def send(self, *message):
        """Sends one message. A process that a test has forked sends nothing: its reports are not ours."""
        if os.getpid() != self._process:
            return
        try:
            data = pickle.dumps(message, protocol=4)
        except Exception:
            data = pickle.dumps(_plain(message), protocol=4)
        data = memoryview(_LENGTH.pack(len(data)) + data)
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BrokenPipeError:  # the controller is gone, and so is whoever would read the results
                os._exit(1)


def messages(buffer):
    """Takes the whole messages out of the bytes in `buffer`, a `bytearray`."""
    while len(buffer) >= _LENGTH.size:
        end = _LENGTH.size + _LENGTH.unpack_from(buffer)[0]
        if len(buffer) < end:
            return
        message = pickle.loads(memoryview(buffer)[_LENGTH.size : end])
        del buffer[:end]
        yield message


def _plain(value):
    """The same value with text in the place of what cannot be sent."""
    if isinstance(value, dict):
        return {_plain(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value)) if type(value) in (list, tuple) else [_plain(one) for one in value]
    try:
        pickle.dumps(value, protocol=4)
    except Exception:
        return repr(value)
    return value


def warning_data(message):
    """What a recorded warning is made of, all of which can be sent."""
    original, text = message.message, str(message.message)
    try:
        pickle.loads(pickle.dumps(original, protocol=4))
    except Exception:
        original = None
    return {
        "original": original,
        "text": text,
        "category": (message.category.__module__, message.category.__qualname__),
        "filename": message.filename,
        "lineno": message.lineno,
        "line": message.line,
    }


def warning_of(data):
    """The recorded warning again; one whose class is not known here is a `UserWarning`."""
    module, name = data["category"]
    category = getattr(sys.modules.get(module), name, None)
    if not (isinstance(category, type) and issubclass(category, Warning)):
        category = UserWarning
    message = data["original"]
    if message is None:
        message = category.__new__(category, data["text"])
        if str(message) != data["text"]:
            message = UserWarning(data["text"])
    return warnings.WarningMessage(message, category, data["filename"], data["lineno"], line=data["line"])


class Reporter:
    """The pytest plugin in a worker: whatever pytest tells of a test goes to the controller."""

    def __init__(self, config, channel, worker_id, run_id):
        self.config, self.channel = config, channel
        self.worker_id, self.run_id = worker_id, run_id
        self.test = None
        # pytest tells a new plugin all warnings of the past; the controller knows them already.
        self.is_heard = False

    @pytest.hookimpl
    def pytest_runtest_logstart(self, nodeid, location):
        self.channel.send("start", self.test, nodeid, location)

    @pytest.hookimpl
    def pytest_runtest_logfinish(self, nodeid, location):
        self.channel.send("finish", self.test, nodeid, location)

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report):
        data = self.config.hook.pytest_report_to_serializable(config=self.config, report=report)
        data["item_index"], data["worker_id"], data["testrun_uid"] = self.test, self.worker_id, self.run_id
        self.channel.send("report", self.test, data)

    @pytest.hookimpl
    def pytest_warning_recorded(self, warning_message, when, nodeid, location):
        if self.is_heard:
            self.channel.send("warning", warning_data(warning_message), when, nodeid, location)

    @pytest.hookimpl
    def pytest_internalerror(self, excrepr):
        self.channel.send("internal-error", str(excrepr))


class Worker:
    """Runs the units of a queue, one test after the other."""

    def __init__(self, session, queue, number, reporter):
        self.session, self.queue, self.number, self.reporter = session, queue, number, reporter

    def run(self):
        """Runs until the queue has nothing left, or pytest wants to stop."""
        session, queue = self.session, self.queue
        unit = queue.take(self.number)
        last = None
        while unit is not None:
            tests = list(queue.units[unit])
            announced = None
            while tests:
                test = tests.pop(0)
                if not queue.begin(self.number, test):
                    continue
                following = next((one for one in tests if queue.state(one) == 0), None)
                if following is None:
                    announced = queue.announce(self.number)
                    following = None if announced is None else queue.units[announced][0]
                self._between(last, test)
                last = (test, following)
                self._run_test(test, following)
                if session.shouldfail or session.shouldstop:
                    self.reporter.channel.send("stopped", str(session.shouldfail or session.shouldstop))
                    return
            unit = queue.take(self.number)
        self._between(last, None)

    def _run_test(self, test, following):
        items = self.session.items
        self.reporter.test = test
        begin = time.perf_counter()
        item = items[test]
        nextitem = None if following is None else items[following]
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=nextitem)
        self.queue.finish(self.number, test)
        self.reporter.channel.send("done", test, time.perf_counter() - begin)

    def _between(self, last, following):
        """Tears down what is left where another test follows than the one that was announced."""
        if last is None or last[1] == following:
            return
        item = self.session.items[last[0]]
        nextitem = None if following is None else self.session.items[following]
        self.reporter.test = last[0]
        call = pytest.CallInfo.from_call(
            lambda: self.session._setupstate.teardown_exact(nextitem),
            when="teardown",
            reraise=(KeyboardInterrupt, pytest.exit.Exception),
        )
        if call.excinfo is not None:
            report = item.ihook.pytest_runtest_makereport(item=item, call=call)
            item.ihook.pytest_runtest_logreport(report=report)


# What only a forked worker needs


def become_worker(session, channel, worker_input, crash_file):
    """Makes a worker of this process, which was forked a moment ago from the collecting one; its `Reporter`."""
    config = session.config
    # A group of its own: Ctrl-C in the terminal reaches the controller alone, and a test that kills its process
    # group does not kill its neighbours.
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    atexit._clear()
    config.workerinput, config.workeroutput = worker_input, {}
    os.environ["PYTEST_XDIST_WORKER"] = worker_input["workerid"]
    os.environ["PYTEST_XDIST_WORKER_COUNT"] = str(worker_input["workercount"])
    os.environ["PYTEST_XDIST_TESTRUNUID"] = worker_input["testrunuid"]
    if crash_file is not None and faulthandler.is_enabled():
        faulthandler.enable(crash_file, all_threads=True)
    _silence(config)
    _capture_anew(config)
    _own_temporary_folder(config, worker_input["workerid"])
    reporter = Reporter(config, channel, worker_input["workerid"], worker_input["testrunuid"])
    config.pluginmanager.register(reporter, "naja-worker")
    reporter.is_heard = True
    return reporter


def _silence(config):
    """Takes out what would report a second time what the controller reports."""
    manager = config.pluginmanager
    _mute_terminal(manager)
    for name in ("terminalprogress", "naja-controller", "lfplugin", "nfplugin", "stepwiseplugin", "pastebin"):
        plugin = manager.getplugin(name)
        if plugin is not None:
            manager.unregister(plugin)
    for plugin in list(manager.get_plugins()):
        if type(plugin).__module__ == "_pytest.junitxml" and type(plugin).__name__ == "LogXML":
            manager.unregister(plugin)
    logging_plugin = manager.getplugin("logging-plugin")
    if logging_plugin is not None and hasattr(logging_plugin, "log_cli_handler"):
        from _pytest.logging import _LiveLoggingNullHandler

        logging_plugin.log_cli_handler = _LiveLoggingNullHandler()


def silent_writer(writer):
    """A writer of pytest's like this one, the text of which nobody sees."""
    silent = type(writer)(io.StringIO())
    silent.hasmarkup, silent.code_highlight = writer.hasmarkup, writer.code_highlight
    silent.fullwidth = writer.fullwidth
    return silent


class _MutedTerminal:
    """The terminal reporter of a worker: still there for whoever asks pytest for colours, but hears and writes nothing."""

    def __init__(self, reporter):
        reporter._tw = silent_writer(reporter._tw)
        self._reporter = reporter

    def __getattr__(self, name):
        if name.startswith("pytest_"):
            raise AttributeError(name)
        return getattr(self._reporter, name)


def _mute_terminal(manager):
    reporter = manager.getplugin("terminalreporter")
    if reporter is not None:
        manager.unregister(reporter)
        manager.register(_MutedTerminal(reporter), "terminalreporter")


def _capture_anew(config):
    """Gives this process files of its own for captured output: those that it inherited are its siblings' too."""
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is None or not capture.is_globally_capturing():
        return
    capture.stop_global_capturing()
    capture.start_global_capturing()


def _own_temporary_folder(config, worker_id):
    factory = getattr(config, "_tmp_path_factory", None)
    if factory is None:
        return
    folder = factory.getbasetemp() / ("popen-" + worker_id)
    folder.mkdir(mode=0o700, exist_ok=True)
    factory._basetemp = folder


def leave(status):
    """Ends a forked worker: runs what was registered here to run at exit, and nothing that the controller registered."""
    try:
        _save_coverage()
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        os._exit(status)


def _save_coverage():
    """Writes what coverage.py measured in this process, under a name of its own beside the controller's."""
    coverage = sys.modules.get("coverage")
    current = coverage and coverage.Coverage.current()
    if current:
        current.stop()
        current.save()
