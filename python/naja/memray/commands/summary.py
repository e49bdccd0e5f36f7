from __future__ import annotations

import argparse

from . import _naja

# The columns that memray's table has, from 1 on; of these 3 and 4 are what a line itself was given.
_COLUMNS = 5
_OWN = (3, 4)


class SummaryCommand:
    """Generate a terminal-based summary report of the functions that allocate most memory"""

    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("results", help="Results of the tracker run")
        parser.add_argument("-s", "--sort-column", type=int, default=1, help="Column number to sort on")
        parser.add_argument("-r", "--max-rows", type=int, default=None, help="Maximum number of rows to display")
        _naja.add_temporary_options(parser.add_mutually_exclusive_group())

    def run(self, args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
        if not 1 <= args.sort_column <= _COLUMNS:
            parser.error(f"The --sort-column argument must be between 1 and {_COLUMNS}")
        words = ["summary", _naja.recording(args.results)]
        words += _naja.shown(False, args.temporary_allocation_threshold)
        words += ["--own"] * (args.sort_column in _OWN)
        if args.max_rows:
            words += ["--rows", str(args.max_rows)]
        _naja.run(words)
