"""Session fixtures that are set up once, before the fork, for all workers.

Before anything is forked, the session fixtures that the selected tests need are judged, one after the other:

* Some are left to the workers at a glance: parametrised ones, asynchronous ones, those that need `tmp_path_factory` or
  `worker_id`, those whose own code names threads, processes or sockets, and whatever depends on one of these.
* A verdict of an earlier run is taken from pytest's cache (`naja/session_fixtures`), as long as the source is the same.
* The rest is tried: a process forked for that sets them up and looks at what they did and left (`evidence.py`), tears
  them down and ends. A second set-up in a process that has seen the first could fail, or find what the first has left
  in some module; so this one, and all workers, stay untouched by the trial.

The safe ones are then set up here, looked at once more, and inherited: workers have their values and never run their
teardown. `SessionFixtures.tear_down` does, once, when all workers have ended. What a set-up prints, logs and warns of
belongs to the first test that needs the fixture, as in a run without workers.
"""

import faulthandler
import hashlib
import inspect
import json
import os
import signal
import threading
import time
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace

import pytest

from . import evidence

_CACHE_KEY = "naja/session_fixtures"
# Verdicts of fixtures that this run did not meet are kept up to this number.
_MOST_REMEMBERED = 2000
# Objects that answer to every name would be unwrapped for ever.
_MOST_WRAPPERS = 30

_TEMPORARY = {"tmp_path_factory", "tmpdir_factory"}
_WORKER_NAMES = {"worker_id", "testrun_uid"}
# Code that names one of these is not tried: it is nearly always unsafe, often slow, and a trial would do it for nothing.
_TELLING_NAMES = frozenset(
    "subprocess Popen socket socketserver Thread ThreadPoolExecutor ProcessPoolExecutor multiprocessing "
    "TemporaryDirectory NamedTemporaryFile mkdtemp mkstemp mktemp FileLock workerinput serve_forever "
    "create_subprocess_exec create_subprocess_shell new_event_loop chdir docker DockerClient testcontainers".split()
)
# The process of the trial is given this long to tear down when the run is interrupted, in seconds.
_TRIAL_ENDS_S = 10


class _Fixture:
    """One session fixture that selected tests need."""

    def __init__(self, name, definition, item, identity):
        self.name, self.definition, self.item, self.identity = name, definition, item, identity
        self.unit = None
        self.is_shared = False
        self.needs = []
        self.reason = None
        self.is_judged = False
        self.source = None

    def leave(self, reason):
        """Once per worker, for this reason."""
        self.reason, self.is_judged = reason, True


class SessionFixtures:
    """The session fixtures of a run, seen from the collecting process and, after the fork, from a worker.

    `tell(text)` prints a line for whoever asked with `-v`; `send(event, **fields)` tells the front end.
    """

    def __init__(self, session, tell, send):
        self._session, self._config = session, session.config
        self._tell, self._send = tell, send
        self._set_up = []  # definitions whose values workers inherit
        self._kept = []  # in a worker: what must not be collected as garbage, since that would run teardown

    # In the collecting process

    def set_up(self, units, workers):
        """Sets up what is safe. `units` are lists of indices of tests, each of which one of the `workers` runs.

        Cost without session fixtures: one look at the fixtures of each test function.
        """
        if workers == 1 or len(units) == 1 or self._is_to_be_left():
            return
        fixtures = self._needed(units)
        if not fixtures:
            return
        remembered = self._remembered()
        for fixture in fixtures:
            self._judge_at_a_glance(fixture, remembered)
        unknown = [fixture for fixture in fixtures if not fixture.is_judged]
        if unknown:
            self._try_in_a_fork(unknown)
        for fixture in fixtures:
            _leave_with_what_it_needs(fixture)
            if fixture.reason is None:
                self._set_up_here(fixture)
        self._remember(fixtures, remembered)
        self._say(fixtures)

    def inherit(self):
        """In a worker that was just forked: the values stay, their teardown is the collecting process's."""
        self._kept.append(list(self._session._setupstate.stack.values()))
        self._session._setupstate.stack.clear()
        for definition in self._set_up:
            self._kept.append(list(definition._finalizers))
            definition._finalizers.clear()
            # pytest 7 finishes a fixture at the end of whatever session used it, its own or not.
            definition.finish = _is_finished_elsewhere

    def tear_down(self):
        """Tears down what `set_up` has set up; the failed report for the last test of the session, or `None`."""
        if not self._set_up:
            return None
        self._set_up = []
        item = self._session.items[-1]
        with self._output() as output:
            call = pytest.CallInfo.from_call(
                lambda: self._session._setupstate.teardown_exact(None),
                when="teardown",
                reraise=(KeyboardInterrupt, pytest.exit.Exception),
            )
        if call.excinfo is None:
            return None
        for name, text in output:
            item.add_report_section("teardown", name, text)
        return item.ihook.pytest_runtest_makereport(item=item, call=call)

    # Which there are

    def _is_to_be_left(self):
        option = self._config.option
        if any(getattr(option, name, False) for name in ("setupshow", "setuponly", "setupplan")):
            return True  # they show the set-up of each test, or run none
        # A fork copies one thread alone: whatever the others hold locked would stay locked in a trial.
        return not evidence.can_look() or threading.active_count() > 1

    def _needed(self, units):
        """The session fixtures that tests of several units need, in the order of a serial run, needs first."""
        by_info, found, order = {}, {}, []
        unit_of = {test: number for number, unit in enumerate(units) for test in unit}
        for test, item in enumerate(self._session.items):
            info = getattr(item, "_fixtureinfo", None)
            if info is None or not hasattr(item, "_initrequest") or test not in unit_of:
                continue  # nothing is known of it before it runs: a doctest under pytest 7, a plugin's own kind of test
            known = by_info.get(id(info))
            if known is None:
                known = by_info[id(info)] = self._of_item(item, info, found, order)
            for fixture in known:
                if fixture.unit is None:
                    fixture.unit = unit_of[test]
                elif fixture.unit != unit_of[test]:
                    fixture.is_shared = True
                callspec = getattr(item, "callspec", None)
                if callspec is not None and fixture.name in callspec.params and fixture.reason is None:
                    fixture.leave("a test gives it a parameter")
        return [fixture for fixture in order if fixture.is_shared]

    def _of_item(self, item, info, found, order):
        names = []
        for name in info.names_closure:
            definitions = info.name2fixturedefs.get(name)
            if definitions and definitions[-1].scope == "session" and not _is_pytests_own(definitions[-1]):
                names.append(name)
        return [self._find(name, item, info, found, order) for name in names]

    def _find(self, name, item, info, found, order):
        definition = info.name2fixturedefs[name][-1]
        fixture = found.get(id(definition))
        if fixture is not None:
            return fixture
        fixture = found[id(definition)] = _Fixture(name, definition, item, _identity(definition))
        self._find_needs(fixture, definition, [name], info, item, found, order)
        order.append(fixture)
        return fixture

    def _find_needs(self, fixture, definition, chain, info, item, found, order):
        """Follows the arguments; a definition that another one of its name overrides is part of that one."""
        reason = _reason_at_a_glance(definition)
        if reason is not None:
            fixture.leave(reason)
        for name in definition.argnames:
            definitions = info.name2fixturedefs.get(name) or ()
            level = chain.count(name)
            if level >= len(definitions):
                continue  # `request`, or an error that the workers report
            below = definitions[-1 - level]
            if name in _TEMPORARY or name in _WORKER_NAMES:
                fixture.leave(_reason_of_name(name))
            elif level or _is_pytests_own(below):
                self._find_needs(fixture, below, chain + [name], info, item, found, order)
            elif below.scope == "session" and name not in chain:
                fixture.needs.append(self._find(name, item, info, found, order))

    # Verdicts

    def _judge_at_a_glance(self, fixture, remembered):
        _leave_with_what_it_needs(fixture)
        if fixture.is_judged:
            return
        fixture.source = _hash_of_source(fixture.definition)
        source, reason = remembered.get(fixture.identity, (None, None))
        if source == fixture.source:
            fixture.reason, fixture.is_judged = reason, True

    def _remembered(self):
        cache = getattr(self._config, "cache", None)
        stored = cache.get(_CACHE_KEY, {}) if cache is not None else {}
        if not isinstance(stored, dict):
            return {}
        return {
            name: verdict
            for name, verdict in stored.items()
            if isinstance(verdict, list) and len(verdict) == 2 and isinstance(verdict[1], (str, type(None)))
        }

    def _remember(self, fixtures, remembered):
        cache = getattr(self._config, "cache", None)
        new = {one.identity: [one.source, one.reason] for one in fixtures if one.source is not None and one.is_judged}
        if cache is None or all(remembered.get(name) == verdict for name, verdict in new.items()):
            return
        old = {name: verdict for name, verdict in remembered.items() if name not in new}
        kept = list(old.items())[-_MOST_REMEMBERED:]
        cache.set(_CACHE_KEY, dict(kept + list(new.items())))

    def _say(self, fixtures):
        once = [fixture.name for fixture in fixtures if fixture.reason is None]
        for fixture in fixtures:
            self._send("fixture", fixture=fixture.identity, source=fixture.source, reason=fixture.reason)
            if fixture.reason is not None:
                self._tell(f"session fixture {fixture.name}: once per worker, since {fixture.reason}")
        if once:
            self._tell(f"session fixtures set up once for all workers: {', '.join(once)}")

    # The trial

    def _try_in_a_fork(self, fixtures):
        """Judges the fixtures by what they do in a process of their own, which ends with the trial."""
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            try:
                os.close(reading)
                self._trial(fixtures, writing)
            finally:
                os._exit(0)
        os.close(writing)
        try:
            with open(reading, "rb") as lines:
                self._hear(fixtures, lines)
        except BaseException:
            _end(process)
            raise
        os.waitpid(process, 0)

    def _hear(self, fixtures, lines):
        heard = set()
        for line in lines:
            number, reason, is_judged = json.loads(line.decode())
            heard.add(number)
            fixture = fixtures[number]
            _leave_with_what_it_needs(fixture)
            if fixture.reason is None:
                fixture.reason, fixture.is_judged = reason, is_judged
        missing = [fixture for number, fixture in enumerate(fixtures) if number not in heard]
        for fixture in missing:
            # The first of them ended the process; what came after it was never looked at.
            is_first = fixture is missing[0]
            fixture.reason = "its set-up ended the process" if is_first else "it could not be tried"

    def _trial(self, fixtures, writing):
        """In the process of the trial: sets up, looks, tells, tears down."""
        os.setpgid(0, 0)  # an interrupt from the terminal is the collecting process's, which passes it on
        signal.signal(signal.SIGINT, signal.default_int_handler)
        faulthandler.disable()
        self._silence()
        watch = evidence.Watch(self._config)
        try:
            for number, fixture in enumerate(fixtures):
                _leave_with_what_it_needs(fixture)
                if fixture.reason is None:
                    with self._output():
                        has_succeeded, found = self._set_up_and_look(fixture, watch)
                    if found:
                        # The first reasons are enough to understand the verdict.
                        fixture.leave("; ".join(found[:2]))
                    elif not has_succeeded:
                        fixture.reason = "its set-up failed"
                    else:
                        fixture.is_judged = True
                verdict = [number, fixture.reason, fixture.is_judged]
                os.write(writing, json.dumps(verdict).encode() + b"\n")
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            self._session._setupstate.teardown_exact(None)

    def _silence(self):
        """Nothing of a trial is to be seen, and nothing of it waits for somebody to type."""
        capture = self._config.pluginmanager.getplugin("capturemanager")
        if capture is not None and capture.is_globally_capturing():
            capture.stop_global_capturing()
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        if capture is not None and capture.is_globally_capturing():
            capture.start_global_capturing()

    # Setting up

    def _set_up_here(self, fixture):
        """Sets up a fixture that is believed to be safe, and looks whether it is."""
        with self._output() as output:
            has_succeeded, found = self._set_up_and_look(fixture)
        if found:
            fixture.leave("; ".join(found[:2]))
        elif not has_succeeded:
            fixture.reason, fixture.is_judged = "its set-up failed", False
        else:
            for name, text in output:
                fixture.item.add_report_section("setup", name, text)
            for arguments in output.warnings:
                fixture.item.ihook.pytest_warning_recorded.call_historic(kwargs=arguments)

    def _set_up_and_look(self, fixture, watch=None):
        """Whether the set-up succeeded, and what speaks against sharing it. What must not stay is torn down again."""
        session, item = self._session, fixture.item
        state = session._setupstate
        if session not in state.stack:
            state.setup(session)
        finalizers = state.stack[session][0]
        before, has_succeeded = len(finalizers), False
        seen = _Seen()
        snapshot = evidence.Snapshot()
        # pytest looks whether the test is being set up that a fixture is asked for.
        state.stack[item] = ([], None)
        self._config.pluginmanager.register(seen)
        try:
            with watch.active() if watch is not None else ExitStack():
                item._request.getfixturevalue(fixture.name)
            has_succeeded = True
        except (Exception, pytest.skip.Exception, pytest.fail.Exception):
            pass  # the workers will find and report it
        finally:
            self._config.pluginmanager.unregister(seen)
            state.stack.pop(item, None)
            item._initrequest()
        found = snapshot.changes()
        if watch is not None:
            found = watch.heard() + found
        for name in seen.names & (_TEMPORARY | _WORKER_NAMES):
            found.insert(0, _reason_of_name(name))
        if found or not has_succeeded:
            self._undo(finalizers, before)
        else:
            self._set_up.extend(seen.definitions)
        return has_succeeded, found

    def _undo(self, finalizers, before):
        """Tears down at once what was added since; its errors are met again where the fixture is really used."""
        while len(finalizers) > before:
            try:
                finalizers.pop()()
            except (Exception, pytest.skip.Exception, pytest.fail.Exception):
                pass

    @contextmanager
    def _output(self):
        """Keeps what is printed, logged and warned of within, as pytest does for a part of a test."""
        output = _Output()
        manager = self._config.pluginmanager
        capture, logs = manager.getplugin("capturemanager"), manager.getplugin("logging-plugin")
        with ExitStack() as stack:
            if manager.hasplugin("warnings"):
                stack.enter_context(self._warnings(output.warnings))
            handler = getattr(logs, "report_handler", None)
            if handler is not None:
                from _pytest.logging import catching_logs

                stack.enter_context(catching_logs(handler, level=logs.log_level))
                handler.reset()
            if capture is not None:
                capture.resume_global_capture()
            try:
                yield output
            finally:
                if handler is not None:
                    output.append(("log", handler.stream.getvalue().strip()))
                if capture is not None:
                    capture.suspend_global_capture(in_=False)
                    if capture.is_globally_capturing():
                        output.extend(zip(("stdout", "stderr"), capture.read_global_capture()))

    def _warnings(self, kept):
        from _pytest.warnings import catch_warnings_for_item

        hook = SimpleNamespace(pytest_warning_recorded=SimpleNamespace(call_historic=lambda kwargs: kept.append(kwargs)))
        return catch_warnings_for_item(config=self._config, ihook=hook, when="runtest", item=self._session.items[0])


class _Output(list):
    """Pairs of a stream's name and its text; and the arguments of the hook for each warning."""

    def __init__(self):
        super().__init__()
        self.warnings = []


class _Seen:
    """A plugin that hears of the fixtures that are set up, those too that a set-up asks for by itself."""

    def __init__(self):
        self.definitions, self.names = [], set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef):
        self.definitions.append(fixturedef)
        self.names.add(fixturedef.argname)


def _is_finished_elsewhere(request):
    """In the place of `FixtureDef.finish` in a worker."""


def _leave_with_what_it_needs(fixture):
    for need in fixture.needs:
        if need.reason is not None and fixture.reason is None:
            fixture.reason = f"it needs {need.name} ({need.reason})"
            fixture.is_judged = need.is_judged
            fixture.source = None  # a verdict on another fixture: not to be remembered for this one


def _is_pytests_own(definition):
    module = getattr(definition.func, "__module__", None) or ""
    return module.startswith("_pytest.") or module == __name__.rpartition(".")[0] + ".plugin"


def _reason_at_a_glance(definition):
    """Why a fixture is not even tried, or `None`."""
    function = _function(definition)
    if definition.params is not None:
        return "it is parametrised"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "it is asynchronous"
    if _is_pytests_own(definition):
        return None
    names = _names(getattr(function, "__code__", None))
    telling = sorted(names & _TELLING_NAMES)
    if telling:
        return f"its code uses {telling[0]}"
    asked = sorted(name for name in names if name in _WORKER_NAMES or name.startswith("PYTEST_XDIST_"))
    return f"it asks which worker it runs in ({asked[0]})" if asked else None


def _reason_of_name(name):
    if name in _TEMPORARY:
        return f"it makes temporary files ({name}), to which tests of all workers would write"
    return f"it asks which worker it runs in ({name})"


def _function(definition):
    function = definition.func
    for _ in range(_MOST_WRAPPERS):
        names = ("__wrapped__", "__func__", "func")  # decorators, bound methods, functools.partial
        inner = next((getattr(function, name) for name in names if getattr(function, name, None) is not None), None)
        if inner is None or inner is function:
            break
        function = inner
    return function


def _names(code):
    """The names and short texts in the code of a function and of the functions within."""
    if code is None:
        return set()
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, str) and constant.isidentifier():
            found.add(constant)
        elif hasattr(constant, "co_names"):
            found |= _names(constant)
    return found


def _identity(definition):
    function = _function(definition)
    place = getattr(function, "__qualname__", type(function).__name__)
    return f"{definition.baseid}::{getattr(function, '__module__', '')}.{place}::{definition.argname}"


def _hash_of_source(definition):
    function = _function(definition)
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):  # made by a program
        code = getattr(function, "__code__", None)
        text = repr((code.co_code, code.co_names)) if code is not None else repr(type(function))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _end(process):
    """Interrupts the trial, waits for its teardown, and kills it if that takes too long."""
    try:
        os.kill(process, signal.SIGINT)
        end = time.monotonic() + _TRIAL_ENDS_S
        while os.waitpid(process, os.WNOHANG)[0] == 0:
            if time.monotonic() > end:
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)
                break
            time.sleep(0.01)
    except OSError:  # it has ended
        pass
