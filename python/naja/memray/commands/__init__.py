"""memray's command line, as `python -m naja.memray`: its own words for what `naja memory` does.

`run` tracks this very process, as memray's does; reports are those of the program `naja`.
"""

from __future__ import annotations

import argparse
import logging
import sys

from .._errors import MemrayCommandError, MemrayError
from .._tracker import set_log_level
from .._version import __version__
from . import attach, flamegraph, live, parse, run, stats, summary, table, transform, tree

__all__ = ["get_argument_parser", "main"]

_COMMANDS = {
    "run": run.RunCommand,
    "flamegraph": flamegraph.FlamegraphCommand,
    "table": table.TableCommand,
    "live": live.LiveCommand,
    "tree": tree.TreeCommand,
    "parse": parse.ParseCommand,
    "summary": summary.SummaryCommand,
    "stats": stats.StatsCommand,
    "transform": transform.TransformCommand,
    "attach": attach.AttachCommand,
    "detach": attach.DetachCommand,
}


def get_argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="memray",
        description="Memory profiler for Python applications: memray's command line over naja's recordings",
        epilog="`naja memory` is naja's own command line for the same recordings.",
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("-v", "--verbose", action="count", default=0, help="Taken, and without effect")
    parser.add_argument("-V", "--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(help="Mode of operation", dest="command", required=True)
    for name, kind in _COMMANDS.items():
        command = kind()
        own = subparsers.add_parser(name, help=kind.__doc__, description=kind.__doc__)
        own.set_defaults(entrypoint=command.run)
        command.prepare_parser(own)
    return parser


def main(args: list[str] | None = None) -> int:
    parser = get_argument_parser()
    chosen = parser.parse_args(sys.argv[1:] if args is None else args)
    set_log_level(max(logging.DEBUG, logging.WARNING - 10 * chosen.verbose))
    try:
        chosen.entrypoint(chosen, parser)
    except MemrayCommandError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except MemrayError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
