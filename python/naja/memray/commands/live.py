"""`live`: naja's live view of the program that listens on a port."""

from __future__ import annotations

import argparse

from .._errors import MemrayCommandError
from .._socket import SocketReader
from . import _naja

PORTS = range(1, 1 << 16)


class LiveCommand:
    """Remotely monitor allocations in a text-based interface"""

    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("port", type=int, help="Remote port to connect to")

    def run(self, args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
        if args.port not in PORTS:
            raise MemrayCommandError(f"Invalid port: {args.port}", exit_code=1)
        self.start_live_interface(args.port)

    def start_live_interface(self, port: int, cmdline_override: str | None = None) -> None:
        # As long as this holds the connection the program goes on being tracked; the view reads its recording.
        with SocketReader(port) as reader:
            _naja.run(["live", reader.recording])
