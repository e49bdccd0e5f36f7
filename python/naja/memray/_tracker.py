"""`Tracker`: records a part of a program from inside.

naja's agent is loaded into this process and tells a naja beside it, which writes the recording: no Python code runs for an
allocation, and a process that is killed leaves its recording. Start at `Tracker`.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import warnings
from types import FrameType, TracebackType
from typing import Any

from naja import _program
from naja._native import memory

from ._destination import Destination, FileDestination, SocketDestination
from ._kinds import FileFormat
from ._modules import folders

_AGENT = "libnaja_memory_agent.so"
# What the agent answers, as in `tools/memory/src/wire.rs`.
_DONE, _BUSY = 0, 6
_WHY_NOT = {
    1: "it is being recorded already",
    2: "the recorder does not answer",
    4: "the system has no memory for it",
}
# A thread that is within the agent leaves it in microseconds.
_BUSY_S = 5
_NEXT_TRY_S = 0.001

_lock = threading.Lock()
# The tracker that tracks now. A forked child has none, whether naja follows it or not.
_active: Tracker | None = None


def _forget() -> None:
    global _active
    _active = None


os.register_at_fork(after_in_child=_forget)


def set_log_level(level: int) -> None:
    """Takes memray's levels. naja.memray has no log: what goes wrong is an exception or a warning."""
    int(level)


def start_thread_trace(frame: FrameType, event: str, arg: Any) -> Any:
    """A profile function that changes nothing: threads are seen without one, whoever starts them."""
    return start_thread_trace


class Tracker:
    """Records all allocations of this process while a block runs, in all of its threads.

    file_name               where to write; or
    destination             a `FileDestination` or `SocketDestination`
    native_traces           calls of C, C++ and Rust too
    trace_python_allocators every object, and not only what Python's allocator asks the system for
    follow_fork             forked children too: they are in the same recording, to be read as `FILE.PID`
    memory_interval_ms      how often resident memory is looked at
    file_format             every allocation, or what each place came to

    One at a time tracks in a process, and each once. `track_object_lifetimes` is not there.
    """

    def __init__(
        self,
        file_name: str | os.PathLike[str] | None = None,
        *,
        destination: Destination | None = None,
        native_traces: bool = False,
        memory_interval_ms: int = 10,
        follow_fork: bool = False,
        trace_python_allocators: bool = False,
        file_format: FileFormat = FileFormat.ALL_ALLOCATIONS,
        track_object_lifetimes: bool = False,
        reference_tracking: bool = False,
    ) -> None:
        if (file_name is None) == (destination is None):
            raise TypeError("Exactly one of 'file_name' or 'destination' argument must be specified")
        if track_object_lifetimes or reference_tracking:
            raise RuntimeError("naja.memray does not track object lifetimes")
        if file_name is not None:
            destination = FileDestination(path=file_name)
        if not isinstance(destination, (FileDestination, SocketDestination)):
            raise TypeError("destination must be a SocketDestination or FileDestination")
        if not isinstance(destination, FileDestination):
            if follow_fork:
                raise RuntimeError("follow_fork requires an output file")
            if file_format != FileFormat.ALL_ALLOCATIONS:
                raise RuntimeError("AGGREGATED_ALLOCATIONS requires an output file")
        self._native_traces = native_traces
        self._interval_ms = memory_interval_ms
        self._follow_fork = follow_fork
        self._python_allocators = trace_python_allocators
        # Who looks at what is in use now needs no past.
        is_live = isinstance(destination, SocketDestination)
        self._is_aggregated = is_live or file_format == FileFormat.AGGREGATED_ALLOCATIONS
        self._command_line = " ".join(sys.argv)
        self._folder = tempfile.mkdtemp(prefix="naja-")
        self._server: _Server | None = None
        self._is_fresh = True
        self._recorder: subprocess.Popen[bytes] | None = None
        self._pid = os.getpid()
        try:
            self._output = self._make_output(destination)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        # A tracker that is never entered leaves nothing behind.
        atexit.register(self._tidy_up)

    def _make_output(self, destination: Destination) -> str | None:
        """The file, which is there from now on; nothing where nothing is to be kept."""
        if isinstance(destination, SocketDestination):
            output = os.path.join(self._folder, "live.naja")
            self._server = _Server(destination, output, self._command_line)
            return output
        path = os.path.abspath(os.fspath(destination.path))
        with contextlib.suppress(OSError):
            if os.path.samefile(path, os.devnull):
                return None
        try:
            if destination.overwrite:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            raise OSError(
                f"Output file {destination.path} already exists. Memray can overwrite it"
                " with the --force CLI argument or the overwrite=True API argument."
            ) from None
        except OSError as error:
            raise OSError(f"Could not create output file {destination.path}: {error.strerror}") from None
        return path

    def __enter__(self) -> Tracker:
        global _active
        with _lock:
            if _active is not None:
                raise RuntimeError("No more than one Tracker instance can be active at the same time")
            if not self._is_fresh:
                raise RuntimeError("Attempting to use stale output handle")
            self._is_fresh = False
            program = _program.find()
            agent = os.path.join(os.path.dirname(os.path.dirname(program)), "lib", "naja", _AGENT)
            memory.load(agent)
            place = os.path.join(self._folder, "agent")
            self._start_recorder(program, place, sys._getframe(1))
            self._names = _ThreadNames()
            if self._server is not None:
                self._server.start()
            _active = self
        # The last call: what comes now is the block's.
        answer = memory.begin(place)
        if answer == _DONE:
            return self
        self._leave()
        raise RuntimeError(f"naja cannot track this process: {_WHY_NOT.get(answer, f'reason {answer}')}")

    def _start_recorder(self, program: str, place: str, caller: FrameType) -> None:
        notes = self._notes(caller)
        command = [program, "memory", "receive", place, "--notes", json.dumps(notes)]
        command += ["--interval", str(self._interval_ms)]
        if self._output is not None:
            command += ["--output", self._output]
        command += ["--python-allocators"] * self._python_allocators + ["--follow"] * self._follow_fork
        command += ["--native"] * self._native_traces
        command += ["--aggregate"] * self._is_aggregated + ["--live"] * (self._server is not None)
        command += ["--", *sys.argv]
        # In a session of its own: Ctrl-C is the program's, and naja writes what there is.
        self._recorder = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        assert self._recorder.stdout is not None and self._recorder.stderr is not None
        if self._recorder.stdout.readline() != b"ready\n":
            words = self._recorder.stderr.read().decode(errors="replace").strip()
            self._recorder.wait()
            self._recorder = None
            raise OSError(f"naja cannot record: {words}")

    def _notes(self, caller: FrameType) -> dict[str, Any]:
        around = -1
        frame: FrameType | None = caller
        while frame is not None:
            around += 1
            frame = frame.f_back
        return {
            "pid": os.getpid(),
            "main_thread": threading.get_native_id(),
            "skipped_frames": around,
            "command_line": self._command_line,
            "python_allocator": _python_allocator(),
            "trace_python_allocators": self._python_allocators,
            "native_traces": self._native_traces,
            "is_exact": not self._is_aggregated,
            "interval_ms": self._interval_ms,
            "folders": folders(),
        }

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # In a forked child the tracker is its parent's.
        if os.getpid() != self._pid:
            return
        answer = memory.end()
        if answer == _BUSY:
            deadline = time.monotonic() + _BUSY_S
            while memory.end() == _BUSY and time.monotonic() < deadline:
                time.sleep(_NEXT_TRY_S)
        self._leave()

    def _leave(self) -> None:
        global _active
        with _lock:
            _active = None
            recorder, self._recorder = self._recorder, None
            names = self._names.end()
            if self._server is not None:
                self._server.stop()
            if recorder is not None:
                _end_recorder(recorder, names)
            if self._follow_fork and self._output is not None:
                _name_children(self._output)
            self._tidy_up()

    def _tidy_up(self) -> None:
        if os.getpid() == self._pid:
            shutil.rmtree(self._folder, ignore_errors=True)
            atexit.unregister(self._tidy_up)

    def get_surviving_objects(self) -> tuple[object, ...]:
        raise RuntimeError("track_object_lifetimes=True was not provided at Tracker construction")


def _end_recorder(recorder: subprocess.Popen[bytes], names: dict[int, str]) -> None:
    line = json.dumps({"thread_names": names}) + "\n"
    _, said = recorder.communicate(line.encode())
    if recorder.returncode or said:
        words = said.decode(errors="replace").strip()
        warnings.warn(f"the recording may be incomplete: {words}", RuntimeWarning, stacklevel=5)


def _python_allocator() -> str:
    """What gives memory to objects, as memray calls it."""
    default = "mimalloc" if sysconfig.get_config_var("Py_GIL_DISABLED") else "pymalloc"
    chosen = "" if sys.flags.ignore_environment else os.environ.get("PYTHONMALLOC", "")
    if not chosen and (sys.flags.dev_mode or hasattr(sys, "gettotalrefcount")):
        chosen = "debug"
    words = {"": default, "default": default, "debug": f"{default} debug"}
    return words.get(chosen, chosen.replace("_", " "))


def _name_children(output: str) -> None:
    """Lets the recording be found under the name that memray gives to each child's own file."""
    from ._reader import FileReader

    with contextlib.suppress(OSError):
        reader = FileReader(output)
        for pid in reader._facts["pids"]:
            if pid != reader._facts["pid"]:
                os.link(output, f"{output}.{pid}")


class _ThreadNames:
    """The names of threads, by their number in the system, while they start and as they are at the end."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._class = threading.Thread
        self._original = original = self._class._set_native_id  # type: ignore[attr-defined]
        names = self._names

        def set_native_id(thread: threading.Thread) -> None:
            original(thread)
            if thread.native_id is not None:
                names[thread.native_id] = thread.name

        self._class._set_native_id = set_native_id  # type: ignore[attr-defined]

    def end(self) -> dict[int, str]:
        self._class._set_native_id = self._original  # type: ignore[attr-defined]
        for thread in threading.enumerate():
            if isinstance(thread, self._class) and thread.native_id is not None:
                self._names[thread.native_id] = thread.name
        return self._names


class _Server:
    """Tells a `SocketReader` which recording to look at. The first connection is waited for."""

    def __init__(self, destination: SocketDestination, output: str, command_line: str) -> None:
        self._listener = socket.create_server((destination.address, destination.server_port))
        self._about = {"recording": output, "pid": os.getpid(), "command_line": command_line}
        self._client: socket.socket | None = None

    def start(self) -> None:
        self._client, _ = self._listener.accept()
        self._client.sendall(json.dumps(self._about).encode() + b"\n")

    def stop(self) -> None:
        for one in (self._client, self._listener):
            if one is not None:
                one.close()
