"""`attach` and `detach`: naja's own, which need neither a debugger nor anything installed in the other program."""

from __future__ import annotations

import argparse
import os

from naja import _program

from .._errors import MemrayCommandError


def _become(words: list[str]) -> None:
    """The program naja instead of this one: it has the terminal, the signals and the exit code."""
    program = _program.find()
    os.execv(program, ["naja", "memory", *words])


class _Command:
    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--method",
            choices=["auto", "sys.remote_exec", "gdb", "lldb"],
            default="auto",
            help="Taken, and without effect: naja needs no debugger",
        )
        parser.add_argument("-v", "--verbose", action="store_true", help="Taken, and without effect")
        parser.add_argument("pid", type=int, help="Process id to attach to")


class AttachCommand(_Command):
    """Begin tracking allocations in an already-running process"""

    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("-o", "--output", help="Capture results into the given file")
        parser.add_argument("-f", "--force", action="store_true", default=False, help="Overwrite it")
        parser.add_argument("--aggregate", action="store_true", default=False, help="Write aggregated stats")
        parser.add_argument("--native", action="store_true", default=False, help="Track native stack frames too")
        parser.add_argument("--follow-fork", action="store_true", default=False, help="Record forked children")
        parser.add_argument(
            "--trace-python-allocators", action="store_true", default=False, help="Record pymalloc's allocations"
        )
        parser.add_argument("--duration", type=int, default=None, help="Seconds to track for")
        super().prepare_parser(parser)

    def run(self, args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
        if args.output is None:
            _become(["live", str(args.pid)])
        if os.path.exists(args.output):
            if not args.force:
                raise MemrayCommandError(f"Output file {args.output} already exists: --force overwrites it", exit_code=1)
            os.unlink(args.output)
        words = ["attach", str(args.pid), "-o", args.output]
        words += ["--aggregate"] * args.aggregate + ["--native"] * args.native
        words += ["--no-follow"] * (not args.follow_fork)
        words += ["--python-allocators"] * args.trace_python_allocators
        if args.duration is not None:
            words += ["--duration", str(args.duration)]
        _become(words)


class DetachCommand(_Command):
    """End the tracking started by a previous ``memray attach`` call"""

    def run(self, args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
        _become(["detach", str(args.pid)])
