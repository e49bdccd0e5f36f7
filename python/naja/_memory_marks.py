"""Limits on the memory of tests: the marks and options that pytest-memray's users know, over `naja.memray`.

    @pytest.mark.limit_memory("24 MB")
    @pytest.mark.limit_leaks("1 MB")

A test with a mark is recorded, and with `--memray` each test; where neither is, nothing is. The mark's answer is
worked out in the process that ran the test and travels in its report, so that it is the same under `-n`.
"""

import functools
import inspect
import os
import re
import tempfile
import uuid
from pathlib import Path

import pytest

MARKS = ("limit_memory", "limit_leaks")
_UNITS = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40, "PB": 1 << 50}
_SHOWN = 10
_LEAK_FRAMES = 5
_BIGGEST = 5
# What a file's name may have in bytes, less what is behind it.
_NAME_BYTES = 200
_TRUTHS = {
    "memray": "Record the memory of every test",
    "hide_memray_summary": "Say nothing of memory at the end of the run",
    "native": "Show calls of C, C++ and Rust too (slower)",
    "trace_python_allocators": "Record each of Python's objects (slower)",
    "fail_on_increase": "Fail a test with limit_memory that uses more than at its last good run",
}


def _positive(text):
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def pytest_addoption(parser):
    group = parser.getgroup("memray", "memory of tests (naja.memray)")
    for name, text in _TRUTHS.items():
        group.addoption(f"--{name.replace('_', '-')}", action="store_true", default=False, dest=f"memray_{name}", help=text)
        parser.addini(name, text, type="bool")
    group.addoption("--memray-bin-path", metavar="DIR", help="Keep the recordings of tests in this folder.")
    group.addoption("--memray-bin-prefix", metavar="TEXT", help="What the names of kept recordings begin with.")
    group.addoption("--most-allocations", type=int, metavar="N", help="Tests in the summary; 0 for all, 5 without this.")
    group.addoption("--stacks", type=_positive, metavar="N", help="Calls that are shown of each stack.")
    parser.addini("most_allocations", "Tests in the summary; 0 for all")
    parser.addini("stacks", "Calls that are shown of each stack")


def pytest_configure(config):
    for line in (
        'limit_memory(limit, current_thread_only=False): the test fails where it has more memory than that at once, as "24 MB".',
        "limit_leaks(limit, filter_fn=None, current_thread_only=False): the test fails where one stack leaves more than that.",
    ):
        config.addinivalue_line("markers", line)
    config.pluginmanager.register(Memory(config), "naja-memory")


def bytes_of(text):
    """`"24 MB"` in bytes: units are 1,024 of the smaller one."""
    found = re.match(r"\s*(\+?\d*\.\d+|\+?\d+)\s*([KMGTP]?B)", text, re.IGNORECASE)
    if found is None:
        raise ValueError(f"Invalid memory size format: {text}")
    return float(found[1]) * _UNITS[found[2].upper()]


def in_words(count):
    for unit in ("", "Ki", "Mi", "Gi", "Ti", "Pi"):
        if abs(count) < 1024:
            return f"{count:3.1f}{unit}B"
        count /= 1024
    return f"{count:.1f}EiB"


class Memory:
    """Records tests, asks their marks, and tells at the end which had most."""

    def __init__(self, config):
        self.config = config
        self.folder = None
        # Of tests that ran here, until their report is made.
        self.recordings = {}
        # Of all tests, out of their reports.
        self.told = {}

    def is_on(self, name):
        return bool(self.config.getoption(f"memray_{name}") or self.config.getini(name))

    def number(self, name, default):
        value = self.config.getoption(name)
        value = self.config.getini(name) if value is None else value
        return default if value in (None, "") else int(value)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem):
        marks = [mark for mark in pyfuncitem.iter_markers() if mark.name in MARKS]
        if not marks and not self.is_on("memray"):
            yield
            return
        if len({mark.name for mark in marks}) > 1:
            raise ValueError("Only one Memray marker can be applied to each test")
        function = pyfuncitem.obj
        leaks = any(mark.name == "limit_leaks" for mark in marks)
        pyfuncitem.obj = self._recorded(pyfuncitem, function, leaks)
        try:
            yield
        finally:
            # Plugins that run a test again take what is here.
            pyfuncitem.obj = function

    def _recorded(self, item, function, leaks):
        from naja.memray import FileDestination, FileFormat, Tracker

        def tracker():
            path = self._path(item.nodeid)
            self.recordings[item.nodeid] = path
            return Tracker(
                destination=FileDestination(path, overwrite=True),
                native_traces=leaks or self.is_on("native"),
                trace_python_allocators=leaks or self.is_on("trace_python_allocators"),
                file_format=FileFormat.AGGREGATED_ALLOCATIONS,
            )

        @functools.wraps(function)
        def call(*args, **kwargs):
            with tracker():
                return function(*args, **kwargs)

        @functools.wraps(function)
        async def call_later(*args, **kwargs):
            with tracker():
                return await function(*args, **kwargs)

        return call_later if inspect.iscoroutinefunction(function) else call

    def _path(self, nodeid):
        kept = self.config.getoption("memray_bin_path")
        if kept is not None:
            Path(kept).mkdir(parents=True, exist_ok=True)
            prefix = self.config.getoption("memray_bin_prefix") or "memray"
            name = f"{prefix}-{nodeid}".replace("::", "-").replace(os.sep, "-")
            if len(name.encode()) > _NAME_BYTES:
                short = name.encode()[:_NAME_BYTES].decode(errors="ignore")
                name = f"{short}-{uuid.uuid5(uuid.NAMESPACE_URL, nodeid).hex}"
            return str(Path(kept, name + ".bin"))
        if self.folder is None or self.folder[0] != os.getpid():
            # A forked worker has its own, so that none takes away another's.
            self.folder = (os.getpid(), tempfile.TemporaryDirectory(prefix="naja-"))
        return os.path.join(self.folder[1].name, uuid.uuid4().hex + ".bin")

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item, call):
        outcome = yield
        if call.when != "call":
            return
        path = self.recordings.pop(item.nodeid, None)
        report = outcome.get_result()
        if path is None or not os.path.exists(path):
            return
        from naja.memray import FileReader

        reader = FileReader(path)
        if report.passed:
            for mark in item.iter_markers():
                if mark.name in MARKS:
                    problem = getattr(self, "_" + mark.name)(reader, item, *mark.args, **mark.kwargs)
                    if problem is not None:
                        report.outcome = "failed"
                        report.longrepr, section = problem
                        report.sections.append(section)
        if self.is_on("memray"):
            report.naja_memory = self._summary(reader)
        if self.config.getoption("memray_bin_path") is None:
            os.unlink(path)

    def _records(self, records, reader, current_thread_only):
        return [
            one for one in records if not current_thread_only or one.tid == reader.metadata.main_thread_id
        ]

    def _limit_memory(self, reader, item, limit, *, current_thread_only=False):
        records = reader.get_high_watermark_allocation_records(merge_threads=not current_thread_only)
        records = self._records(records, reader, current_thread_only)
        most, limit = sum(one.size for one in records), bytes_of(limit)
        increase = self._increase(item, most)
        if increase is not None:
            return increase
        if most < limit:
            return None
        records.sort(key=lambda one: one.size, reverse=True)
        lines = self._lines(records[:_SHOWN], self.number("stacks", 1))
        if len(records) > _SHOWN:
            lines.append(f"    ...and {len(records) - _SHOWN} more")
        title = f"Test was limited to {in_words(limit)} but allocated {in_words(most)}"
        return title, ("memray-max-memory", "\n".join(["List of allocations:", *lines]))

    def _increase(self, item, most):
        cache = getattr(self.config, "cache", None)
        if cache is None:
            return None
        key = f"memray/{item.nodeid}"
        before = cache.get(key, {}).get("total_allocated_memory")
        if self.is_on("fail_on_increase") and before is not None and most > before:
            title = f"Test previously used {in_words(before)} but now uses {in_words(most)}"
            return title, ("memray-max-memory", "Test uses more memory than previous run")
        cache.set(key, {"total_allocated_memory": most})
        return None

    def _limit_leaks(self, reader, item, limit, *, filter_fn=None, current_thread_only=False):
        records = reader.get_leaked_allocation_records(merge_threads=not current_thread_only)
        records = self._records(records, reader, current_thread_only)
        limit = bytes_of(limit)
        found = [one for one in records if one.size >= limit and (filter_fn is None or filter_fn(_stack(one)))]
        if not found:
            return None
        lines = self._lines(found, max(self.number("stacks", 1), _LEAK_FRAMES))
        title = f"Test was allowed to leak {in_words(limit)} per location but at least one location leaked more"
        return title, ("memray-leaked-memory", "\n".join(["List of leaked allocations:", *lines]))

    def _lines(self, records, frames):
        lines = []
        for record in records:
            calls = record.hybrid_stack_trace()
            if not calls:
                continue
            lines.append(f"    - {in_words(record.size)} allocated here:")
            lines += [f"        {function}:{file}:{line}" for function, file, line in calls[:frames]]
            if len(calls) > frames:
                lines.append("        ...")
        return lines

    def _summary(self, reader):
        """Plain data: it may have to travel from a worker."""
        records = sorted(reader.get_high_watermark_allocation_records(), key=lambda one: one.size, reverse=True)
        biggest = []
        for record in records:
            calls = record.stack_trace()
            if calls and len(biggest) < _BIGGEST:
                function, file, line = calls[0]
                biggest.append(f"{function}:{file}:{line} -> {in_words(record.size)}")
        return {
            "peak": reader.metadata.peak_memory,
            "blocks": sum(one.n_allocations for one in records),
            "biggest": biggest,
        }

    def pytest_runtest_logreport(self, report):
        told = getattr(report, "naja_memory", None)
        if told is not None:
            self.told[report.nodeid] = told

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_report_teststatus(self, report):
        outcome = yield
        if report.when == "call" and report.failed and any(name.startswith("memray-") for name, _ in report.sections):
            outcome.force_result(("failed", "M", "MEMORY PROBLEMS"))

    def pytest_terminal_summary(self, terminalreporter):
        if not self.told or self.is_on("hide_memray_summary"):
            return
        terminalreporter.write_line("")
        terminalreporter.write_sep("=", "MEMRAY REPORT")
        tests = sorted(self.told.items(), key=lambda one: one[1]["peak"], reverse=True)
        shown = self.number("most_allocations", 5) or len(tests)
        for nodeid, told in tests[:shown]:
            terminalreporter.write_line(f"Allocation results for {nodeid} at the high watermark")
            terminalreporter.write_line(f"\t Total memory allocated: {in_words(told['peak'])} in {told['blocks']:,} blocks")
            terminalreporter.write_line("\t Biggest allocating functions:")
            for line in told["biggest"]:
                terminalreporter.write_line(f"\t\t- {line}")
            terminalreporter.write_line("")
        kept = self.config.getoption("memray_bin_path")
        if kept is not None:
            terminalreporter.write_line(f"The recordings are in {kept}; `naja memory tree FILE` shows who called")


class StackFrame:
    """A call of a stack that a filter is asked about."""

    def __init__(self, function, filename, lineno):
        self.function, self.filename, self.lineno = function, filename, lineno

    def __repr__(self):
        return f"StackFrame(function={self.function!r}, filename={self.filename!r}, lineno={self.lineno!r})"


class Stack:
    """The calls that led to what is left, the innermost first."""

    def __init__(self, frames):
        self.frames = frames


def _stack(record):
    return Stack(tuple(StackFrame(*call) for call in record.hybrid_stack_trace()))
