"""Workers on other hosts, over execnet, which users of pytest-xdist have: it starts an interpreter there and carries bytes.

The tree of the project is sent by content, then `worker.py` as text; nothing else has to be there but pytest. A host
that cannot be reached is named, and the others run its tests. Start at `Hosts`.
"""

import os
import pickle
import signal
import threading

import pytest

from . import sent_tree, worker
from .fresh import FreshNode, Spec
from .worker import above_usual, plain

# Where a host keeps the tree if `chdir=` does not say, as in pytest-xdist.
_FOLDER = "pyexecnetcache"
_CHUNK_BYTES = 1 << 20
# A host that does not answer must not be waited for without end.
_SSH_OPTIONS = (("ConnectTimeout", "20"), ("ServerAliveInterval", "15"), ("ServerAliveCountMax", "4"))


class HostNode(FreshNode):
    """A worker on another host: what execnet hears is written into a pipe, so that the controller waits for one thing."""

    execnet_gateway = channel = writing = None

    @property
    def is_watched(self):
        return self.ended_at is None

    def poll(self):
        if self.ended_at is None:
            return None
        # Private, and what pytest-xdist asks too: without it, what was raised there is told on stderr alone.
        error = getattr(self.channel, "_getremoteerror", lambda: None)()
        lines = str(getattr(error, "formatted", "")).strip().splitlines()
        return lines[-1] if lines else f"the connection to {self.spec.place} was lost"

    def hear(self, data):
        """Called by execnet's own thread with each message, and with `None` at the end."""
        with self.lock:
            if self.writing is None:
                return
            if data is None:
                os.close(self.writing)
                self.writing = None
                return
            self._write(worker.framed(data))

    def tell(self, *message):
        """As if the worker had sent it."""
        with self.lock:
            if self.writing is not None:
                self._write(worker.packed(message))

    def _write(self, data):
        data = memoryview(data)
        try:
            while data:
                data = data[os.write(self.writing, data) :]
        except OSError:  # the controller has closed its end
            pass

    def kill(self):
        """Ends the worker there, and does not wait for it to be so."""
        _aside(self._end, True)

    def close(self):
        _aside(self._end, False)

    def _end(self, kill):
        try:
            if kill and self.channel is not None:
                self.channel.send(b"")
        except Exception:
            pass
        self.hear(None)
        if self.execnet_gateway is not None:
            self.execnet_gateway.exit()


class _Replies:
    def __init__(self, channel):
        self._channel = channel

    def send(self, *message):
        self._channel.send(pickle.dumps(plain(message), protocol=4))


class Hosts:
    """Starts and feeds the workers of a run that are not on this host, or not in this folder."""

    node_class = HostNode

    def __init__(self, controller, specs):
        self.controller, self.config = controller, controller.config
        specs = [Spec(text) for text in specs]
        self._execnet = None if all(spec.is_local for spec in specs) else _execnet()
        self._lock = threading.Lock()
        self._proxies = None
        with open(worker.__file__, encoding="utf-8") as file:
            self._source = file.read()
        self._trees, self._sent, self._sender, self._waiting = {}, set(), {}, {}
        self.explicit_roots = _explicit_roots(self.config)
        self.roots = self.explicit_roots or [os.path.realpath(str(self.config.rootpath))]
        self._ignored = [*self.config.option.naja_not_sent, *map(str, self.config.getini("rsyncignore"))]
        if any(not spec.is_local for spec in specs):
            self._check_roots()

    def _check_roots(self):
        for root in self.roots:
            if root in (os.path.realpath(os.path.expanduser("~")), os.path.realpath(os.sep)):
                raise pytest.UsageError(f"{root} would be sent to other hosts; name the folder of the project with --rsyncdir")

    def roots_of(self, spec):
        """The folders that a worker needs to be sent."""
        return self.explicit_roots if spec.is_local else self.roots

    # Connections

    def start(self, node):
        """Connects to the host of a node, in a thread, so that one that does not answer holds up nobody."""
        reading, writing = os.pipe()
        node.descriptor, node.writing = above_usual(reading), above_usual(writing)
        node.lock = threading.Lock()
        _aside(self._connect, node)

    def _connect(self, node):
        # ssh is started by this thread and inherits what it blocks: Ctrl-C in the terminal is for the controller.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            gateway = self._gateway(node)
            node.execnet_gateway = gateway
            channel = gateway.remote_exec(self._source)
            node.channel, node.replies = channel, _Replies(channel)
            node.gateway = gateway
            channel.setcallback(node.hear, endmarker=None)
            node.tell("connected")
        except Exception as error:
            if type(error).__name__ == "HostNotFound":
                node.tell("unreachable", "the connection could not be made, see what ssh says")
            else:
                python = node.spec.python or "python"
                node.tell("unreachable", f"`{python}` did not start there ({str(error).strip() or type(error).__name__})")
            node.hear(None)

    def _gateway(self, node):
        spec = self._execnet.XSpec(_spec_text(node.spec, node.gateway.id))
        if not spec.chdir and not spec.popen:
            spec.chdir = _FOLDER
        if spec.ssh:
            given = spec.ssh.lower()
            added = [f"-o {name}={value}" for name, value in _SSH_OPTIONS if name.lower() not in given]
            spec.ssh = " ".join([*added, spec.ssh])
        if not spec.via:
            return self._execnet.Group().makegateway(spec)
        with self._lock:
            if self._proxies is None:
                self._proxies = self._execnet.Group()
                for text in self.config.option.naja_proxies:
                    self._proxies.makegateway(self._execnet.XSpec(text))
            return self._proxies.makegateway(spec)

    # The tree

    def send_trees(self, node, roots):
        """Sends a host what it lacks; workers of the same folder on the same host wait for the one that gets it."""
        target = _target(node.spec)
        if target in self._sent:
            node.reply("go")
        elif target in self._sender:
            self._waiting.setdefault(target, []).append(node)
        else:
            self._sender[target] = node
            node.trees = list(roots)
            self._send_next(node)

    def _send_next(self, node):
        root = node.trees[0]
        _call(self.config, "pytest_xdist_rsyncstart", source=root, gateways=[node.gateway])

        def send():
            with self._lock:
                if root not in self._trees:
                    self._trees[root] = sent_tree.list_tree(root, self._ignored)
            node.reply("tree", os.path.basename(root), self._trees[root])

        _aside(send)

    def send_files(self, node, name, paths):
        """Sends the files that a host has asked for, in this order."""
        root = node.trees[0]

        def send():
            for path in paths:
                if path in self._trees[root]:
                    for chunk in _chunks(os.path.join(root, path)):
                        node.reply("chunk", chunk)
                node.reply("chunk", b"")

        _aside(send)

    def has_tree(self, node, name):
        """A host has got a folder whole."""
        root = node.trees.pop(0)
        _call(self.config, "pytest_xdist_rsyncfinish", source=root, gateways=[node.gateway])
        if node.trees:
            self._send_next(node)
            return
        target = _target(node.spec)
        self._sent.add(target)
        self._sender.pop(target, None)
        for one in [node, *self._waiting.pop(target, [])]:
            one.reply("go")

    def forget(self, node):
        """A worker has ended; where it was getting the tree, the next one gets it."""
        target = _target(node.spec)
        if self._sender.get(target) is not node:
            return
        del self._sender[target]
        waiting = [one for one in self._waiting.pop(target, []) if one.is_open]
        for one in waiting:
            self.send_trees(one, self.roots_of(one.spec))


def _execnet():
    try:
        import execnet
    except ImportError:
        raise pytest.UsageError(
            "workers on other hosts need execnet, which is not installed here; "
            "hint: python -m pip install 'execnet>=2.1' (pytest-xdist brings it along)"
        ) from None
    return execnet


def check(config, specs):
    """Refuses, before anything is collected, what could not be done afterwards."""
    if not all(Spec(text).is_local for text in specs):
        _execnet()
    for text in config.option.naja_proxies:
        if not Spec(text).id:
            raise pytest.UsageError(f"--px {text} must say id=NAME, so that --tx can say via=NAME")
    _explicit_roots(config)


def _explicit_roots(config):
    roots = []
    for root in (*config.option.naja_sent, *map(str, config.getini("rsyncdirs"))):
        path = os.path.realpath(os.path.join(str(config.invocation_params.dir), root))
        if not os.path.exists(path):
            raise pytest.UsageError(f"the folder of --rsyncdir does not exist: {root}")
        if path not in roots:
            roots.append(path)
    return roots


def _spec_text(spec, worker_id):
    """The spec for execnet: under the name of the worker, and with pytest in the main thread there."""
    parts = [part for part in spec.text.split("//") if not part.startswith(("id=", "execmodel="))]
    return "//".join(["execmodel=main_thread_only", *parts, f"id={worker_id}"])


def _target(spec):
    """What two workers have in common when they see the same files."""
    return tuple((name, spec.values.get(name)) for name in ("ssh", "ssh_config", "socket", "vagrant_ssh", "via", "chdir"))


def _chunks(path):
    try:
        with open(path, "rb") as file:
            yield from iter(lambda: file.read(_CHUNK_BYTES), b"")
    except OSError:  # gone since it was listed
        return


def _call(config, hook, /, **arguments):
    caller = getattr(config.hook, hook, None)
    if caller is not None:
        caller(**arguments)


def _aside(function, *arguments):
    threading.Thread(target=function, args=arguments, name="naja-host", daemon=True).start()
