"""Leaves out the test files that the program `naja test` has found unaffected, and keeps all that it does not know."""

import json
import os

import pytest

CHOICE = "NAJA_TEST_CHOICE"
# pytest builds its tree of them.
_OF_FOLDERS = ("__init__.py", "conftest.py")


class Choosing:
    """The plugin that keeps pytest from importing some files, and from running all but some tests."""

    def __init__(self):
        self.left_out, self.only, self.rest = frozenset(), None, None

    def take(self, left_out, only=None, rest=None):
        """`left_out` are real paths of files; `only` are the node ids to run, `None` for all others; `rest` are the
        real paths of the only files to collect, `None` for all."""
        self.left_out, self.only = frozenset(left_out), None if only is None else frozenset(only)
        self.rest = None if rest is None else frozenset(rest)

    @pytest.hookimpl(tryfirst=True)
    def pytest_ignore_collect(self, collection_path):
        if self.left_out and collection_path.suffix == ".py" and os.path.realpath(collection_path) in self.left_out:
            return True
        if self.rest is not None and collection_path.name not in _OF_FOLDERS and collection_path.is_file():
            return True if os.path.realpath(collection_path) not in self.rest else None
        return None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config, items):
        if not self.left_out and self.only is None and self.rest is None:
            return
        # Files that the command line names are collected whether they are left out or not.
        kept = [item for item in items if self._is_kept(item)]
        if len(kept) < len(items):
            chosen = set(map(id, kept))
            config.hook.pytest_deselected(items=[item for item in items if id(item) not in chosen])
            items[:] = kept

    def _is_kept(self, item):
        path = os.path.realpath(item.path)
        if path in self.left_out or (self.rest is not None and path not in self.rest):
            return False
        return self.only is None or item.nodeid in self.only


def from_program():
    """The plugin as the program wants it, by a file that it has opened; `None` where it chooses nothing."""
    text = os.environ.pop(CHOICE, None)
    if text is None:
        return None
    with open(int(text), "rb") as file:
        order = json.loads(file.read())
    choosing = Choosing()
    choosing.take(order["left_out"], order.get("only"))
    return choosing
