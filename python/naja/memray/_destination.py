from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Destination:
    """Where a `Tracker` writes to."""


@dataclass(frozen=True)
class FileDestination(Destination):
    """A file. `compress_on_exit` and `buffered` change nothing: a recording is always packed, and written by naja."""

    path: str | os.PathLike[str]
    overwrite: bool = False
    compress_on_exit: bool = True
    buffered: bool = False


@dataclass(frozen=True)
class SocketDestination(Destination):
    """A port on which a `SocketReader` of this machine asks for what is in use now."""

    server_port: int
    address: str = "127.0.0.1"
