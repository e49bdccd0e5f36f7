"""Tells which files of the project each test file loads: what `--affected` knows beside the text of the imports.

A module is loaded once in a process, so that it is told for the first test file that needs it; who else does is found
in the text. Runs in the process that collects and in the workers forked from it. Start at `LoadedModules`.
"""

import os
import sys

import pytest


class LoadedModules:
    """The plugin that looks at `sys.modules` whenever a test file has been imported, and whenever a test is over."""

    def __init__(self, folder, front_end):
        self._folder = os.path.join(os.path.realpath(folder), "")
        self._front_end = front_end
        self._known = set()
        self._folders, self._paths = {}, {}  # real paths of folders and of files, which are asked for once
        self._by_file = {}
        self._count = 0

    @pytest.hookimpl(hookwrapper=True)
    def pytest_make_collect_report(self, collector):
        is_file = isinstance(collector, pytest.Module)
        if is_file:
            self._take("")
        yield
        if is_file:
            self._take(str(collector.path))

    @pytest.hookimpl
    def pytest_collection_finish(self, session):
        for file, modules in self._by_file.items():
            self._front_end.send("loaded", file=file, modules=modules)
        self._by_file = {}
        self._front_end.send("roots", folders=sorted(self._roots()))

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item):
        yield
        if len(sys.modules) == self._count:
            return
        new = self._new()
        worker = item.config.pluginmanager.getplugin("naja-worker")
        if new and worker is not None:
            worker.channel.send("loaded", str(item.path), new)

    def look_early(self):
        """Takes in what is loaded before anything is collected."""
        self._take("")

    def _take(self, file):
        new = self._new()
        if new or file:
            self._by_file.setdefault(file, []).extend(new)

    def _new(self):
        """The files of the project that have been loaded since the last call."""
        self._count = len(sys.modules)
        found = []
        for name, module in list(sys.modules.items()):
            if name in self._known:
                continue
            self._known.add(name)
            path = self._path(module)
            if path is not None:
                found.append(path)
        return found

    def _path(self, module):
        path = getattr(module, "__file__", None)
        if not isinstance(path, str) or not path.endswith(".py"):
            return None
        if path not in self._paths:
            self._paths[path] = self._real_path(path)
        return self._paths[path]

    def _real_path(self, path):
        """Where a file lies in the project, or `None`."""
        folder, name = os.path.split(path)
        if folder not in self._folders:
            self._folders[folder] = os.path.join(os.path.realpath(folder), "")
        path = self._folders[folder] + name
        if os.path.islink(path):
            path = os.path.realpath(path)
        return path if path.startswith(self._folder) and f"{os.sep}site-packages{os.sep}" not in path else None

    def _roots(self):
        """The folders of the project from which its modules were imported."""
        roots = set()
        for name, module in list(sys.modules.items()):
            path = self._path(module)
            if path is None:
                continue
            parts = path[: -len(".py")].split(os.sep)
            if parts[-1] == "__init__":
                parts.pop()
            names = name.split(".")
            if parts[-len(names) :] == names:
                roots.add(os.sep.join(parts[: -len(names)]))
        return roots
