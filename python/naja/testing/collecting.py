"""Tells `naja test` which file pytest collects, so that one that hangs or ends the process can be named."""

import os

import pytest

# pytest 7 has none.
_FOLDER = getattr(pytest, "Dir", ())


class Collecting:
    """The pytest plugin for it."""

    def __init__(self, front_end):
        self._front_end = front_end

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectstart(self, collector):
        # Classes belong to a file that is told already, and a folder runs code of its conftest at the most.
        is_folder = isinstance(collector, _FOLDER) and not os.path.exists(os.path.join(str(collector.path), "conftest.py"))
        if not isinstance(collector, pytest.Class) and not is_folder:
            self._front_end.send("collecting", file=collector.nodeid or ".")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self):
        self._front_end.send("collecting", file=None)
