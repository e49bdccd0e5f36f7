"""Keeps pytest warm between the runs of `naja test --watch`, without ever running old code.

Three processes, each forked from the one before: the *root* has imported pytest, and what of other packages the last
session needed; the *session* has configured pytest, read the conftest files and waits where collection would begin; a
*run* goes on from there, collects what is to run, runs it and ends. No module is ever loaded a second time: what a run
has imported ends with it, and when a file changes that the session has loaded, the session ends too, and the *spare*
takes its place: a session that the root has forked after the last run, and that waits where it would read the first
conftest. It has read settings alone, and where these or what it has loaded have changed it is thrown away. Start at
`serve`; `Watch` is the session's part.
"""

import atexit
import gc
import glob
import importlib
import json
import os
import signal
import sys
import sysconfig
import uuid
import warnings

import pytest

from .front_end import EVENTS, ORDERS, PROJECT
from .rewriting import Shelf
from .worker import silent_writer

WATCH = "NAJA_TEST_WATCH"
# How a session ends that is to be forked anew, or that was the last one.
_RESTART, _QUIT = 75, 76


# What sessions and runs of every project import late: pytest imports `doctest` for a text file that may hold some.
_LATE = ("doctest", ".controller", ".collecting", ".choosing", ".fresh", ".loaded")


class _Root:
    """What a session knows of the root."""

    told = None  # the pipe to it
    go = None  # the pipe by which a spare session learns that it is wanted
    environment = None
    shelf = None


class _Session:
    """A session as the root sees it."""

    def __init__(self):
        """Forks it; `process` is 0 in the session itself."""
        self._reading, told = os.pipe()
        go, self._go = os.pipe()
        self._buffer = b""
        self.process = os.fork()
        if self.process == 0:
            os.close(self._reading)
            os.close(self._go)
            _Root.told, _Root.go, _Root.environment = told, go, dict(os.environ)
        else:
            os.close(told)
            os.close(go)

    def hear(self):
        """The next thing that it tells; `None` when it tells no more."""
        while b"\n" not in self._buffer:
            data = os.read(self._reading, 1 << 16)
            if not data:
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return json.loads(line)

    def begin(self, told):
        """Lets it go on from where its first look at the project would be; whether it is as a new one would be.

        `told` is what the last session has told of changes.
        """
        paused = self.hear()
        changed = told.get("changed", [])
        if paused is None or told.get("settings", True) or any(path in paused["paused"] or not path.endswith(".py") for path in changed):
            return False
        os.write(self._go, b"!")
        return True

    def wait(self):
        """Waits for its end; how it ended, as a shell says it."""
        _, status = os.waitpid(self.process, 0)
        os.close(self._reading)
        os.close(self._go)
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)

    def kill(self):
        """Ends it at once."""
        os.kill(self.process, signal.SIGKILL)
        self.wait()


def is_session():
    """Whether this process is a session of a root."""
    return _Root.told is not None


def serve(start):
    """The root: forks sessions, which call `start`, until the program wants no more; the exit code of this process.

    In a session and in a run, returns what `start` returns.
    """
    events, orders = int(os.environ[EVENTS]), int(os.environ[ORDERS])
    can_preload = os.environ.pop(WATCH) != "cold"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _Root.shelf = Shelf()
    for name in _LATE:
        importlib.import_module(name, __package__)
    session, told = None, {"settings": True}
    while True:
        if session is not None and not session.begin(told):
            session.kill()
            session = None
        if session is None:
            # What is here now no session needs to look through for garbage.
            gc.collect()
            gc.freeze()
            session = _Session()
            if session.process == 0:
                return start()
            session.begin({"settings": False})
        spare, told, is_alone = None, {}, True
        while True:
            message = session.hear()
            if message is None:
                break
            told.update(message)
            # While nobody waits, the next session is brought to where it needs the project.
            if "ran" in message and spare is None and can_preload and is_alone:
                is_alone = _preload(told.get("preload", ()), session)
                if is_alone:
                    gc.collect()
                    gc.freeze()
                    spare = _Session()
                    if spare.process == 0:
                        return start()
        code = session.wait()
        is_over = code == _QUIT and "preload" in told
        if not is_over and code != _RESTART:
            _send(events, {"event": "run-end", "code": code})
            # A session that could not be made waits for a change.
            is_over = "preload" not in told and not _has_order(orders)
        if is_over or code != _RESTART:
            told["settings"] = True
        if spare is not None and is_over:
            spare.kill()
        if is_over:
            return 0 if code == _QUIT else code
        session = spare
        if session is None and can_preload and not (is_alone and _preload(told.get("preload", ()))):
            os.environ[WATCH] = "cold"
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]] if hasattr(sys, "orig_argv") else [sys.executable, *sys.argv])


class Pause:
    """The plugin with which a session stops before its first look at the project, until it is wanted."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_load_initial_conftests(self, early_config):
        if _Root.go is None:  # a pytest that a test runs
            return
        _tell(paused=loaded_files(os.environ.get(PROJECT)))
        if not os.read(_Root.go, 1):
            os._exit(1)  # the root has gone
        os.close(_Root.go)
        _Root.go = None
        importlib.invalidate_caches()
        signal.signal(signal.SIGINT, signal.default_int_handler)


def loaded_files(project, files=()):
    """Files of the project that this process has loaded, and of these others, by their real paths."""
    files = set(files)
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str):
            files.add(path)
    project = os.path.join(os.path.realpath(project or "."), "")
    return sorted(path for path in map(os.path.realpath, files) if path.startswith(project))


def _tell(**message):
    """Tells the root, which listens."""
    data = memoryview((json.dumps(message) + "\n").encode())
    while data:
        data = data[os.write(_Root.told, data) :]


def _send(events, event):
    try:
        os.write(events, (json.dumps(event) + "\n").encode())
    except OSError:
        pass


def _has_order(orders):
    """Waits for an order, any; whether there was one before the program ended."""
    text = b""
    while True:
        data = os.read(orders, 1 << 16)
        if not data:
            return False
        text += data
        if text.endswith(b"\n"):
            order = json.loads(text.splitlines()[-1])
            _remove_compiled(order.get("changed", []))
            return order["order"] != "quit"


def _preload(names, session=None):
    """Imports modules of other packages; whether this process may still be forked then, beside a session that it has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            if name not in sys.modules:
                try:
                    importlib.import_module(name)
                except BaseException:
                    continue
    return _is_alone(session)


def _is_alone(session=None):
    """Whether this process has no other threads and no children but `session`, which a fork would lose or share."""
    try:
        if len(os.listdir("/proc/self/task")) > 1:
            return False
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return file.read().split() == ([] if session is None else [str(session.process)])
    except OSError:
        return False


class Watch:
    """The plugin of the session: waits where collection begins, and forks a run for each order."""

    def __init__(self, config, front_end, choosing):
        self.config, self.front_end, self.choosing = config, front_end, choosing
        self.orders = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session):
        keeps = self._may_keep()
        _tell(preload=self._others())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        loaded = self.config.pluginmanager.getplugin("naja-loaded")
        if loaded is not None:
            loaded.look_early()
        self._flush()
        # Not looked through for garbage first: somebody may be waiting.
        gc.freeze()
        while True:
            self.front_end.send("waiting", files=self._loaded_files(), keeps=keeps)
            order = self._next_order()
            if order["order"] == "run":
                process = os.fork() if keeps else 0
                if process == 0:
                    os.close(_Root.told)  # its end is the session's end
                    return self._run(session, order)
                _, status = os.waitpid(process, 0)
                code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
                self.front_end.send("run-end", code=code)
                _tell(ran=True)
            elif order["order"] in ("restart", "quit"):
                _remove_compiled(order.get("changed", []))
                _tell(changed=order.get("changed", []), settings=order.get("settings", True))
                self._flush()
                if not keeps:
                    self.config._ensure_unconfigure()
                    sys.stdout.flush()
                    sys.stderr.flush()
                os._exit(_RESTART if order["order"] == "restart" else _QUIT)

    def _next_order(self):
        while not self.orders:
            orders = self.front_end.read_orders()
            if orders is None:
                return {"order": "quit"}
            self.orders += orders
        return self.orders.pop(0)

    def _run(self, session, order):
        """Makes a run of this process; pytest goes on with collecting."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _remove_compiled(order["changed"])
        importlib.invalidate_caches()
        _Root.shelf.serve()
        self.choosing.take(order["left_out"], order.get("only"), order.get("rest"))
        if order.get("rest") is not None:
            self.config.pluginmanager.register(Unshown(self.config), "naja-unshown")
        controller = self.config.pluginmanager.getplugin("naja-controller")
        if controller is not None and not controller.settings.run_id:
            controller.run_id = uuid.uuid4().hex
        self._begin_anew()
        return None

    def _begin_anew(self):
        """pytest's own notes of when the session began and of what failed before it are those of this run."""
        terminal = self.config.pluginmanager.getplugin("terminalreporter")
        from _pytest import timing

        # 8.4 and later keep an instant, earlier versions a number.
        if hasattr(terminal, "_session_start"):
            terminal._session_start = timing.Instant()
        elif hasattr(terminal, "_sessionstarttime"):
            terminal._sessionstarttime = timing.time()
        last_failed = self.config.pluginmanager.getplugin("lfplugin")
        if last_failed is not None and hasattr(last_failed, "lastfailed"):
            last_failed.lastfailed = self.config.cache.get("cache/lastfailed", {})

    def _may_keep(self):
        """Whether several runs may begin from this session: what they would end, must not be shared by them."""
        project = os.path.join(os.path.realpath(self.front_end.project or "."), "")
        for plugin in self.config.pluginmanager.get_plugins():
            path = getattr(plugin, "__file__", None)
            if path and os.path.realpath(path).startswith(project):
                if hasattr(plugin, "pytest_unconfigure") or hasattr(plugin, "pytest_sessionfinish"):
                    return False
        return _is_alone()

    def _loaded_files(self):
        """Files that the session has loaded: when one changes, there must be another session."""
        return loaded_files(self.front_end.project, [str(self.config.inipath)] if self.config.inipath else [])

    def _others(self):
        """Modules that the session has loaded from outside the project, and that may be loaded before it begins."""
        if dict(os.environ) != {**_Root.environment, **{name: os.environ[name] for name in os.environ if name.startswith("PYTEST_")}}:
            environment = {name for name in os.environ if os.environ[name] != _Root.environment.get(name)}
            if any(not name.startswith(("PYTEST_", "NAJA_TEST_")) for name in environment):
                return []  # what was loaded may look at the variables that the project has set before
        manager = self.config.pluginmanager
        # pytest rewrites the assertions of plugins, which it must import itself for that.
        rewritten = set(getattr(getattr(manager, "rewrite_hook", None), "_must_rewrite", ()))
        rewritten.update(getattr(plugin, "__name__", "") for plugin in manager.get_plugins())
        tops = {name.split(".")[0] for name in rewritten} | {"naja_testing", "__main__"}
        paths = sysconfig.get_paths()
        places = tuple({os.path.join(paths[name], "") for name in ("stdlib", "platstdlib", "purelib", "platlib")})
        project = os.path.join(os.path.realpath(self.front_end.project or "."), "")
        found = []
        for name, module in list(sys.modules.items()):
            path = getattr(module, "__file__", None)
            if not isinstance(path, str) or not path.startswith(places) or name.split(".")[0] in tops:
                continue
            if not path.startswith(project) or f"{os.sep}site-packages{os.sep}" in path:
                found.append(name)
        return found

    def _flush(self):
        controller = self.config.pluginmanager.getplugin("naja-controller")
        if controller is not None:
            controller._flush()
        sys.stdout.flush()
        sys.stderr.flush()


def _remove_compiled(paths):
    """Removes what Python keeps of files: it compares seconds and sizes, so that two saves within one second may be one to it."""
    for path in paths:
        folder, name = os.path.split(path)
        for compiled in glob.glob(os.path.join(glob.escape(folder), "__pycache__", glob.escape(name[:-3]) + ".*.pyc")):
            try:
                os.unlink(compiled)
            except OSError:
                pass


class Unshown:
    """The plugin of a run that shows nothing where no tests are collected, and ends then."""

    def __init__(self, config):
        self.terminal = config.pluginmanager.getplugin("terminalreporter")
        if self.terminal is not None:
            self.writer = self.terminal._tw
            self.terminal._tw = silent_writer(self.writer)

    # What the run has loaded is told before.
    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session):
        if not session.items and not session.testsfailed:
            end(int(pytest.ExitCode.NO_TESTS_COLLECTED))
        if self.terminal is not None:
            self.terminal._tw = self.writer


def end(code):
    """Ends a run or a session at once: what it has loaded is not taken apart object by object."""
    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)
