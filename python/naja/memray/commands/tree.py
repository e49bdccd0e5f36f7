from __future__ import annotations

import argparse

from . import _naja


class TreeCommand:
    """Generate a tree view in the terminal for peak memory usage"""

    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("results", help="Results of the tracker run")
        parser.add_argument(
            "-b",
            "--biggest-allocs",
            type=int,
            default=200,
            help="Taken, and without effect: naja's tree leaves out what is too small to matter",
        )
        _naja.add_temporary_options(parser.add_mutually_exclusive_group())

    def run(self, args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
        words = ["tree", _naja.recording(args.results)]
        _naja.run(words + _naja.shown(False, args.temporary_allocation_threshold))
