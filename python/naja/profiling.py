"""Profiling a part of a program from inside: `with naja.profile("out.naja"):`, and as a decorator.

The program `naja` is started beside this process and samples it from outside, as `naja record -p` does: the profiled
code runs none of naja's, and goes on at its own speed. Start at `profile`.
"""

from __future__ import annotations

import functools
import inspect
import os
import select
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import IO, Any, Literal, TypeVar

from naja import _program

__all__ = ["ProfileError", "profile"]

_Function = TypeVar("_Function", bound=Callable[..., Any])

# Where Linux's Yama is on, this file says who may look into a process.
_YAMA = "/proc/sys/kernel/yama/ptrace_scope"
_ONLY_DESCENDANTS = "1"
_PR_SET_PTRACER = 0x59616D61

# Between two looks whether naja has ended without saying that it samples.
_LOOK_MS = 50


class ProfileError(RuntimeError):
    """Profiling did not begin. `name` is the stable name of naja's error, such as `permission-denied`, if it gave one."""

    def __init__(self, text: str, name: str | None = None) -> None:
        super().__init__(text)
        self.name = name


class profile:
    """Profiles this process while a block or a function runs, all its threads, into a file.

        with naja.profile("out.naja"):
            work()

        @naja.profile("out.html", rate=500)
        def work(): ...

    The end of the file's name says what is written: a recording (`.naja`), or what `naja convert` makes of one
    (`out.html`, `out.speedscope.json`). The file is complete when the block is left, also by an exception.

    rate          samples per second; 1,000 without it
    mode          "wall" counts waiting as well as working, "cpu" only work, "gil" only who holds the GIL
    native        the frames of C, C++ and Rust too
    tasks         asyncio's tasks as frames: the running one with those that wait for it, or "all"
    subprocesses  the processes that this one starts, too
    idle          threads that wait, too
    gc            the garbage collector as a frame
    threads       stacks are kept apart by thread

    It is a context manager, synchronous and asynchronous, and a decorator of functions, coroutine functions,
    generator functions and asynchronous generator functions. Calls of a decorated function that overlap, recursive
    ones too, are one recording; a later call writes the file anew.

    Raises `ProfileError` before the block runs: when naja cannot sample this process, when the file cannot be
    written, and when this process is being profiled already. What goes wrong later is a `RuntimeWarning`, and the
    block's own result or exception is kept.

    Costs some milliseconds at each end.
    """

    def __init__(
        self,
        output: str | os.PathLike[str],
        *,
        rate: int | None = None,
        mode: Literal["wall", "cpu", "gil"] | None = None,
        native: bool = False,
        tasks: bool | Literal["running", "all"] = False,
        subprocesses: bool = False,
        idle: bool = False,
        gc: bool = False,
        threads: bool = False,
    ) -> None:
        self.output = os.fspath(output)
        switches = {
            "--native": native,
            "--subprocesses": subprocesses,
            "--idle": idle,
            "--gc": gc,
            "--threads": threads,
        }
        self._options = [name for name, is_on in switches.items() if is_on]
        if rate is not None:
            self._options += ["--rate", str(rate)]
        if mode is not None:
            self._options += ["--mode", mode]
        if tasks:
            self._options += ["--async", "running" if tasks is True else tasks]
        self._entered: _Recording | None = None
        # For decorated functions: how many of their calls are under way, and the recording of these.
        self._lock = threading.Lock()
        self._calls = 0
        self._shared: _Recording | None = None

    def __repr__(self) -> str:
        return f"naja.profile({self.output!r})"

    def __enter__(self) -> profile:
        self._entered = _Recording(self.output, self._options)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        recording, self._entered = self._entered, None
        if recording is not None:
            recording.end()

    async def __aenter__(self) -> profile:
        # Some milliseconds, as in a plain `with`: else a task that is cancelled meanwhile would leave it running.
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        recording, self._entered = self._entered, None
        if recording is not None:
            await _beside_the_loop(recording.end)

    def __call__(self, function: _Function) -> _Function:
        """The function, profiled whenever it is called."""
        if isinstance(function, type) or not callable(function):
            raise TypeError(f"naja.profile decorates functions, not {function!r}")
        if inspect.iscoroutinefunction(function):
            wrapper = self._around_coroutine(function)
        elif inspect.isasyncgenfunction(function):
            wrapper = self._around_async_generator(function)
        elif inspect.isgeneratorfunction(function):
            wrapper = self._around_generator(function)
        else:
            wrapper = self._around_call(function)
        return functools.wraps(function)(wrapper)  # type: ignore[return-value]

    def _around_call(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            pid = self._begin_call()
            try:
                return function(*args, **kwargs)
            finally:
                self._end_call(pid)

        return call

    def _around_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            pid = self._begin_call()
            try:
                return (yield from function(*args, **kwargs))
            finally:
                self._end_call(pid)

        return call

    def _around_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            pid = self._begin_call()
            try:
                return await function(*args, **kwargs)
            finally:
                await _beside_the_loop(functools.partial(self._end_call, pid))

        return call

    def _around_async_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            pid = self._begin_call()
            generator = function(*args, **kwargs)
            try:
                value = await generator.__anext__()
                while True:
                    try:
                        sent = yield value
                    except GeneratorExit:
                        raise
                    except BaseException as error:  # noqa: BLE001 - it is the generator's to handle
                        value = await generator.athrow(error)
                    else:
                        value = await generator.asend(sent)
            except StopAsyncIteration:
                return
            finally:
                try:
                    await generator.aclose()
                finally:
                    self._end_call(pid)

        return call

    def _begin_call(self) -> int:
        """Gives the process in which the call began: it may fork and end twice."""
        with self._lock:
            if self._calls == 0:
                self._shared = _Recording(self.output, self._options)
            self._calls += 1
        return os.getpid()

    def _end_call(self, pid: int) -> None:
        if os.getpid() != pid:
            return
        with self._lock:
            self._calls -= 1
            recording = self._shared
            if self._calls or recording is None:
                return
            self._shared = None
            # Under the lock: the next call writes the same file.
            recording.end()


class _Recording:
    """A naja that samples this process, from its start to the complete file."""

    # The one that is under way in this process.
    current: _Recording | None = None
    _lock = threading.Lock()

    def __init__(self, output: str, options: list[str]) -> None:
        self.output = output
        self.pid = os.getpid()
        with _Recording._lock:
            other = _Recording.current
            # A child that was forked within a block is profiled by nobody.
            if other is not None and other.pid == self.pid:
                raise ProfileError(
                    f"this process is being profiled into {other.output!r} already: one recording at a time holds "
                    "all of its threads",
                    "already-profiled",
                )
            _Recording.current = self
        try:
            self._start(options)
        except BaseException:
            self._forget()
            raise

    def _start(self, options: list[str]) -> None:
        try:
            program = _program.find()
        except _program.ProgramNotFound as problem:
            raise ProfileError(*_said(str(problem))) from None
        ready, says_ready = os.pipe()
        # A file, not a pipe: naja never waits for this process to read what it says.
        self._words: IO[bytes] = _nameless_file()
        try:
            self._is_allowed = _let_children_look()
            command = [program, "record", "-p", str(self.pid), "--ready-fd", str(says_ready), "-o", self.output]
            self._naja = subprocess.Popen(
                [*command, *options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._words,
                pass_fds=[says_ready],
                # Ctrl-C in the terminal is the program's to handle; naja ends with the block, or with the process.
                start_new_session=True,
            )
            os.close(says_ready)
            says_ready = -1
            self._wait_until_it_samples(ready)
        except BaseException:
            self._words.close()
            raise
        finally:
            os.close(ready)
            if says_ready >= 0:
                os.close(says_ready)

    def _wait_until_it_samples(self, ready: int) -> None:
        poll = select.poll()
        poll.register(ready, select.POLLIN | select.POLLHUP)
        try:
            while True:
                # Another thread may have forked while the other end was open here, so that its closing alone is no
                # sign.
                if poll.poll(_LOOK_MS):
                    if os.read(ready, 1):
                        return
                    self._naja.wait()
                if self._naja.poll() is not None:
                    raise ProfileError(*_said(self._text()))
        except BaseException:
            self._naja.kill()
            self._naja.wait()
            raise

    def end(self) -> None:
        """Ends the sampling and waits for the complete file. Warns where it is not complete."""
        if os.getpid() != self.pid:
            return
        try:
            is_early = self._naja.poll() is not None
            if not is_early:
                self._naja.send_signal(signal.SIGINT)
            code = self._wait()
        finally:
            self._forget()
        text = self._text()
        self._words.close()
        if code < 0:
            reason = f"naja was ended by signal {-code}"
            self._warn(f"{reason}; what it had recorded until then may be in {self.output!r}")
        elif code > 0:
            self._warn(text or f"naja ended with exit code {code}; {self.output!r} may lack something")
        elif is_early:
            self._warn(f"naja ended before the profiled part did; {self.output!r} holds what came until then")

    def _wait(self) -> int:
        try:
            return self._naja.wait()
        except KeyboardInterrupt:
            # A second word to naja, who is writing: it shall come to an end soon. The interruption is the program's.
            self._naja.send_signal(signal.SIGINT)
            self._naja.wait()
            raise

    def _warn(self, text: str) -> None:
        # Shown at the line of the program: the frames of this file are not its author's.
        frame: FrameType | None = sys._getframe(1)
        level = 2
        while frame is not None and frame.f_code.co_filename == __file__:
            frame, level = frame.f_back, level + 1
        warnings.warn(text, RuntimeWarning, stacklevel=level)

    def _text(self) -> str:
        self._words.seek(0)
        return self._words.read().decode(errors="replace").strip()

    def _forget(self) -> None:
        if getattr(self, "_is_allowed", False):
            _prctl(_PR_SET_PTRACER, 0)
        with _Recording._lock:
            if _Recording.current is self:
                _Recording.current = None


def _said(text: str) -> tuple[str, str | None]:
    """What naja said on standard error, and the name of its error: `error[NAME]: …`."""
    text = text or "naja ended without a word"
    start = text.find("error[")
    if start < 0:
        return text, None
    name, _, rest = text[start + len("error["):].partition("]: ")
    return rest, name


def _nameless_file() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("naja"), "w+b", buffering=0)
    import tempfile

    return tempfile.TemporaryFile(buffering=0)


def _let_children_look() -> bool:
    """Where a process may look only into its descendants, lets those of this process look into it.

    naja is a child of the process that it samples: the wrong way round for Yama's `ptrace_scope` 1. The exception that
    a process may declare holds for the declared process and its descendants, so that declaring itself lets in nobody
    else. Tells whether it was done, and is to be undone.
    """
    try:
        with open(_YAMA, encoding="ascii") as file:
            if file.read().strip() != _ONLY_DESCENDANTS:
                return False
    except OSError:
        return False
    return _prctl(_PR_SET_PTRACER, os.getpid()) == 0


def _prctl(option: int, argument: int) -> int:
    import ctypes

    prctl = ctypes.CDLL(None).prctl
    prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    return int(prctl(option, argument, 0, 0, 0))


async def _beside_the_loop(function: Callable[[], None]) -> None:
    """Calls what may take a while, a page to be written, without holding up the tasks of asyncio's loop."""
    asyncio = sys.modules.get("asyncio")
    try:
        loop = asyncio.get_running_loop() if asyncio else None
    except RuntimeError:
        loop = None
    if asyncio is None or loop is None:
        # Another library's loop.
        function()
        return
    # A task that is cancelled meanwhile goes on being cancelled; the file is completed all the same.
    await asyncio.shield(loop.run_in_executor(None, function))
