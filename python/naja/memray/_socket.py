"""`SocketReader`: what a program that is being tracked on this machine has in use now."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

from naja._native import memory

# Until the program listens.
_PATIENCE_S = 60
_NEXT_TRY_S = 0.01


class SocketReader:
    """Connects to the port of a `SocketDestination` for as long as a `with` block lasts."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._about: dict[str, Any] = {}

    def __enter__(self) -> SocketReader:
        if self._socket is not None:
            raise ValueError("Can not enter the context of a SocketReader object more than once, at the same time.")
        connection = self._connect()
        line = connection.makefile("rb").readline()
        if not line:
            connection.close()
            raise OSError("the program has ended the connection")
        self._about = json.loads(line)
        self._socket = connection
        return self

    def _connect(self) -> socket.socket:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self._port))
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_NEXT_TRY_S)

    def __exit__(self, *exc: object) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @property
    def command_line(self) -> str | None:
        return self._about.get("command_line")

    @property
    def recording(self) -> str:
        """The path of the recording, for as long as the program is tracked."""
        return self._about["recording"]

    @property
    def pid(self) -> int | None:
        return self._about.get("pid")

    @property
    def has_native_traces(self) -> bool:
        return bool(self._about.get("native_traces"))

    @property
    def is_active(self) -> bool:
        if self._socket is None:
            return False
        try:
            # Nothing is ever sent but the first line: what can be read is the end.
            return self._socket.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def get_current_snapshot(self, *, merge_threads: bool) -> Iterator[memory.AllocationRecord]:
        if self._socket is None:
            return
        records: list[memory.AllocationRecord] = []
        # It is gone once the program has ended.
        with contextlib.suppress(OSError):
            records = memory.Capture(self._about["recording"], self._about["pid"]).amounts("leaks", merge_threads)
        yield from records
