"""Workers in interpreters of their own: they configure and collect by themselves, and ask for units over a connection.

They stand in where this process may not be forked, and on other hosts. The queue, the reports and what a crash means
are the controller's, as for forked workers. Start at `FreshWorkers`.
"""

import inspect
import os
import shlex
import subprocess
import sys
from difflib import unified_diff

from . import fork_safety, sent_tree, served_plugins, worker, xdist_hooks
from .controller import Node
from .work_queue import PENDING
from .worker import above_usual, load_plain

# The search path of modules before any test was collected.
_PATH = list(sys.path)
# What of the environment says how pytest runs; the rest of it stays on this host.
_SENT_TO_HOSTS = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD")
# What an option does, by the class that argparse has for it.
_ACTIONS = {
    "_StoreAction": "store",
    "_StoreTrueAction": "store_true",
    "_StoreFalseAction": "store_false",
    "_AppendAction": "append",
    "_CountAction": "count",
}


class Spec:
    """Where a worker runs, as execnet writes it: `popen//python=python3.13//chdir=folder//env:NAME=value`."""

    def __init__(self, text):
        self.text = text
        self.env, self.values = {}, {}
        for part in text.split("//"):
            name, separator, value = part.partition("=")
            if name.startswith("env:"):
                self.env[name[4:]] = value
            else:
                self.values[name] = value if separator else True

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return self.values.get(name)

    def __str__(self):
        return self.text

    @property
    def place(self):
        """The part of the text that names the host."""
        return next((part for part in self.text.split("//") if part.split("=")[0] in ("ssh", "socket", "vagrant_ssh", "via")), self.text)

    @property
    def is_local(self):
        """Whether the worker is a child process of this one."""
        return bool(self.popen) and not self.via


class FreshNode(Node):
    """A worker in a new interpreter on this host."""

    load = staticmethod(load_plain)
    spec = popen = replies = None
    # Whether it got as far as to compare what it has collected, and why it does not take part if not.
    has_collected, refusal = False, None

    def poll(self):
        return super().poll() if self.process is not None else "it could not be started"

    def reply(self, *message):
        """Sends the worker a message; one that has ended hears nothing, and its end is seen elsewhere."""
        if self.replies is not None:
            try:
                self.replies.send(*message)
            except OSError:
                pass

    def close(self):
        """Lets go of what only a worker in another interpreter has."""
        if self.popen is not None:
            self.popen.returncode = 0  # `poll` has waited for it
        self.replies.close()
        self.replies = None


class _Replies:
    """The controller's end of the pipe that a worker reads."""

    def __init__(self, descriptor):
        self._descriptor = descriptor

    def send(self, *message):
        data = memoryview(worker.packed(message))
        while data:
            data = data[os.write(self._descriptor, data) :]

    def close(self):
        os.close(self._descriptor)


class FreshWorkers:
    """Starts workers in new interpreters for a `Controller`, and answers what they ask."""

    def __init__(self, controller, specs, hosts=None, reason=None):
        self.controller, self.config, self.hosts, self.reason = controller, controller.config, hosts, reason
        self.specs = [Spec(text) for text in specs]
        self.ids = None
        self.told, self.left, self.unreached = set(), [], []
        served_plugins.call_others(self.config, "pytest_xdist_setupnodes", config=self.config, specs=self.specs)

    def start(self, slot):
        """Starts the worker of a place in the plan."""
        spec = self.specs[slot % len(self.specs)]
        controller = self.controller
        node = controller.new_node(slot, FreshNode if spec.is_local else self.hosts.node_class)
        node.spec = spec
        node.gateway.spec = spec
        node.nodemanager = self
        controller._flush()
        served_plugins.serve(self.config, node)
        served_plugins.call_others(self.config, "pytest_configure_node", node=node)
        if spec.is_local:
            _start_process(node, spec, self._is_this_interpreter(spec))
            controller.watch(node)
            self.greet(node)
        else:
            self.hosts.start(node)
            controller.watch(node)

    @property
    def roots(self):
        """The folders that are sent to other hosts."""
        return self.hosts.roots if self.hosts is not None else []

    def _is_this_interpreter(self, spec):
        return not spec.python

    def greet(self, node):
        """Tells a worker that has started what to do."""
        spec = node.spec
        is_here = spec.is_local and not spec.chdir
        roots = [] if is_here or self.hosts is None else self.hosts.roots_of(spec)
        places = sent_tree.Places(self.config, roots, moves=not is_here)
        basetemp = None
        factory = getattr(self.config, "_tmp_path_factory", None)
        if spec.is_local and factory is not None:
            basetemp = str(factory.getbasetemp() / f"popen-{node.gateway.id}")
        worker_input = node.workerinput
        environment = {
            "PYTEST_XDIST_WORKER": worker_input["workerid"],
            "PYTEST_XDIST_WORKER_COUNT": str(worker_input["workercount"]),
            "PYTEST_XDIST_TESTRUNUID": worker_input["testrunuid"],
        }
        if not spec.is_local:
            environment.update((name, os.environ[name]) for name in _SENT_TO_HOSTS if name in os.environ)
        node.reply(
            "setup",
            {
                "input": worker_input,
                "hooks": inspect.getsource(xdist_hooks),
                "options": _options(self.config),
                "ini": _ini(self.config),
                "markers": list(self.config.getini("markers")),
                "temporary": basetemp,
                "mode": self.controller.settings.mode,
                "environment": environment,
                "roots": places.prefixes,
                "folder": places.folder,
                "path": _PATH if spec.is_local and self._is_this_interpreter(spec) and not roots else None,
                "arguments": _arguments(self.config, places.arguments),
            },
        )
        if roots:
            self.hosts.send_trees(node, roots)
        else:
            node.reply("go")

    # What workers send

    def on_need(self, node, name, paths):
        self.hosts.send_files(node, name, paths)

    def on_has_tree(self, node, name):
        self.hosts.has_tree(node, name)

    def on_connected(self, node):
        served_plugins.call_others(self.config, "pytest_xdist_newgateway", gateway=node.gateway)
        self.greet(node)

    def on_unreachable(self, node, text):
        node.refusal = f"{node.spec.place} cannot be reached: {text}"

    def on_broken(self, node, text):
        node.refusal = f"pytest could not begin: {text}"

    def on_ready(self, node, info):
        node.workerinfo.update(info)
        served_plugins.call_others(self.config, "pytest_testnodeready", node=node)

    def on_collect_report(self, node, data):
        report = self.config.hook.pytest_report_from_serializable(config=self.config, data=data)
        report.node = node
        node.refusal = "it could not collect"
        key = (report.nodeid, report.longreprtext)
        if key not in self.told:
            self.told.add(key)
            self.config.hook.pytest_collectreport(report=report)

    def on_collected(self, node, ids):
        """Compares what the worker has collected; it then runs the tests by the controller's numbers."""
        node.has_collected = True
        if self.ids is None:
            self.ids = [item.nodeid for item in self.controller.session.items]
        served_plugins.call_others(self.config, "pytest_xdist_node_collection_finished", node=node, ids=ids)
        if ids == self.ids:
            node.reply("run", None)
            return
        places = {}
        for place, nodeid in enumerate(ids):
            places.setdefault(nodeid, []).append(place)
        positions = [places[nodeid].pop(0) if places.get(nodeid) else None for nodeid in self.ids]
        missing = [test for test, place in enumerate(positions) if place is None]
        if missing and self.controller.settings.mode == "each":
            # Every worker runs what it has: interpreters of other versions need not have all.
            for test in missing:
                node.queue.finish(node.place, test)
            self.controller._line(f"[{node.gateway.id}] {_tests(len(missing))} of {len(positions)} not collected there")
        elif missing:
            node.refusal = "it has collected other tests"
            self._tell_difference(node, ids)
            node.reply("leave")
            return
        node.reply("run", positions)

    def _tell_difference(self, node, ids):
        import pytest

        difference = unified_diff(self.ids, ids, fromfile="controller", tofile=node.gateway.id, lineterm="")
        text = (
            f"Different tests were collected between controller and {node.gateway.id}. The difference is:\n"
            + "\n".join(difference)
            + "\nA name of a parameter that differs from process to process is the usual reason: a set's order, a time, an address."
        )
        if text.replace(node.gateway.id, "") not in self.told:
            self.told.add(text.replace(node.gateway.id, ""))
            report = pytest.CollectReport(nodeid=node.gateway.id, outcome="failed", longrepr=text, result=[])
            self.config.hook.pytest_collectreport(report=report)

    def on_take(self, node):
        self._give_unit(node, node.queue.take)

    def on_announce(self, node):
        self._give_unit(node, node.queue.announce)

    def _give_unit(self, node, find):
        """Answers with the next unit that has tests to run."""
        unit = find(node.place)
        while unit is not None:
            tests = [test for test in node.queue.units[unit] if node.queue.state(test) == PENDING]
            if tests:
                node.reply("unit", unit, tests)
                return
            unit = find(node.place)
        node.reply("unit", None, [])

    def on_queue_begin(self, node, test):
        node.queue.begun(node.place, test)

    def on_queue_finish(self, node, test):
        node.queue.finish(node.place, test)

    # Ends

    def stop(self):
        """No more tests are begun."""
        for node in self.controller.nodes:
            if node.is_open:
                node.reply("stop")

    def take_leave(self, node, how):
        """A worker has ended without a test in it; says whether that was no crash of a test but of the worker itself.

        What was kept for it goes to others, and to a new worker where no other is left.
        """
        controller = self.controller
        if self.hosts is not None:
            self.hosts.forget(node)
        if node.has_collected and node.refusal is None and node.told_end is None:
            return False
        if node.refusal is None and not node.has_collected:
            if node.told_end is not None:
                how = f"pytest ended with exit code {getattr(node, 'workeroutput', {}).get('exitstatus')}"
            node.refusal = node.killed_for or f"it ended before it had collected: {how}"
        if node.refusal is None:
            self.left.append(node)
        else:
            self.unreached.append((node, node.refusal))
            controller._line(f"[{node.gateway.id}] does not take part: {node.refusal}")
            controller.front_end.send("worker-refused", worker=node.gateway.id, reason=node.refusal)
        node.queue.give_back(node.place)
        served_plugins.keep_coverage(self.config, node)
        if controller._is_stopping() or not node.queue.has_pending():
            return True
        if any(other.is_open and other.queue is node.queue for other in controller.nodes):
            return True
        able = [other for other in self.left if other.queue is node.queue]
        if able:
            self.start(able[-1].slot)
        return True

    def tell_unrun(self):
        """At the end: a run in which no worker was left for some of the tests has failed, and says so."""
        controller = self.controller
        pending = sum(queue.state(test) == PENDING for queue in controller.queues for unit in queue.units for test in unit)
        if pending and self.unreached and not controller._is_stopping():
            controller.stop_reason = controller.session.shouldfail = f"no worker was left to run {_tests(pending)}"

    def tell_node_down(self, node, error):
        """Tells plugins of a worker's end."""
        served_plugins.call_others(self.config, "pytest_testnodedown", node=node, error=error)

    def summary_lines(self):
        """A line for each worker that did not take part, and why none was forked where nothing has told that yet."""
        told = [f"workers were new interpreters: {self.reason}"] if self.reason and self.controller.front_end.is_live else []
        return told + [f"{node.gateway.id} did not take part: {reason}" for node, reason in self.unreached]


def plan(controller):
    """The `FreshWorkers` of a run, or `None` where workers are forked; says why in one line."""
    settings, config = controller.settings, controller.config
    if settings.specs is not None:
        from .hosts import Hosts

        return FreshWorkers(controller, settings.specs, Hosts(controller, settings.specs))
    reason = fork_safety.why_not(config)
    if reason is None:
        return None
    controller._line(f"workers are new interpreters, which takes longer to start: {reason}")
    controller.front_end.send("fresh", reason=reason)
    return FreshWorkers(controller, ["popen"] * settings.workers, reason=reason)


def _start_process(node, spec, is_this_interpreter):
    to_worker, replies = os.pipe()
    reading, to_controller = os.pipe()
    reading, replies = above_usual(reading), above_usual(replies)
    if is_this_interpreter:
        flags = getattr(subprocess, "_args_from_interpreter_flags", list)  # private: without it, -O and the like are lost
        command = [sys.executable, *flags()]
    else:
        command = shlex.split(os.path.expanduser(spec.python))
    if spec.dont_write_bytecode or (is_this_interpreter and sys.dont_write_bytecode):
        command.append("-B")
    if spec.nice:
        command = ["nice", "-n", spec.nice, *command]
    if spec.chdir:
        os.makedirs(spec.chdir, exist_ok=True)
    crash = node.crash_file.fileno()
    passed = [str(number) for number in (to_worker, to_controller, crash)]
    file = os.path.abspath(worker.__file__)
    try:
        node.popen = subprocess.Popen(
            [*command, file, *passed],
            stdin=subprocess.DEVNULL,
            pass_fds=(to_worker, to_controller, crash),
            cwd=spec.chdir or None,
            env={**os.environ, **spec.env},
        )
    except OSError as error:
        os.write(to_controller, worker.packed(("unreachable", str(error))))
    finally:
        os.close(to_worker)
        os.close(to_controller)
    node.descriptor, node.replies = reading, _Replies(replies)
    node.process = node.popen.pid if node.popen is not None else None


def _options(config):
    """The options of the controller's plugin, as data, for parsers that do not know them."""
    found = []
    for group in getattr(config._parser, "_groups", []):
        if group.name != "naja":
            continue
        for option in group.options:
            attributes = option.attrs()
            # Since pytest 9 these are the attributes of argparse's own action, whose class says what it does.
            own = getattr(option, "_action", None)
            action = attributes.get("action", "store") if own is None else _ACTIONS.get(type(own).__name__, "store")
            settings = {"action": action if action in _ACTIONS.values() else "store", "dest": attributes["dest"]}
            for name in ("default", "nargs", "choices"):
                if attributes.get(name) is not None and (name == "default" or settings["action"] in ("store", "append")):
                    settings[name] = worker.plain(attributes[name])
            found.append((list(option.names()), settings))
    return found


def _ini(config):
    """The settings of the controller's plugin: name and type."""
    return [
        (name, known[1] if isinstance(known[1], str) else None)
        for name, known in getattr(config._parser, "_inidict", {}).items()
        if name.startswith("naja") or name in ("rsyncdirs", "rsyncignore")
    ]


def _arguments(config, arguments):
    """The arguments of a worker: without what would distribute the tests once more."""
    plugin = sys.modules.get(__package__ + ".plugin")
    own = {config.pluginmanager.get_name(plugin), getattr(plugin, "__name__", None)} - {None}
    kept = []
    for one in arguments:
        if one in own and kept and kept[-1] == "-p":
            kept.pop()
        elif not (isinstance(one, str) and one.startswith("-p") and one[2:] in own):
            kept.append(one)
    if served_plugins.coverage(config) is not None:
        kept.append("--cov-append")  # else a worker that starts late deletes what a quick one has measured
    # Of two arguments that block and load a plugin, the last one counts.
    return [part for name in sorted(own) for part in ("-p", f"no:{name}")] + kept + ["-p", "no:xdist", "-p", "no:xdist.looponfail"]


def _tests(count):
    return f"{count} test" if count == 1 else f"{count} tests"
