"""The program `naja`, asked for a report; and which memory one is about."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from naja import _program

from .._errors import MemrayCommandError
from .._reader import check


def add_temporary_options(group: argparse._MutuallyExclusiveGroup) -> None:
    group.add_argument(
        "--temporary-allocation-threshold",
        metavar="N",
        type=int,
        default=-1,
        dest="temporary_allocation_threshold",
        help="Report memory that was taken back before more than N others were given",
    )
    group.add_argument(
        "--temporary-allocations",
        action="store_const",
        const=1,
        dest="temporary_allocation_threshold",
        help="Equivalent to --temporary-allocation-threshold=1",
    )


def shown(leaks: bool, threshold: int) -> list[str]:
    """The options of `naja memory` that say which memory is shown."""
    if leaks:
        return ["--leaks"]
    if threshold >= 0:
        # memray counts the others that may come between; naja the first that may not.
        return ["--temporary", "--temporary-within", str(threshold + 1)]
    return []


def existing(results: str) -> Path:
    path = Path(results)
    if not path.is_file():
        raise MemrayCommandError(f"No such file: {results}", exit_code=1)
    return path


def recording(results: str) -> Path:
    """The same, of a file that is a recording."""
    path = existing(results)
    try:
        check(path)
    except OSError as error:
        reason = f"Failed to parse allocation records in {path}\nReason: {error}"
        raise MemrayCommandError(reason, exit_code=1) from None
    return path


def run(words: list[str | os.PathLike[str]], *, is_quiet: bool = False) -> None:
    """Runs `naja memory …`. Its own words stand on standard error where it fails."""
    sys.stdout.flush()
    command = [_program.find(), "memory", *map(os.fspath, words)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL if is_quiet else None)
    if done.returncode:
        raise MemrayCommandError(f"`naja memory {words[0]}` could not do it", exit_code=1)
