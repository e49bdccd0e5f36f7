"""What a piece of code leaves behind in its process, or did in it, that forked workers must not share.

`Snapshot` compares two moments of this process; it is cheap, and runs wherever fixtures are set up. `Watch` also hears
of things that have come and gone, through an audit hook, which stays in a process for good: for a process that ends
soon. Both need `/proc`; where there is none, nothing is looked at (`can_look`).
"""

import gc
import os
import signal
import stat
import sys
import threading
import time
from contextlib import contextmanager

# A thread that has been joined is listed by the kernel for a moment still; waited for so long, in seconds.
_THREAD_ENDS_S = 0.2
# Devices without a position or an end: a fixture may keep them open.
_HARMLESS_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")
_WATCHED_SIGNALS = ("SIGINT", "SIGTERM", "SIGCHLD", "SIGALRM")
_WORKER_NAMES = ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID")


def can_look():
    """Whether this system tells what a process holds."""
    return os.path.isdir("/proc/self/fd") and os.path.isdir("/proc/self/task")


def threads():
    """The kernel's numbers of the threads of this process, those that Python does not know of included."""
    return {int(number) for number in os.listdir("/proc/self/task")}


class Snapshot:
    """What this process holds at one moment. Cost: reads of `/proc`, a few tenths of a millisecond."""

    def __init__(self):
        self.threads = threads()
        self.children = _children()
        self.shared_memory = _shared_memory()
        self.folder = _folder()
        self.timer = signal.getitimer(signal.ITIMER_REAL)[0] > 0
        self.handlers = {name: signal.getsignal(getattr(signal, name)) for name in _WATCHED_SIGNALS}
        self.descriptors = _descriptors()

    def changes(self):
        """Why what has come since this snapshot must not be shared: sentences, none when all of it may be."""
        found = self._compare(Snapshot())
        if found:
            # What only garbage still holds is not held; and an ended thread is gone in a moment.
            gc.collect()
            end = time.perf_counter() + _THREAD_ENDS_S
            now = Snapshot()
            while now.threads - self.threads and threading.active_count() == 1 and time.perf_counter() < end:
                time.sleep(0.001)
                now = Snapshot()
            found = self._compare(now)
        return found

    def _compare(self, now):
        found = []
        for descriptor, target in sorted(now.descriptors.items()):
            if self.descriptors.get(descriptor) != target:
                found.append(_open_file(descriptor, target))
        if now.threads - self.threads:
            known = {getattr(thread, "native_id", None): thread.name for thread in threading.enumerate()}
            names = sorted(known.get(number) or f"number {number}" for number in now.threads - self.threads)
            found.append(f"it started a thread ({names[0]})")
        if now.children - self.children:
            found.append("it left a child process")
        if now.shared_memory > self.shared_memory:
            found.append("it holds memory that forked processes share")
        if now.folder != self.folder:
            found.append(f"it changed the working directory to {now.folder}")
        if now.timer and not self.timer:
            found.append("it started a timer")
        for name in _WATCHED_SIGNALS:
            if now.handlers[name] is not self.handlers[name]:
                found.append(f"it changed what {name} does")
        return [sentence for sentence in found if sentence]


def _descriptors():
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink("/proc/self/fd/" + name)
        except OSError:  # the one that lists the folder
            continue
    return found


def _open_file(descriptor, target):
    """What is wrong with sharing this open file, or `None`."""
    if target.startswith("socket:"):
        return "it left a socket open"
    if target.startswith("pipe:"):
        return "it left a pipe open"
    if target.startswith("anon_inode:[eventpoll]"):
        return "it left an event loop open (epoll)"
    if target.startswith(("anon_inode:", "/memfd:")):
        return f"it left {target} open"
    if target in _HARMLESS_DEVICES:
        return None
    import fcntl

    try:
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
    except OSError:
        return None
    if flags & os.O_ACCMODE != os.O_RDONLY:
        return f"it left {target} open for writing"
    if is_folder:
        return f"it left the folder {target} open"
    return f"it left {target} open, of which workers would share the position"


def _children():
    found = set()
    for number in threads():
        try:
            with open(f"/proc/self/task/{number}/children", "rb") as file:
                found.update(map(int, file.read().split()))
        except OSError:  # the thread has ended, or this kernel does not list children
            continue
    return found


def _shared_memory():
    """How many mappings of this process can be written to and are seen by processes forked from it."""
    with open("/proc/self/maps", "rb") as file:
        # A line is "from-to rwxs offset ...": `s` says shared, in place of `p`.
        return sum(line.split(None, 2)[1][1:4:2] == b"ws" for line in file)


def _folder():
    try:
        return os.getcwd()
    except OSError:  # it has been deleted
        return None


class Watch:
    """Hears what code does while `active`: for one process only, which ends soon, since an audit hook never goes."""

    def __init__(self, config):
        self._config = config
        factory = getattr(config, "_tmp_path_factory", None)
        self._temporary_folder = None if factory is None else str(factory.getbasetemp()) + os.sep
        self._heard = []
        self._is_active = False
        sys.addaudithook(self._audit)

    @contextmanager
    def active(self):
        """Listens within; what was heard is in `heard()` afterwards."""
        self._heard = []
        config_class, own = type(self._config), "__getattr__"
        watches_config = not hasattr(config_class, own)
        if watches_config:
            setattr(config_class, own, self._missing_of_config)
        encode = os.environ.encodekey
        os.environ.encodekey = lambda name: self._asked(name, encode)
        self._is_active = True
        try:
            yield
        finally:
            self._is_active = False
            os.environ.encodekey = encode
            if watches_config:
                delattr(config_class, own)

    def heard(self):
        """Sentences like those of `Snapshot.changes`."""
        found = []
        for sentence, path in self._heard:
            # What was temporary and is gone again is nobody's concern.
            if (path is None or os.path.lexists(path)) and sentence not in found:
                found.append(sentence)
        return found

    def note(self, sentence):
        """One more reason, found by whoever watches."""
        self._heard.append((sentence, None))

    def _missing_of_config(self, name):
        # Plugins find out whether they run in a worker by asking the configuration for this.
        if name in ("workerinput", "workeroutput"):
            self.note("it asks which worker it runs in (config.workerinput)")
        raise AttributeError(name)

    def _asked(self, name, encode):
        if name in _WORKER_NAMES:
            self.note(f"it asks which worker it runs in ({name})")
        return encode(name)

    def _made_folder(self, arguments):
        path = os.fsdecode(arguments[0])
        is_temporary = self._temporary_folder is not None and path.startswith(self._temporary_folder)
        return _temporary(arguments) if is_temporary else None

    def _audit(self, event, arguments):
        if self._is_active and (event in _EVENTS or event == "os.mkdir"):
            try:
                found = self._made_folder(arguments) if event == "os.mkdir" else _EVENTS[event](arguments)
            except Exception:  # an argument that is not what it should be makes the call itself fail
                return
            if found is not None:
                self._heard.append(found)


def _process(arguments):
    return f"it started a process ({os.path.basename(os.fsdecode(arguments[0]))})", None


def _sqlite(arguments):
    name = os.fsdecode(arguments[0])
    in_memory = name == "" or ":memory:" in name or (name.startswith("file:") and "mode=memory" in name)
    return None if in_memory else (f"it opened the database {name}", None)


def _temporary(arguments):
    path = os.fsdecode(arguments[0])
    return f"it made {path}, to which tests of all workers would write", path


def _always(sentence):
    return lambda arguments: (sentence, None)


_EVENTS = {
    "socket.bind": _always("it bound a socket to an address"),
    "socket.connect": _always("it connected to another process"),
    "subprocess.Popen": _process,
    "os.posix_spawn": _process,
    "os.system": _always("it ran a command"),
    "os.fork": _always("it forked"),
    "os.forkpty": _always("it forked"),
    "sqlite3.connect": _sqlite,
    "tempfile.mkdtemp": _temporary,
    "tempfile.mkstemp": _temporary,
    "fcntl.flock": _always("it took a lock of a file"),
    "fcntl.lockf": _always("it took a lock of a file"),
}
