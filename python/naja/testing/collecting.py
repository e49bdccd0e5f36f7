"""Tells `naja test` which file pytest collects, so that one that hangs or ends the process can be named."""

import pytest


class Collecting:
    """The pytest plugin for it."""

    def __init__(self, front_end):
        self._front_end = front_end

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectstart(self, collector):
        # Classes belong to a file that is told already.
        if not isinstance(collector, pytest.Class):
            self._front_end.send("collecting", file=collector.nodeid or ".")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self):
        self._front_end.send("collecting", file=None)
