"""Figures of a recording, as text or JSON."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from .._errors import MemrayCommandError
from .._reader import compute_statistics, size_fmt
from .._stats import Stats
from . import _naja

_BINS = 10
_BAR_COLUMNS = 25


class StatsCommand:
    """Generate high level stats of the memory usage in the terminal"""

    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("results", help="Results of the tracker run")
        parser.add_argument("-o", "--output", default=None, help="Output file name of --json")
        parser.add_argument("--json", action="store_true", default=False, help="Write a JSON file")
        parser.add_argument(
            "-n", "--num-largest", type=_positive, default=5, help="Number of top allocators to show (default: 5)"
        )
        parser.add_argument(
            "-f", "--force", action="store_true", default=False, help="If the output file exists, overwrite it"
        )

    def run(self, args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
        path = _naja.existing(args.results)
        output = _output(path, args.output) if args.json else None
        if output is not None and output.exists() and not args.force:
            raise MemrayCommandError(
                f"File already exists, will not overwrite without --force: {output}", exit_code=1
            )
        try:
            stats = compute_statistics(path, num_largest=args.num_largest)
        except (OSError, NotImplementedError) as error:
            reason = f"Failed to compute statistics for {path}\nReason: {error}"
            raise MemrayCommandError(reason, exit_code=1) from None
        if output is None:
            print(as_text(stats, args.num_largest))
        else:
            output.write_text(json.dumps(as_data(stats), indent=2))
            print(f"Wrote {output}")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def _output(path: Path, output: str | None) -> Path:
    if output is not None:
        return Path(output)
    return path.with_name(f"memray-stats-{path.name.removeprefix('memray-')}.json")


def histogram(counts: dict[int, int]) -> list[dict[str, int]]:
    """How many blocks there are of sizes in bins that are equally wide on a scale of logarithms."""
    sizes = [size for size in counts if size > 0]
    if not sizes:
        return []
    low, high = math.log(min(sizes)), math.log(max(sizes))
    step = (high - low) / _BINS or 1.0
    ends = [int(math.exp(low + step * (one + 1))) for one in range(_BINS - 1)] + [max(sizes)]
    found = [0] * _BINS
    for size, count in counts.items():
        place = int((math.log(size) - low) / step) if size else 0
        found[min(place, _BINS - 1)] += count
    starts = [0, *ends[:-1]]
    return [
        {"min_bytes": start, "max_bytes": end if number == _BINS - 1 else end - 1, "count": count}
        for number, (start, end, count) in enumerate(zip(starts, ends, found))
    ]


def _place(call: tuple[str, str, int]) -> str:
    return "<stack trace unavailable>" if call[0] == "<unknown>" else ":".join(map(str, call))


def _by_count(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda one: one[1], reverse=True))


def as_text(stats: Stats, num_largest: int) -> str:
    bins = histogram(stats.allocation_count_by_size)
    most = max((one["count"] for one in bins), default=0)
    bars = [
        f"\t{size_fmt(one['min_bytes']):>9} to {size_fmt(one['max_bytes']):>9}: {one['count']:>9} "
        + "▇" * math.ceil(one["count"] / most * _BAR_COLUMNS)
        for one in bins
    ]
    parts = {
        "Total allocations:": [f"\t{stats.total_num_allocations}"],
        "Total memory allocated:": [f"\t{size_fmt(stats.total_memory_allocated)}"],
        "Peak memory usage:": [f"\t{size_fmt(stats.peak_memory_allocated)}"],
        "Histogram of allocation size:": bars,
        "Allocator type distribution:": [
            f"\t{name}: {count}" for name, count in _by_count(stats.allocation_count_by_allocator).items()
        ],
        f"Top {num_largest} largest allocating locations (by size):": [
            f"\t- {_place(call)} -> {size_fmt(size)}" for call, size in stats.top_locations_by_size
        ],
        f"Top {num_largest} largest allocating locations (by number of allocations):": [
            f"\t- {_place(call)} -> {count}" for call, count in stats.top_locations_by_count
        ],
        f"Top {num_largest} allocating modules (by size):": _modules(stats.top_modules_by_allocation_size),
        f"Top {num_largest} allocating modules (by number of allocations):": _modules(
            stats.top_modules_by_allocation_count
        ),
    }
    return "\n\n".join("\n".join([title, *lines]) for title, lines in parts.items())


def _modules(modules: list[tuple[str, int, int]]) -> list[str]:
    return [f"\t- {name}: {size_fmt(size)} total | {count} allocations" for name, count, size in modules]


def as_data(stats: Stats) -> dict[str, Any]:
    metadata = asdict(stats.metadata)
    metadata = {name: str(one) if isinstance(one, datetime) else one for name, one in metadata.items()}

    def modules(found: list[tuple[str, int, int]]) -> list[dict[str, Any]]:
        return [{"module": name, "num_allocations": count, "total_bytes": size} for name, count, size in found]

    return {
        "total_num_allocations": stats.total_num_allocations,
        "total_bytes_allocated": stats.total_memory_allocated,
        "allocation_size_histogram": histogram(stats.allocation_count_by_size),
        "allocator_type_distribution": _by_count(stats.allocation_count_by_allocator),
        "top_allocations_by_size": [
            {"location": _place(call), "size": size} for call, size in stats.top_locations_by_size
        ],
        "top_allocations_by_count": [
            {"location": _place(call), "count": count} for call, count in stats.top_locations_by_count
        ],
        "top_modules_by_allocation_size": modules(stats.top_modules_by_allocation_size),
        "top_modules_by_allocation_count": modules(stats.top_modules_by_allocation_count),
        "metadata": metadata,
    }
