"""Gives each test that runs in a thread its own part of what pytest has once for the whole process.

Fixture values and set-up state; captured output, log records, warnings, exceptions of threads, explanations of asserts
and PYTEST_CURRENT_TEST. All of it asks `current()`: the test of the calling thread, or of the thread that started it.
Where that is `None`, as for a test that runs alone, pytest's own code does what it always does. Private names of pytest
are taken with guards: a pytest that lacks one has no such part, or keeps it where it is safe already. Start at `PerThread`.
"""

import collections
import contextlib
import inspect
import io
import logging
import os
import sys
import threading
import warnings

import pytest

from .thread_safety import has_warnings_per_thread

_here = threading.local()


class Running:
    """A test that runs in a thread."""

    def __init__(self, item, test):
        self.item, self.test = item, test
        self.output = {}
        self.handlers = ()
        self.warnings, self.seen_warnings = [], set()
        self.asserting = {}
        self.phase = None
        self.catching, self.exceptions = {"args": [], "unraisable": []}, collections.deque()


def current():
    """The test that the calling thread runs or helps, or `None`."""
    running = getattr(_here, "running", None)
    return running if running is not None else getattr(threading.current_thread(), "_naja_running", None)


@contextlib.contextmanager
def as_current(running):
    """The calling thread runs this test."""
    _here.running = running
    try:
        yield
    finally:
        _here.running = None


class SetUp:
    """Takes the place of pytest's `SetupState`: collectors are shared and counted, each thread has its own test.

    `tests.leave()` tells that the calling thread's test is over, `tests.needs(node)` whether a collector has tests that
    run or will run; one that has none left is torn down.
    """

    def __init__(self, before, lock, tests):
        self._lock, self._tests = lock, tests
        # Node: [finalizers, exception and traceback of its failed set-up].
        self._shared = {node: list(entry) for node, entry in getattr(before, "stack", {}).items()}
        self._items = {}
        self._mine = threading.local()

    @property
    def stack(self):
        """What is set up, for plugins that look."""
        stack = {node: tuple(entry) for node, entry in list(self._shared.items())}
        item = getattr(self._mine, "item", None)
        if item in self._items:
            stack[item] = tuple(self._items[item])
        return stack

    def is_node_active(self, node):
        """Whether the node is set up and not torn down."""
        return node in self._shared or node in self._items

    def setup(self, item):
        """Sets up the collectors of a test that are not yet, and the test."""
        *collectors, item = item.listchain()
        with self._lock:
            for node in collectors:
                entry = self._shared.get(node)
                if entry is None:
                    self._set_up(self._shared, node)
                elif entry[1]:
                    raise entry[1][0].with_traceback(entry[1][1])
        self._mine.item = item
        self._set_up(self._items, item)

    def _set_up(self, nodes, node):
        entry = nodes[node] = [[node.teardown], None]
        try:
            node.setup()
        except _outcomes() as error:
            entry[1] = (error, error.__traceback__)
            raise

    def addfinalizer(self, finalizer, node):
        """Attaches a finalizer to a node that is set up."""
        entry = self._items.get(node) or self._shared.get(node)
        assert entry is not None, f"{node!r} is not set up"
        entry[0].append(finalizer)

    def teardown_exact(self, nextitem):
        """Tears down this thread's test, then what no test needs any more, deepest first."""
        errors = []
        item = getattr(self._mine, "item", None)
        self._mine.item = None
        if item in self._items:
            self._finalize(item, self._items.pop(item)[0], errors)
        with self._lock:
            self._tests.leave()
            left = [node for node in self._shared if not self._tests.needs(node)]
            for node in sorted(reversed(left), key=lambda node: -len(node.listchain())):
                self._finalize(node, self._shared.pop(node)[0], errors)
        _raise("errors during test teardown", errors)

    def _finalize(self, node, finalizers, errors):
        found = []
        while finalizers:
            try:
                finalizers.pop()()
            except _outcomes() as error:
                found.append(error)
        try:
            _raise(f"errors while tearing down {node!r}", found)
        except _outcomes() as error:
            errors.append(error)


def _outcomes():
    from _pytest import runner

    outcomes = getattr(runner, "TEST_OUTCOME", None)
    return outcomes or (pytest.skip.Exception, pytest.fail.Exception, Exception)


def _raise(text, errors):
    """Raises one error as it is, several as a group where this pytest makes groups."""
    if not errors:
        return
    from _pytest import runner

    group = getattr(runner, "BaseExceptionGroup", None) or getattr(sys.modules["builtins"], "BaseExceptionGroup", None)
    if len(errors) == 1 or group is None:
        raise errors[0]
    raise group(text, errors[::-1])


class _OutputByThread:
    """In the place of sys.stdout or sys.stderr: what a test's threads write goes to the test, all else to `rest`."""

    def __init__(self, name, rest):
        self._name, self._rest = name, rest

    def _naja_target(self):
        running = current()
        return running.output.get(self._name, self._rest) if running is not None else self._rest

    def __getattr__(self, name):
        # A test's own text has no descriptor; child processes get that of the whole process.
        return getattr(self._rest if name == "fileno" else self._naja_target(), name)

    def write(self, text):
        return self._naja_target().write(text)

    def __iter__(self):
        return iter(self._naja_target())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class _Text(io.TextIOWrapper):
    """The text that one test has written."""

    def __init__(self):
        super().__init__(io.BytesIO(), encoding="utf-8", errors="replace", newline="", write_through=True)

    def text(self):
        return self.buffer.getvalue().decode("utf-8", "replace")

    def close(self):
        pass


class _LogsByThread(logging.Handler):
    """Gives a record to the handlers of the test whose thread made it."""

    def emit(self, record):
        running = current()
        for handler in running.handlers if running is not None else ():
            if record.levelno >= handler.level:
                handler.handle(record)


class _AssertUtil:
    """In the place of `_pytest.assertion.util` for the one function that sets its hooks: keeps them by test."""

    def __init__(self, module):
        self.__dict__["_naja_module"] = module

    def __getattr__(self, name):
        return getattr(self._naja_module, name)

    def __setattr__(self, name, value):
        running = current()
        if running is None:
            setattr(self._naja_module, name, value)
        elif name in ("_reprcompare", "_assertion_pass") and value is not getattr(self._naja_module, name):
            running.asserting[name] = value


class PerThread:
    """The parts of one worker's pytest, each made to know threads. `phase` is for the time in which tests run in threads."""

    def __init__(self, session, tests):
        self.config = session.config
        # Held while anything of a higher scope than a function is set up or torn down.
        self.lock = threading.RLock()
        session._setupstate = SetUp(session._setupstate, self.lock, tests)
        manager = self.config.pluginmanager
        self.capture = manager.getplugin("capturemanager")
        self.logging = manager.getplugin("logging-plugin")
        self._level = None
        _follow_threads()
        self._share_fixtures()
        self._name_current_test()
        self._split_capture()
        self._split_logging()
        self._split_warnings()
        self._split_exceptions()

    @contextlib.contextmanager
    def phase(self):
        """Output, logging, warnings and asserts are split by thread while this is entered, by the main thread."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._output())
            stack.enter_context(self._logs())
            stack.enter_context(self._warnings())
            stack.enter_context(self._asserts())
            yield

    # Fixtures

    def _share_fixtures(self):
        from _pytest.fixtures import FixtureDef

        if isinstance(getattr(FixtureDef, "cached_result", None), property):
            return
        lock, execute = self.lock, FixtureDef.execute

        def locked(definition, request):
            if definition.scope == "function":
                return execute(definition, request)
            with lock:
                return execute(definition, request)

        FixtureDef.execute = locked
        FixtureDef.cached_result = _by_thread("cached_result", lambda: None)
        FixtureDef._finalizers = _by_thread("_finalizers", list)

    # PYTEST_CURRENT_TEST

    def _name_current_test(self):
        from _pytest import runner

        update = getattr(runner, "_update_current_test_var", None)
        if update is None:
            return

        def by_thread(item, when):
            running = current()
            if running is None:
                update(item, when)
            else:
                running.phase = f"{item.nodeid} ({when})".replace("\x00", "(null)") if when else None

        runner._update_current_test_var = by_thread

        class Environment(type(os.environ)):
            def __getitem__(self, key):
                running = current() if key == "PYTEST_CURRENT_TEST" else None
                if running is not None and running.phase:
                    return running.phase
                return super().__getitem__(key)

        os.environ.__class__ = Environment

    # Output

    def _split_capture(self):
        if self.capture is None or self.config.option.capture == "no":
            return
        original = self.capture.item_capture

        @contextlib.contextmanager
        def item_capture(when, item):
            running = current()
            if running is None:
                with original(when, item):
                    yield
                return
            running.output = {"stdout": _Text(), "stderr": _Text()}
            try:
                yield
            finally:
                texts, running.output = running.output, {}
                for name, text in texts.items():
                    item.add_report_section(when, name, text.text())

        self.capture.item_capture = item_capture

    @contextlib.contextmanager
    def _output(self):
        if self.capture is None or self.config.option.capture == "no":
            yield
            return
        self.capture.resume_global_capture()
        before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = _OutputByThread("stdout", before[0]), _OutputByThread("stderr", before[1])
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before
            self.capture.suspend_global_capture(in_=False)

    # Logging

    def _split_logging(self):
        plugin = self.logging
        original = getattr(plugin, "_runtest_for", None)
        if original is None:
            return
        from _pytest.logging import LogCaptureHandler, caplog_handler_key, caplog_records_key

        def split(item, when, running):
            handlers = LogCaptureHandler(), LogCaptureHandler()
            for handler in handlers:
                handler.setFormatter(plugin.formatter)
                if plugin.log_level is not None:
                    handler.setLevel(plugin.log_level)
            item.stash[caplog_records_key][when] = handlers[0].records
            item.stash[caplog_handler_key] = handlers[0]
            running.handlers = handlers
            try:
                yield
            finally:
                running.handlers = ()
                item.add_report_section(when, "log", handlers[1].stream.getvalue().strip())

        if inspect.isgeneratorfunction(type(plugin)._runtest_for):  # pytest 7

            def runtest_for(item, when):
                running = current()
                yield from original(item, when) if running is None else split(item, when, running)

        else:

            def runtest_for(item, when):
                running = current()
                return original(item, when) if running is None else contextlib.contextmanager(split)(item, when, running)

        plugin._runtest_for = runtest_for

    @contextlib.contextmanager
    def _logs(self):
        if getattr(self.logging, "_runtest_for", None) is None:
            yield
            return
        root, handler = logging.getLogger(), _LogsByThread()
        level, asked = root.level, self.logging.log_level
        root.addHandler(handler)
        if asked is not None:
            root.setLevel(min(level, asked))
        try:
            yield
        finally:
            root.setLevel(level)
            root.removeHandler(handler)

    # Warnings

    def _split_warnings(self):
        from _pytest import warnings as plugin

        self._catch = getattr(plugin, "catch_warnings_for_item", None)
        if self._catch is None or has_warnings_per_thread():
            self._catch = None
            return
        original = self._catch

        @contextlib.contextmanager
        def catch(config, ihook, when, item, **more):
            running = current()
            if running is None:
                with original(config=config, ihook=ihook, when=when, item=item, **more):
                    yield
                return
            try:
                yield
            finally:
                found, running.warnings = running.warnings, []
                for message in found:
                    told = {"warning_message": message, "nodeid": item.nodeid, "when": when, "location": None}
                    ihook.pytest_warning_recorded.call_historic(kwargs=told)

        plugin.catch_warnings_for_item = catch

    @contextlib.contextmanager
    def _warnings(self):
        if self._catch is None or not self.config.pluginmanager.has_plugin("warnings"):
            yield
            return
        with self._catch(config=self.config, ihook=self.config.hook, when="runtest", item=None):
            always = [one[2] for one in warnings.filters if one[0] in ("always", "all")]
            # Python tells a warning once for each place, counted anew for each test: the counting is done here.
            warnings.filters[:] = [("always", *one[1:]) if one[0] == "default" else one for one in warnings.filters]
            warnings.simplefilter("always", append=True)
            rest = warnings._showwarnmsg_impl

            def file(message):
                running = current()
                if running is None:
                    rest(message)
                    return
                key = (message.category, str(message.message), message.filename, message.lineno)
                if key not in running.seen_warnings or any(issubclass(message.category, one) for one in always):
                    running.seen_warnings.add(key)
                    running.warnings.append(message)

            warnings._showwarnmsg_impl = file
            yield

    # Asserts

    @contextlib.contextmanager
    def _asserts(self):
        from _pytest import assertion

        util = assertion.util
        before = getattr(util, "_reprcompare", None), getattr(util, "_assertion_pass", None), util._config

        def compare(*arguments):
            running = current()
            function = running and running.asserting.get("_reprcompare")
            return function(*arguments) if function else None

        def passed(*arguments):
            running = current()
            function = running and running.asserting.get("_assertion_pass")
            if function:
                function(*arguments)

        assertion.util = _AssertUtil(util)
        util._reprcompare, util._config = compare, self.config
        if self.config.hook.pytest_assertion_pass.get_hookimpls():
            util._assertion_pass = passed
        try:
            yield
        finally:
            assertion.util = util
            util._reprcompare, util._assertion_pass, util._config = before

    # Exceptions that nobody catches

    def _split_exceptions(self):
        try:
            from _pytest import threadexception, unraisableexception
        except ImportError:
            return
        key = getattr(threadexception, "thread_exceptions", None)
        if key is None:  # before pytest 8.4, each phase of a test sets hooks of its own
            threading.excepthook = _split_catching(threadexception, "catch_threading_exception", "args", threading.excepthook)
            sys.unraisablehook = _split_catching(
                unraisableexception, "catch_unraisable_exception", "unraisable", sys.unraisablehook
            )
            return
        before, rest = threading.excepthook, self.config.stash.get(key, None)
        if rest is None:
            return

        class ByTest(collections.deque):
            def pop(self):
                running = current()
                return rest.pop() if running is None else running.exceptions.pop()

        def excepthook(arguments):
            running = current()
            if running is None:
                before(arguments)
            else:
                threadexception.thread_exception_hook(arguments, append=running.exceptions.append)

        self.config.stash[key] = ByTest()
        threading.excepthook = excepthook


def _split_catching(plugin, name, attribute, before):
    """Makes pytest's class that catches an exception per phase do so by test; the hook to set once for all."""
    original = getattr(plugin, name, None)
    if original is None:
        return before

    class Catch(original):
        def __enter__(self):
            self._naja_running = current()
            if self._naja_running is None:
                return super().__enter__()
            self._naja_running.catching[attribute].append(self)
            return self

        def __exit__(self, *error):
            if self._naja_running is None:
                return super().__exit__(*error)
            self._naja_running.catching[attribute].remove(self)
            delattr(self, attribute)

    def hook(found):
        running = current()
        if running is None or not running.catching[attribute]:
            before(found)
        else:
            setattr(running.catching[attribute][-1], attribute, found)

    setattr(plugin, name, Catch)
    return hook


def _follow_threads():
    """A thread that a test starts belongs to the test."""
    start = threading.Thread.start

    def followed(thread):
        running = current()
        if running is not None:
            thread._naja_running = running
        return start(thread)

    threading.Thread.start = followed


def _by_thread(name, default):
    """An attribute of a fixture's definition: one for each thread where the scope is a function, else one for all."""

    def values(definition):
        return definition.__dict__.setdefault("_naja_" + name, {})

    def get(definition):
        if definition.scope != "function":
            return definition.__dict__.get(name)
        return values(definition).setdefault(threading.get_ident(), default())

    def put(definition, value):
        if definition.scope != "function":
            definition.__dict__[name] = value
        else:
            values(definition)[threading.get_ident()] = value

    return property(get, put)
