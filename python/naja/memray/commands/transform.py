"""Other programs' formats of a recording."""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from .. import AllocationRecord, AllocatorType, FileReader
from .._errors import MemrayCommandError
from .._version import __version__
from .common import HighWatermarkCommand

_Call = tuple[str, str, int]


class _Numbered:
    """Things under numbers from 0 on, in the order in which they came."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}

    def number(self, one: Any) -> int:
        return self.numbers.setdefault(one, len(self.numbers))


class TransformCommand(HighWatermarkCommand):
    """Generate reports files in different formats"""

    SUFFIXES = {"gprof2dot": ".json", "csv": ".csv", "speedscope": ".speedscope.json"}

    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("format", help=f"Format to use for the report: {', '.join(self.SUFFIXES)}")
        super().prepare_parser(parser)

    def run(self, args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
        self.reporter_name = args.format.lower()
        suffix = self.SUFFIXES.get(self.reporter_name)
        if suffix is None:
            raise MemrayCommandError(f"Format not supported: {args.format}", exit_code=1)
        self.suffix = suffix
        super().run(args, parser)
        if self.reporter_name == "gprof2dot":
            print("To generate a graph from the transform file, run for example:")
            print(f"gprof2dot -f json {self.output_file} | dot -Tpng -o output.png")

    def write(self, args: argparse.Namespace, result_path: Path, output_file: Path) -> None:
        try:
            reader = FileReader(result_path)
            if args.show_memory_leaks:
                records = reader.get_leaked_allocation_records()
            elif args.temporary_allocation_threshold >= 0:
                threshold = args.temporary_allocation_threshold
                records = reader.get_temporary_allocation_records(threshold=threshold)
            else:
                records = reader.get_high_watermark_allocation_records()
            metadata = reader.metadata
        except OSError as error:
            reason = f"Failed to parse allocation records in {result_path}\nReason: {error}"
            raise MemrayCommandError(reason, exit_code=1) from None
        write = {"gprof2dot": _gprof2dot, "csv": _csv, "speedscope": _speedscope}[self.reporter_name]
        with open(output_file, "w", newline="") as file:
            write(file, records, metadata.command_line)


def _gprof2dot(file: TextIO, records: Iterable[AllocationRecord], command: str) -> None:
    functions = _Numbered()
    events = []
    for record in records:
        chain = [functions.number((name, module)) for name, module, _ in record.hybrid_stack_trace()]
        if chain:
            events.append({"callchain": chain, "cost": [record.size]})
    named = [{"name": name, "module": module} for name, module in functions.numbers]
    costs = [{"description": "Memory", "unit": "bytes"}]
    json.dump({"version": 0, "costs": costs, "events": events, "functions": named}, file)


def _csv(file: TextIO, records: Iterable[AllocationRecord], command: str) -> None:
    rows = csv.writer(file)
    rows.writerow(["allocator", "num_allocations", "size", "tid", "thread_name", "stack_trace"])
    for record in records:
        stack = "|".join(f"{name};{module};{line}" for name, module, line in record.hybrid_stack_trace())
        name = AllocatorType(record.allocator).name
        rows.writerow([name, record.n_allocations, record.size, record.tid, record.thread_name, stack])


def _speedscope(file: TextIO, records: Iterable[AllocationRecord], command: str) -> None:
    frames = _Numbered()
    weights: dict[tuple[int, ...], list[int]] = {}
    for record in records:
        stack = tuple(frames.number(call) for call in reversed(record.hybrid_stack_trace()))
        if stack:
            entry = weights.setdefault(stack, [0, 0])
            entry[0] += record.size
            entry[1] += record.n_allocations

    def profile(name: str, unit: str, which: int) -> dict[str, Any]:
        shown = {stack: entry[which] for stack, entry in weights.items() if entry[which]}
        return {
            "type": "sampled",
            "name": name,
            "unit": unit,
            "startValue": 0,
            "endValue": sum(shown.values()),
            "samples": [list(stack) for stack in shown],
            "weights": list(shown.values()),
        }

    result = {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "shared": {"frames": [_frame(call) for call in frames.numbers]},
        "profiles": [profile("Memory", "bytes", 0), profile("Allocations", "none", 1)],
        "name": command,
        "activeProfileIndex": 0,
        "exporter": f"naja.memray@{__version__}",
    }
    json.dump(result, file)


def _frame(call: _Call) -> dict[str, Any]:
    name, module, line = call
    frame: dict[str, Any] = {"name": name}
    if module:
        frame["file"] = module
    if line > 0:
        frame["line"] = line
    return frame
