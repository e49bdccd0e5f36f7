"""`run`: a script, a module or a text is run in this very process, tracked."""

from __future__ import annotations

import argparse
import ast
import contextlib
import os
import pathlib
import runpy
import socket
import subprocess
import sys

from .. import Destination, FileDestination, FileFormat, SocketDestination, Tracker
from .._errors import MemrayCommandError
from .live import PORTS, LiveCommand


class RunCommand:
    """Run the specified application and track memory usage"""

    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        parser.usage = "%(prog)s [-m module | -c cmd | file] [args]"
        where = parser.add_mutually_exclusive_group()
        where.add_argument("-o", "--output", help="Output file name (default: <process_name>.<pid>.bin)")
        where.add_argument(
            "--live", action="store_true", default=False, dest="live_mode", help="Show allocations while it runs"
        )
        where.add_argument(
            "--live-remote",
            action="store_true",
            default=False,
            dest="live_remote_mode",
            help="Wait until `live` connects, and then run",
        )
        parser.add_argument("-p", "--live-port", type=int, default=None, help="Port of --live-remote")
        flags = {
            "--aggregate": "Write what each place came to instead of all allocations",
            "--native": "Track native (C/C++) stack frames as well",
            "--follow-fork": "Record child processes forked from the tracked script",
            "--trace-python-allocators": "Record allocations made by the pymalloc allocator",
            "--buffered-file-io": "Taken, and without effect: naja writes the file",
        }
        for flag, text in flags.items():
            parser.add_argument(flag, action="store_true", default=False, help=text)
        parser.add_argument("-q", "--quiet", action="store_true", help="Show nothing but the script's own output")
        parser.add_argument(
            "-f", "--force", action="store_true", default=False, help="If the output file exists, overwrite it"
        )
        packed = parser.add_mutually_exclusive_group()
        packed.add_argument("--compress-on-exit", action="store_true", default=True, help="Taken, and without effect")
        packed.add_argument("--no-compress", action="store_true", default=False, help="Taken, and without effect")
        parser.add_argument(
            "-c", action="store_true", default=False, dest="run_as_cmd", help="Program passed in as string"
        )
        parser.add_argument(
            "-m", action="store_true", dest="run_as_module", help="Run library module as a script"
        )
        parser.add_argument("script", help=argparse.SUPPRESS, metavar="file")
        parser.add_argument("script_args", help=argparse.SUPPRESS, nargs=argparse.REMAINDER, metavar="module")

    def validate_target_file(self, args: argparse.Namespace) -> None:
        """Says what is no Python before anything is run."""
        if args.run_as_module:
            return
        try:
            source = args.script.encode() if args.run_as_cmd else pathlib.Path(args.script).read_bytes()
            ast.parse(source)
        except (SyntaxError, ValueError):
            raise MemrayCommandError(
                "Only valid Python files or commands can be executed under memray", exit_code=1
            ) from None
        except OSError as error:
            raise MemrayCommandError(str(error), exit_code=1) from None

    def run(self, args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
        if args.no_compress:
            args.compress_on_exit = False
        is_live = args.live_mode or args.live_remote_mode
        if args.live_port is not None and not args.live_remote_mode:
            parser.error("The --live-port argument requires --live-remote")
        if args.follow_fork and is_live:
            parser.error("--follow-fork cannot be used with the live TUI")
        if args.aggregate and is_live:
            parser.error("--aggregate cannot be used with the live TUI")
        if args.buffered_file_io and is_live:
            parser.error("--buffered-file-io cannot be used with --live/--live-remote")
        if args.run_as_cmd and os.path.exists(args.script):
            parser.error("remove the option -c to run a file")
        self.validate_target_file(args)
        if args.live_mode:
            _run_and_watch(args)
        elif args.live_remote_mode:
            _run_when_watched(args)
        else:
            _run_into_file(args)


def _run_into_file(args: argparse.Namespace) -> None:
    path = args.output
    if path is None:
        name = "string" if args.run_as_cmd else args.script
        path = os.path.join(os.path.dirname(name), f"memray-{os.path.basename(name)}.{os.getpid()}.bin")
    if not args.quiet:
        print(f"Writing profile results into {path}")
    message = (
        "[memray] Successfully generated profile results.\n\n"
        "You can now generate reports from the stored allocation records.\n"
        "Some example commands to generate reports:\n\n"
        f"{sys.executable} -m naja.memray flamegraph {path}\n"
        f"naja memory tree {path}"
    )
    destination = FileDestination(
        path=path, overwrite=args.force, compress_on_exit=args.compress_on_exit, buffered=args.buffered_file_io
    )
    try:
        _run_tracked(destination, args, message)
    except OSError as error:
        raise MemrayCommandError(str(error), exit_code=1) from None


def _run_tracked(destination: Destination, args: argparse.Namespace, message: str | None = None) -> None:
    options = {}
    if args.follow_fork:
        options["follow_fork"] = True
    if args.trace_python_allocators:
        options["trace_python_allocators"] = True
    if args.aggregate:
        options["file_format"] = FileFormat.AGGREGATED_ALLOCATIONS
    try:
        tracker = Tracker(destination=destination, native_traces=args.native, **options)
    except OSError as error:
        raise MemrayCommandError(str(error), exit_code=1) from None
    pid = os.getpid()
    with tracker:
        try:
            _run_program(args)
        except MemrayCommandError:
            message = None
            raise
        finally:
            if not args.quiet and message is not None and pid == os.getpid():
                print(message)


def _run_program(args: argparse.Namespace) -> None:
    """As Python itself would run it: the first entry of the path and `sys.argv` are the program's."""
    # Isolated interpreters have no such first entry.
    has_own_path = not (sys.flags.isolated or getattr(sys.flags, "safe_path", False))
    if args.run_as_module:
        if has_own_path:
            sys.path[0] = os.getcwd()
        sys.argv = ["", *args.script_args]
        try:
            runpy.run_module(args.script, run_name="__main__", alter_sys=True)
        except ImportError as error:
            if error.name in (None, args.script):
                raise MemrayCommandError(f"memray: {error}", exit_code=1) from None
            raise
    elif args.run_as_cmd:
        if has_own_path:
            sys.path[0] = ""
        sys.argv = ["-c", *args.script_args]
        exec(args.script, {"__name__": "__main__"})
    else:
        if has_own_path:
            sys.path[0] = str(pathlib.Path(args.script).resolve().parent)
        sys.argv = [args.script, *args.script_args]
        runpy.run_path(args.script, run_name="__main__")


def _get_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _port(args: argparse.Namespace) -> int:
    port = _get_free_port() if args.live_port is None else args.live_port
    if port not in PORTS:
        raise MemrayCommandError(f"Invalid port: {port}", exit_code=1)
    return port


def _run_when_watched(args: argparse.Namespace) -> None:
    port = _port(args)
    if not args.quiet:
        print(f"Run '{sys.executable} -m naja.memray live {port}' in another shell to see live results", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        _run_tracked(SocketDestination(server_port=port), args)


def _run_and_watch(args: argparse.Namespace) -> None:
    """The program in a process of its own, and the live view in this one."""
    port = _port(args)
    chosen = ",".join(
        map(repr, (port, args.native, args.trace_python_allocators, args.run_as_module, args.run_as_cmd, args.quiet))
    )
    code = f"from {__name__} import _child_process;_child_process({chosen},{args.script!r},{args.script_args})"
    with contextlib.suppress(KeyboardInterrupt):
        with subprocess.Popen(
            [sys.executable, "-c", code], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        ) as child:
            try:
                LiveCommand().start_live_interface(port, cmdline_override=" ".join([args.script, *args.script_args]))
            finally:
                child.terminate()
            if child.returncode and child.stderr is not None:
                print(child.stderr.read(), file=sys.stderr)
                raise MemrayCommandError(exit_code=child.returncode)


def _child_process(
    port: int,
    native: bool,
    trace_python_allocators: bool,
    run_as_module: bool,
    run_as_cmd: bool,
    quiet: bool,
    script: str,
    script_args: list[str],
) -> None:
    args = argparse.Namespace(
        native=native,
        trace_python_allocators=trace_python_allocators,
        follow_fork=False,
        aggregate=False,
        run_as_module=run_as_module,
        run_as_cmd=run_as_cmd,
        quiet=quiet,
        script=script,
        script_args=script_args,
    )
    _run_tracked(SocketDestination(server_port=port), args)
