"""What runs in a worker: takes tests, runs them through pytest, and sends what happened to the controller.

This file needs nothing but pytest and the standard library, so that it can be sent to another machine by itself.
Messages are tuples whose first word says what they are; `Channel` carries them over a pipe. Start at `Worker`; a worker
in an interpreter of its own starts at `work`.
"""

import atexit
import faulthandler
import fcntl
import hashlib
import io
import json
import os
import pickle
import queue as queues
import select
import signal
import struct
import sys
import threading
import time
import types
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


def framed(data):
    """Bytes as `messages` takes them out of a stream again."""
    return _LENGTH.pack(len(data)) + data


def packed(message):
    """A message of plain values, ready to be written."""
    return framed(pickle.dumps(plain(message), protocol=4))


class Channel:
    """Sends messages to the controller over the pipe `descriptor`; whatever has been sent outlives this process."""

    def __init__(self, descriptor, plain=False):
        self._descriptor, self._plain = descriptor, plain
        self.process = os.getpid()

    def adopt(self):
        """This process, forked from the one that has sent so far, sends from now on."""
        self.process = os.getpid()

    def send(self, *message):
        """Sends one message. A process that a test has forked sends nothing: its reports are not ours."""
        if os.getpid() != self.process:
            return
        if self._plain:
            data = packed(message)
        else:
            try:
                data = framed(pickle.dumps(message, protocol=4))
            except Exception:
                data = framed(pickle.dumps(_sendable(message), protocol=4))
        data = memoryview(data)
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BrokenPipeError:  # the controller is gone, and so is whoever would read the results
                os._exit(1)


def messages(buffer, load=pickle.loads):
    """Takes the whole messages out of the bytes in `buffer`, a `bytearray`."""
    taken = 0
    try:
        while len(buffer) >= taken + _LENGTH.size:
            begin = taken + _LENGTH.size
            end = begin + _LENGTH.unpack_from(buffer, taken)[0]
            if len(buffer) < end:
                return
            message = load(bytes(buffer[begin:end]))
            taken = end
            yield message
    finally:
        del buffer[:taken]


def _sendable(value):
    """The same value with text in the place of what cannot be sent."""
    if isinstance(value, dict):
        return {_sendable(key): _sendable(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_sendable, value)) if type(value) in (list, tuple) else [_sendable(one) for one in value]
    try:
        pickle.dumps(value, protocol=4)
    except Exception:
        return repr(value)
    return value


def plain(value):
    """The same value made of Python's own types alone, which every interpreter can load."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str, bytes):
        return value
    if isinstance(value, dict):
        return {plain(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        made = next(one for one in (list, tuple, set, frozenset) if isinstance(value, one))
        return made(plain(one) for one in value)
    for base in (bool, int, float, str, bytes):
        if isinstance(value, base):
            return base(value)
    return os.fspath(value) if isinstance(value, os.PathLike) else repr(value)


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        raise pickle.UnpicklingError(f"a message may not hold a {module}.{name}")


def load_plain(data):
    """Loads a message of `plain` values; anything else in it is refused."""
    return _PlainUnpickler(io.BytesIO(data)).load()


def warning_data(message):
    """What a recorded warning is made of, all of which can be sent."""
    original, text = message.message, str(message.message)
    try:
        original = pickle.dumps(original, protocol=4)
        pickle.loads(original)
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
    try:  # the class of the warning may be one that this process has not imported
        message = pickle.loads(data["original"]) if data["original"] and data["category"][0] in sys.modules else None
    except Exception:
        message = None
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
        # With tests in several threads, each has one.
        self._of_thread = threading.local()
        # pytest tells a new plugin all warnings of the past; the controller knows them already.
        self.is_heard = False

    @property
    def test(self):
        """The test that the calling thread runs, or has run last."""
        return getattr(self._of_thread, "test", None)

    @test.setter
    def test(self, test):
        self._of_thread.test = test

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_setup(self):
        yield from self._in_this_process()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_call(self):
        yield from self._in_this_process()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self):
        yield from self._in_this_process()

    def _in_this_process(self):
        """A child that a test has forked ends where the test's code does: fixtures and other tests are not its to run."""
        outcome = yield
        if os.getpid() != self.channel.process:
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(0 if outcome.excinfo is None else 1)

    @pytest.hookimpl
    def pytest_runtest_logstart(self, nodeid, location):
        self.channel.send("start", self.test, nodeid, location)

    @pytest.hookimpl
    def pytest_runtest_logfinish(self, nodeid, location):
        self.channel.send("finish", self.test, nodeid, location)

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report):
        if type(report) is not pytest.TestReport:
            self._of_thread.in_parts = self.test  # one of its subtests
        elif getattr(self._of_thread, "in_parts", None) == self.test:
            # What pytest counts of subtests, it adds to the report where it asks for the test's status.
            self.config.hook.pytest_report_teststatus(report=report, config=self.config)
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

    def __init__(self, session, queue, number, reporter, items=None):
        self.session, self.queue, self.number, self.reporter = session, queue, number, reporter
        self.items = session.items if items is None else items

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
        items = self.items
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
        nextitem = None if following is None else self.items[following]
        tear_down(self.session, self.reporter, last[0], self.items[last[0]], nextitem)


def tear_down(session, reporter, test, item, nextitem):
    """Tears down all that `nextitem` does not need, and reports an error as one of `item`, the number of which is `test`."""
    reporter.test = test
    reporter.channel.send("cleanup", test, False)
    call = pytest.CallInfo.from_call(
        lambda: session._setupstate.teardown_exact(nextitem),
        when="teardown",
        reraise=(KeyboardInterrupt, pytest.exit.Exception),
    )
    if call.excinfo is not None:
        report = item.ihook.pytest_runtest_makereport(item=item, call=call)
        item.ihook.pytest_runtest_logreport(report=report)
    reporter.channel.send("cleanup", test, True)


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
    _let_reruns_be_told()
    _silence(config)
    _capture_anew(config)
    _own_temporary_folder(config, worker_input["workerid"])
    reporter = Reporter(config, channel, worker_input["workerid"], worker_input["testrunuid"])
    config.pluginmanager.register(reporter, "naja-worker")
    reporter.is_heard = True
    return reporter


def _let_reruns_be_told():
    """pytest-rerunfailures keeps reruns to itself where no xdist is installed that would not mistake them for the end."""
    module = sys.modules.get("pytest_rerunfailures")
    if hasattr(module, "works_with_current_xdist"):
        module.works_with_current_xdist = lambda: True


def _silence(config):
    """Takes out what would report a second time what the controller reports."""
    manager = config.pluginmanager
    _mute_terminal(manager)
    for name in ("terminalprogress", "naja-controller", "naja-unseen", "lfplugin", "nfplugin", "stepwiseplugin", "pastebin"):
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


# What only a worker in an interpreter of its own needs


class Replies:
    """What the controller sends, read from the pipe `descriptor`."""

    def __init__(self, descriptor):
        self._descriptor, self._buffer, self._messages = descriptor, bytearray(), []

    def receive(self):
        """The next message; the process ends when the controller is gone."""
        while not self._messages:
            data = os.read(self._descriptor, 1 << 16)
            if not data:
                os._exit(1)
            self._buffer += data
            self._messages += messages(self._buffer, load_plain)
        return self._messages.pop(0)

    def poll(self):
        """The next message if there is one already, else `None`."""
        if not self._messages and not select.select([self._descriptor], [], [], 0)[0]:
            return None
        return self.receive()


class HostChannel:
    """Sends messages over a channel of execnet, from another host."""

    def __init__(self, channel):
        self._channel = channel
        self.process = os.getpid()

    def send(self, *message):
        """Sends one message, as `Channel.send` does."""
        if os.getpid() != self.process:
            return
        try:
            self._channel.send(pickle.dumps(plain(message), protocol=4))
        except (OSError, EOFError):
            os._exit(1)


class HostReplies:
    """What the controller sends over a channel of execnet; a lost connection, or no bytes as a message, ends this process."""

    def __init__(self, channel):
        self._messages = queues.SimpleQueue()
        channel.setcallback(self._hear, endmarker=None)

    def _hear(self, data):
        if not data:  # nobody would hear of what the tests do from here on
            if os.getpgid(0) == os.getpid():
                os.killpg(0, signal.SIGKILL)
            os._exit(1)
        self._messages.put(load_plain(data))

    def receive(self):
        """The next message."""
        return self._messages.get()

    def poll(self):
        """The next message if there is one already, else `None`."""
        try:
            return self._messages.get_nowait()
        except queues.Empty:
            return None


class RemoteQueue:
    """The queue of the controller, with what `Worker` needs of it, asked over a connection.

    A unit that was taken is this worker's alone, so that only `take` and `announce` wait for an answer.
    """

    def __init__(self, channel, replies):
        self.units = {}
        self._channel, self._replies = channel, replies
        self._begun, self._is_stopped = set(), False

    def take(self, worker):
        """The number of the unit to run now, or `None`."""
        return self._ask("take")

    def announce(self, worker):
        """The number of the unit that follows, or `None`."""
        return self._ask("announce")

    def _ask(self, question):
        self._channel.send(question)
        while True:
            message = self._replies.receive()
            if message[0] == "unit":
                _, unit, tests = message
                if unit is not None:
                    self.units[unit] = tests
                return unit
            self._is_stopped = self._is_stopped or message[0] == "stop"

    def begin(self, worker, test):
        """Whether this test is to be run; the controller then counts it as begun."""
        message = self._replies.poll()
        while message is not None:
            self._is_stopped = self._is_stopped or message[0] == "stop"
            message = self._replies.poll()
        if self._is_stopped or test in self._begun:
            return False
        self._begun.add(test)
        self._channel.send("queue-begin", test)
        return True

    def finish(self, worker, test):
        """The test has been reported to its end."""
        self._channel.send("queue-finish", test)

    def state(self, test):
        """0 for a test that this worker has not begun."""
        return int(test in self._begun)


def group_name(item):
    """The names of the `xdist_group` marks of a test, sorted and joined; `None` without such a mark."""
    names = {
        str(mark.args[0] if mark.args else mark.kwargs.get("name", "default"))
        for mark in item.iter_markers("xdist_group")
    }
    return "_".join(sorted(names)) if names else None


def name_of_worker(config):
    """The value of the fixture `worker_id`."""
    return getattr(config, "workerinput", {}).get("workerid", "master")


def name_of_run(config):
    """The value of the fixture `testrun_uid`."""
    import uuid

    given = getattr(config, "workerinput", {}).get("testrunuid")
    return given or config.option.naja_run_id or uuid.uuid4().hex


@pytest.fixture(scope="session")
def worker_id(request):
    """The name of the worker that runs the test, `gw0` and so on; `master` in a run without workers."""
    return name_of_worker(request.config)


@pytest.fixture(scope="session")
def testrun_uid(request):
    """A text that all workers of this run share, and no other run."""
    return name_of_run(request.config)


class FreshWorker:
    """The pytest plugin that makes a worker of a new interpreter, which has collected by itself.

    It stands in for the plugin of the controller, which another host does not have: `setup` tells its options,
    settings, marks and hooks.
    """

    def __init__(self, channel, replies, setup):
        self.channel, self.replies, self.setup = channel, replies, setup
        self.input, self.output = setup["input"], {}
        self.config = self.reporter = None

    @pytest.hookimpl
    def pytest_addhooks(self, pluginmanager):
        known = getattr(pluginmanager.hook, "pytest_configure_node", None)
        if known is not None and known.has_spec():
            return
        hooks = types.ModuleType("naja_hooks")
        exec(self.setup["hooks"], vars(hooks))
        pluginmanager.add_hookspecs(hooks)

    @pytest.hookimpl(tryfirst=True)
    def pytest_addoption(self, parser):
        group = parser.getgroup("naja", "known to the controller")
        if group.options:  # the controller's plugin is here as well
            return
        for names, settings in self.setup["options"]:
            group._addoption(*names, **settings)
        for name, kind in self.setup["ini"]:
            parser.addini(name, "known to the controller", type=kind)

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config):
        self.config = config
        config.workerinput, config.workeroutput = self.input, self.output
        config.option.usepdb = False
        config.option.basetemp = self.setup["temporary"]

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config):
        known = {line.split(":")[0].split("(")[0] for line in config.getini("markers")}
        for line in self.setup["markers"]:
            if line.split(":")[0].split("(")[0] not in known:
                config.addinivalue_line("markers", line)
        crash_file = self.setup["crash_file"]
        if crash_file is not None and faulthandler.is_enabled():
            faulthandler.enable(crash_file, all_threads=True)
        _let_reruns_be_told()
        _silence(config)
        fixtures = types.ModuleType("naja_fixtures")
        fixtures.worker_id, fixtures.testrun_uid = worker_id, testrun_uid
        config.pluginmanager.register(fixtures, "naja-fixtures")

    @pytest.hookimpl
    def pytest_sessionstart(self, session):
        import platform

        self.channel.send(
            "ready",
            {
                "version": sys.version,
                "version_info": tuple(sys.version_info),
                "sysplatform": sys.platform,
                "platform": platform.platform(),
                "executable": sys.executable,
                "cwd": os.getcwd(),
            },
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items):
        for item in items:
            path, separator, rest = item.nodeid.partition("::")
            for before, folder in self.setup["roots"]:
                inside = os.path.relpath(str(getattr(item, "path", item.fspath)), folder)
                if not inside.startswith(os.pardir):
                    path = "/".join(part for part in (before, *inside.split(os.sep)) if part != os.curdir and part)
                    break
            nodeid = path + separator + rest
            name = group_name(item) if self.setup["mode"] == "loadgroup" else None
            nodeid = nodeid if name is None else f"{nodeid}@{name}"
            if nodeid != item.nodeid:
                item._nodeid = nodeid

    @pytest.hookimpl
    def pytest_collectreport(self, report):
        if report.failed:
            data = self.config.hook.pytest_report_to_serializable(config=self.config, report=report)
            self.channel.send("collect-report", data)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session):
        if session.testsfailed and not session.config.option.continue_on_collection_errors:
            return True  # the reports have told why
        self.channel.send("collected", [item.nodeid for item in session.items])
        answer = self.replies.receive()
        while answer[0] not in ("run", "leave"):
            answer = self.replies.receive()
        if answer[0] == "leave":
            return True
        items = session.items if answer[1] is None else [None if at is None else session.items[at] for at in answer[1]]
        self.reporter = Reporter(session.config, self.channel, self.input["workerid"], self.input["testrunuid"])
        session.config.pluginmanager.register(self.reporter, "naja-worker")
        self.reporter.is_heard = True  # what was warned of before, the controller knows from its own collection
        Worker(session, RemoteQueue(self.channel, self.replies), 0, self.reporter, items).run()
        return True

    @pytest.hookimpl
    def pytest_keyboard_interrupt(self, excinfo):
        if isinstance(excinfo.value, pytest.exit.Exception):
            self.channel.send("exit", str(excinfo.value.msg), excinfo.value.returncode)
        else:
            self.channel.send("interrupted", self.reporter and self.reporter.test)

    @pytest.hookimpl
    def pytest_internalerror(self, excrepr):
        if self.reporter is None:
            self.channel.send("internal-error", str(excrepr))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_sessionfinish(self, session, exitstatus):
        self.output.update(
            exitstatus=int(exitstatus), shouldfail=session.shouldfail, shouldstop=session.shouldstop
        )
        yield


def work(channel, replies, crash_file=None):
    """The life of a worker in an interpreter of its own: it is told what to do, gets the tree, and runs pytest."""
    try:
        os.setpgid(0, 0)  # see `become_worker`
    except OSError:  # it leads a session already
        pass
    signal.signal(signal.SIGINT, signal.default_int_handler)
    setup = replies.receive()[1]
    base = os.getcwd()
    message = replies.receive()
    while message[0] != "go":
        if message[0] == "tree":
            _receive_tree(channel, replies, os.path.join(base, message[1]), message[1], message[2])
        message = replies.receive()
    setup["roots"] = [(before, os.path.realpath(os.path.join(base, name))) for before, name in setup["roots"]]
    setup["crash_file"] = crash_file
    os.environ.update(setup["environment"])
    if setup["folder"] is not None:
        os.chdir(os.path.join(base, setup["folder"]))
    if setup["path"] is not None:
        sys.path[:] = setup["path"]
    else:
        sys.path.insert(0, os.getcwd())
    arguments = [
        one if isinstance(one, str) else one[0] + os.path.realpath(os.path.join(base, one[1])) + one[2]
        for one in setup["arguments"]
    ]
    plugin = FreshWorker(channel, replies, setup)
    status = 1
    try:
        status = pytest.main(arguments, plugins=[plugin])
    except BaseException as error:  # pytest could not even begin; what it was is told to the controller
        channel.send("broken", f"{type(error).__name__}: {error}")
    plugin.output.setdefault("exitstatus", int(status))
    channel.send("end", plugin.output)


# The tree of a project, as another host gets it

_TREE_LIST = ".naja-tree.json"


def content_hash(path):
    """The hash by which files on two hosts are compared."""
    hashed = hashlib.blake2b(digest_size=20)
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            hashed.update(chunk)
    return hashed.hexdigest()


def _receive_tree(channel, replies, folder, name, entries):
    """Makes `folder` hold `entries`: a path with its hash and mode, or with the target of its link.

    What an earlier tree had put there, and this one does not have, is deleted; other files are left alone.
    """
    os.makedirs(folder, exist_ok=True)
    listed = os.path.join(folder, _TREE_LIST)
    try:
        with open(listed) as file:
            earlier = json.load(file)
    except (OSError, ValueError):
        earlier = []
    for path in set(earlier) - set(entries):
        _delete(folder, path)
    wanted = []
    for path, (kind, value, mode) in sorted(entries.items()):
        place = os.path.join(folder, path)
        if os.path.isdir(place) and not os.path.islink(place):
            raise RuntimeError(f"{place} is a folder, and a file on the host that sends it")
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if kind == "link":
            if not (os.path.islink(place) and os.readlink(place) == value):
                if os.path.lexists(place):
                    os.remove(place)
                os.symlink(value, place)
        elif os.path.islink(place) or not os.path.exists(place) or content_hash(place) != value:
            wanted.append(path)
        else:
            os.chmod(place, mode)
    channel.send("need", name, wanted)
    for path in wanted:
        place = os.path.join(folder, path)
        with open(place + ".naja-part", "wb") as file:
            while True:
                message = replies.receive()
                if message[0] == "chunk":
                    if not message[1]:
                        break
                    file.write(message[1])
        os.chmod(place + ".naja-part", entries[path][2])
        os.replace(place + ".naja-part", place)
    with open(listed, "w") as file:
        json.dump(sorted(entries), file)
    channel.send("has-tree", name)


def _delete(folder, path):
    """Deletes a file, and the folders that are empty then."""
    try:
        os.remove(os.path.join(folder, path))
        while os.path.dirname(path):
            path = os.path.dirname(path)
            os.rmdir(os.path.join(folder, path))
    except OSError:
        pass


if __name__ == "__main__":
    # Python puts a script's folder first, where the files of this package would hide modules of their names.
    sys.path[:1] = [path for path in sys.path[:1] if path != os.path.dirname(os.path.abspath(__file__))]
    _reading, _writing, _crash = (above_usual(int(number)) for number in sys.argv[1:4])
    sys.argv[1:] = []
    work(Channel(_writing, plain=True), Replies(_reading), os.fdopen(_crash, "w"))
elif __name__ == "__channelexec__":
    work(HostChannel(channel), HostReplies(channel))  # noqa: F821, execnet puts it here
