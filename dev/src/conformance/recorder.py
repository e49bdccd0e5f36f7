"""A pytest plugin of `cargo dev conformance`: writes what became of each test, and can choose a slice of them."""

import hashlib
import json

SEED = b"naja conformance 1\0"


def pytest_addoption(parser):
    parser.addoption("--naja-record", help="the file that gets one line of JSON a test")
    parser.addoption("--naja-share", type=float, default=1.0, help="the share of the tests that are run")


def pytest_configure(config):
    if config.getoption("--naja-record"):
        config.pluginmanager.register(Recorder(config.getoption("--naja-record")))


def pytest_collection_modifyitems(config, items):
    share = config.getoption("--naja-share")
    if share >= 1.0:
        return
    # By name alone, so that both sides and every machine choose the same tests.
    chosen, others = [], []
    for item in items:
        number = int.from_bytes(hashlib.sha256(SEED + item.nodeid.encode()).digest()[:8], "big")
        (chosen if number < share * 2**64 else others).append(item)
    config.hook.pytest_deselected(items=others)
    items[:] = chosen


class Recorder:
    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8")
        self.outcome = {}

    def pytest_collectreport(self, report):
        if report.failed:
            self.write(report.nodeid, "error", report)

    def pytest_runtest_logreport(self, report):
        known = self.outcome.get(report.nodeid)
        outcome = report.outcome
        if hasattr(report, "wasxfail") and outcome in ("skipped", "passed"):
            outcome = "xfailed" if outcome == "skipped" else "xpassed"
        if report.failed:
            self.write(report.nodeid, "failed", report)
            self.outcome[report.nodeid] = "written"
        elif known != "written" and (report.when == "call" or outcome != "passed"):
            self.outcome[report.nodeid] = outcome
        if report.when == "teardown":
            known = self.outcome.pop(report.nodeid, None)
            if known is not None and known != "written":
                self.write(report.nodeid, known)

    def write(self, test, outcome, report=None):
        line = {"test": test, "outcome": outcome}
        if report is not None:
            crash = getattr(report.longrepr, "reprcrash", None)
            # Of a traceback, its end says what happened.
            line["message"] = crash.message.strip()[:400] if crash else str(report.longrepr).strip()[-400:]
        json.dump(line, self.file)
        self.file.write("\n")
        # A test that takes the whole process down leaves what was found out before it.
        self.file.flush()
