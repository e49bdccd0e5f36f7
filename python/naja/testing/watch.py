"""Keeps pytest warm between the runs of `naja test --watch`, without ever running old code.

Three processes, each forked from the one before: the *root* has imported pytest, and what of other packages the last
session needed; the *session* has configured pytest, read the conftest files and waits where collection would begin; a
*run* goes on from there, collects what is to run, runs it and ends. No module is ever loaded a second time: what a run
has imported ends with it, and when a file changes that the session has loaded, the session ends too, and the root forks
another. Start at `serve`; `Watch` is the session's part.
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

from .front_end import EVENTS, ORDERS

WATCH = "NAJA_TEST_WATCH"
# How a session ends that is to be forked anew, or that was the last one.
_RESTART, _QUIT = 75, 76
# What a session may tell the root, in bytes: it must fit into a pipe that nobody reads yet.
_MOST_TOLD = 60_000


class _Root:
    """What a session knows of the root."""

    told = None  # the pipe to it
    environment = None


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
    while True:
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reading)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            _Root.told, _Root.environment = writing, dict(os.environ)
            return start()
        os.close(writing)
        _, status = os.waitpid(process, 0)
        told = json.loads(os.read(reading, 1 << 16) or b"{}")
        os.close(reading)
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        if code == _QUIT and told:
            return 0
        if code != _RESTART:
            _send(events, {"event": "run-end", "code": code})
            # A session that could not be made waits for a change.
            if not told and not _has_order(orders):
                return code
        if can_preload and not _preload(told.get("preload", ())):
            os.environ[WATCH] = "cold"
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]] if hasattr(sys, "orig_argv") else [sys.executable, *sys.argv])


def _send(events, event):
    try:
        os.write(events, (json.dumps(event) + "\n").encode())
    except OSError:
        pass


def _has_order(orders):
    """Waits for an order, any; whether there was one before the program ended."""
    while True:
        data = os.read(orders, 1 << 16)
        if not data:
            return False
        if data.endswith(b"\n"):
            return b'"quit"' not in data


def _preload(names):
    """Imports modules of other packages; whether this process may still be forked then."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            if name not in sys.modules:
                try:
                    importlib.import_module(name)
                except BaseException:
                    continue
    return _is_alone()


def _is_alone():
    """Whether this process has no other threads and no children, which a fork would lose or share."""
    try:
        if len(os.listdir("/proc/self/task")) > 1:
            return False
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return not file.read().strip()
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
        told = json.dumps({"preload": self._others()}).encode()
        os.write(_Root.told, told if len(told) < _MOST_TOLD else b'{"preload": []}')
        os.close(_Root.told)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._flush()
        gc.collect()
        gc.freeze()
        while True:
            self.front_end.send("waiting", files=self._loaded_files())
            order = self._next_order()
            if order["order"] == "run":
                if not keeps:
                    return self._run(session, order)
                process = os.fork()
                if process == 0:
                    return self._run(session, order)
                _, status = os.waitpid(process, 0)
                code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
                self.front_end.send("run-end", code=code)
            elif order["order"] in ("restart", "quit"):
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
        for path in order["changed"]:
            # Python compares seconds and sizes: two saves within one second may look the same to it.
            folder, name = os.path.split(path)
            for compiled in glob.glob(os.path.join(glob.escape(folder), "__pycache__", glob.escape(name[:-3]) + ".*.pyc")):
                try:
                    os.unlink(compiled)
                except OSError:
                    pass
        importlib.invalidate_caches()
        self.choosing.take(order["left_out"], order.get("only"))
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
        """Files that the session has loaded, by their real paths: when one changes, there must be another session."""
        files = {str(self.config.inipath)} if self.config.inipath else set()
        for module in list(sys.modules.values()):
            path = getattr(module, "__file__", None)
            if isinstance(path, str):
                files.add(path)
        project = os.path.join(os.path.realpath(self.front_end.project or "."), "")
        return sorted(path for path in map(os.path.realpath, files) if path.startswith(project))

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


def end(code):
    """Ends a run or a session at once: what it has loaded is not taken apart object by object."""
    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)
