"""The collecting process: forks workers, hears what they report, and gives it to this pytest as if it had run here.

Nothing is lost and nothing counted twice: the queue knows of every test whether it is pending, begun or finished, and
the run fails when that does not add up. Start at `Controller.pytest_runtestloop`.
"""

import fcntl
import gc
import os
import pickle
import selectors
import signal
import sys
import time
import uuid

import pytest

from . import debugger, ending, isolation, scheduling
from .session_fixtures import SessionFixtures
from .stop_signals import StopSignals
from .threads import ThreadedWorker, Threads
from .work_queue import FINISHED, PENDING, WorkQueue
from .worker import Channel, Worker, above_usual, become_worker, leave, messages, silent_writer, warning_of

# A worker that has told its end is given this long to end, in seconds.
_ENDING_S = 10.0
# So many workers one after the other may die before they have begun a test.
_MOST_STILLBORN = 3
# After a message others follow soon: they are heard together, so that not each one wakes this process. In seconds.
_GATHER_S = 0.005
# Of so few tests the outcome is wanted at once.
_FEW = 8
# What a pipe of a worker may hold meanwhile, in bytes.
_PIPE_SIZE = 1 << 18
# How often to look whether workers live where the system has no descriptor for that, in seconds.
_LOOK_S = 0.05


class Gateway:
    """What pytest and its plugins ask a report's node for."""

    def __init__(self, name):
        self.id = name
        self.spec = "popen"


class Node:
    """A worker as the controller sees it; plugins know it by the names that xdist gave to its attributes."""

    def __init__(self, config, number, slot, worker_input):
        self.config, self.number, self.slot = config, number, slot
        self.gateway = Gateway(worker_input["workerid"])
        # It has no `workeroutput` before it has told its end: by that plugins know one that died.
        self.workerinput = worker_input
        self.workerinfo = {
            "id": self.gateway.id,
            "version": sys.version,
            "version_info": tuple(sys.version_info),
            "sysplatform": sys.platform,
            "platform": os.name,
            "executable": sys.executable,
            "cwd": os.getcwd(),
            "spec": self.gateway.spec,
        }
        self.queue = self.place = None
        self.process = self.descriptor = self.process_descriptor = self.crash_file = None
        self.buffer = bytearray()
        self.told_end = None
        self.is_open = True
        self.killed_for = None
        self.stacks = ""
        self.ended_at = None
        self.life = self.remains = None  # a pipe that ends the worker with this process; what it left when it died
        self.cleaning = None  # the test whose fixtures it tears down out of turn
        self.has_begun = False

    def __repr__(self):
        return f"<WorkerController {self.gateway.id}>"

    # What turns the bytes of a message into the message.
    load = staticmethod(pickle.loads)

    @property
    def is_watched(self):
        """Whether a descriptor tells its end, so that nobody has to look now and then."""
        return self.process_descriptor is not None

    def poll(self):
        """How it has ended, as a part of a sentence; `None` while it lives."""
        try:
            process, status = os.waitpid(self.process, os.WNOHANG)
        except ChildProcessError:  # a plugin has waited for all children
            process, status = self.process, 0
        return None if process == 0 else _how_it_ended(status)

    def close(self):
        """Lets go of what this kind of worker holds in this process, after its end."""

    def kill(self):
        """Ends the worker, and what its tests have started in its process group."""
        for send in (os.killpg, os.kill):
            try:
                send(self.process, signal.SIGKILL)
            except OSError:
                pass


class Unseen:
    """The plugin that leaves out what pytest prints of single tests, where `naja test` draws its own view of them."""

    def __init__(self, terminal):
        self.terminal = terminal

    def _silently(self):
        writer = self.terminal._tw
        self.terminal._tw = silent_writer(writer)
        try:
            yield
        finally:
            self.terminal._tw = writer

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self):
        yield from self._silently()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_logstart(self):
        yield from self._silently()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_logfinish(self):
        yield from self._silently()


class Controller:
    """The plugin that runs the tests of a session in forked workers."""

    def __init__(self, config, settings, front_end):
        self.config, self.settings, self.front_end = config, settings, front_end
        self.run_id = settings.run_id or uuid.uuid4().hex
        self.terminal = config.pluginmanager.getplugin("terminalreporter")
        if front_end.is_live and self.terminal is not None:
            config.pluginmanager.register(Unseen(self.terminal), "naja-unseen")
        self.verbose = getattr(config.option, "verbose", 0)
        self.nodes, self.crashes = [], 0
        self.stop_reason = self.summary = self.raised = None
        self.interrupts = self.stillborn = 0
        self.signals, self.orders_to_stop = StopSignals(), 0
        self.loan = self.holder = None  # the terminal, and the worker that has it for a debugger
        self.with_outcome, self.lost = set(), []
        self.handlers = {}  # of messages, by their names
        self.has_heard = False  # in this turn, a message of a worker
        self.fresh = None  # what starts workers where they are not forked

    # The session

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session):
        if session.config.option.collectonly:
            return None
        if session.testsfailed and not session.config.option.continue_on_collection_errors:
            return None
        if not session.items:
            return None
        from . import fresh

        self.session = session
        self.fresh = fresh.plan(self)
        self._plan(session.items)
        self._run()
        if self.fresh is not None:
            self.fresh.tell_unrun()
        self._check_the_sum()
        if self.raised is not None:
            raise self.raised
        if self.stop_reason:
            raise (session.Interrupted if session.shouldstop else session.Failed)(self.stop_reason)
        return True

    def _plan(self, items):
        mode = self.settings.mode
        seconds = self.settings.expected_seconds(items)
        workers = self.settings.workers
        count = self.settings.tests_per_worker
        self.threads = Threads(items, count) if count > 1 else None
        units = scheduling.units(items, mode, workers * count, seconds, self.settings.reorder)
        if mode == "each":
            self.queues = [WorkQueue(units, len(items), 1) for _ in range(workers)]
        else:
            # Hosts are all tried, since one that cannot be reached leaves its tests to another.
            workers = workers if self.settings.specs else max(1, min(workers, len(units)))
            self.queues = [self._queue(units, workers, seconds)]
        self.workers, self.seconds = workers, seconds
        self._line(f"created: {workers}/{workers} worker{'' if workers == 1 else 's'}")
        count = len(items)
        self._line(f"{workers} worker{'' if workers == 1 else 's'} [{count} item{'' if count == 1 else 's'}]")
        if self.verbose > 0:
            self._line("")
            self._line(f"scheduling tests via {_scheduler_name(mode)}")
        for line in self.threads.lines(self.verbose) if self.threads else ():
            self._line(line)
        self.front_end.send("collected", tests=[item.nodeid for item in items], workers=workers, mode=mode)

    def _queue(self, units, workers, seconds):
        times = [sum(seconds[test] for test in unit) for unit in units] if seconds else None
        return WorkQueue(units, len(self.session.items), workers, times)

    def _set_up_fixtures(self):
        """Sets up what workers can inherit, and keeps together what needs a fixture that one worker alone can have."""
        units = self.queues[0].units
        self.session_fixtures.set_up(units, self.workers)
        groups = self.session_fixtures.of_one_worker()
        if groups and self.settings.mode != "each":
            units = scheduling.with_one_worker(units, groups, self.settings.mode)
            self.queues = [self._queue(units, self.workers, self.seconds)]

    def _run(self):
        self.selector = selectors.DefaultSelector()
        self.loan = debugger.Loan()
        if self.front_end.orders is not None:
            self.selector.register(self.front_end.orders, selectors.EVENT_READ, self.front_end)
        factory = getattr(self.config, "_tmp_path_factory", None)
        if factory is not None:
            factory.getbasetemp()  # workers make theirs below it
        self.session_fixtures = SessionFixtures(self.session, self._tell, self.front_end.send)
        try:
            _keep_what_is_there()
            self.front_end.send("setting-up", is_over=False)
            if self.fresh is None:  # only a fork can inherit them
                self._set_up_fixtures()
            self.front_end.send("setting-up", is_over=True)
            self.signals.hold()
            self.selector.register(self.signals.descriptor, selectors.EVENT_READ, self.signals)
            _keep_what_is_there()
            for slot in range(self.workers):
                self._start(slot)
            while any(node.is_open for node in self.nodes):
                self._turn()
        finally:
            self._kill_all()
            self.selector.close()
            self.signals.release()
            report = self.session_fixtures.tear_down()
            if report is not None:
                self._give_report(None, len(self.session.items) - 1, report)

    def _turn(self):
        """Waits for the next thing to happen, and deals with it."""
        # Workers that are not forked wait for answers.
        are_many = len(self.session.items) > _FEW
        if are_many and self.has_heard and self.fresh is None and any(node.is_open and node.told_end is None for node in self.nodes):
            time.sleep(_GATHER_S)
        self.has_heard = False
        with self.front_end.in_one_piece():
            self._deal_with_what_happens()

    def _deal_with_what_happens(self):
        has_all = all(node.is_watched for node in self.nodes if node.is_open)
        waiting = any(node.told_end is not None or node.ended_at is not None for node in self.nodes if node.is_open)
        for key, _ in self.selector.select(None if has_all and not waiting else _LOOK_S):
            if key.data is self.front_end:
                self._orders()
                continue
            if key.data is self.signals:
                self._count_interrupts()
                continue
            kind, node = key.data
            if self.holder not in (None, node):
                continue  # it was heard in this very turn that another has the terminal
            if not node.is_open:
                continue  # its end came first in this turn; the descriptor may already be another worker's
            if kind == "messages":
                self._hear(node)
            else:
                self._look_at(node)
        for node in self.nodes:
            if self.holder in (None, node) and node.is_open and (not node.is_watched or node.told_end is not None):
                self._look_at(node)

    # Workers

    def _start(self, slot):
        """Starts a worker for the place `slot` in the plan."""
        if self.fresh is None:
            try:
                self._fork(slot)
            except OSError as error:  # no more processes, memory or descriptors
                self._cannot_fork(slot, error)
        else:
            self.fresh.start(slot)

    def new_node(self, slot, kind=Node):
        """A worker that is about to be started."""
        number = len(self.nodes)
        worker_input = {
            "workerid": f"gw{number}",
            "workercount": self.workers,
            "testrunuid": self.run_id,
            "mainargv": list(sys.argv),
        }
        node = kind(self.config, number, slot, worker_input)
        node.queue = self.queues[slot] if self.settings.mode == "each" else self.queues[0]
        node.place = 0 if self.settings.mode == "each" else slot
        if self.threads:
            self.threads.prepare(node)
        node.remains = ending.Remains()
        node.crash_file = node.remains.stacks
        return node

    def watch(self, node):
        """Hears a worker that has been started, and its end."""
        self.nodes.append(node)
        os.set_blocking(node.descriptor, False)
        self.selector.register(node.descriptor, selectors.EVENT_READ, ("messages", node))
        if node.process is not None and hasattr(os, "pidfd_open"):
            try:
                node.process_descriptor = above_usual(os.pidfd_open(node.process))
                self.selector.register(node.process_descriptor, selectors.EVENT_READ, ("end", node))
            except OSError:
                pass
        self.front_end.send("worker", worker=node.gateway.id, process=node.process or 0)

    def _fork(self, slot):
        node = self.new_node(slot)
        reading, writing = map(above_usual, os.pipe())
        life, node.life = map(above_usual, os.pipe())
        _widen(writing)
        self._flush()
        self.front_end.flush()
        process = os.fork()
        if process == 0:
            self._be_worker(node, life, writing, [reading, node.life])
        os.close(life)
        os.close(writing)
        node.process, node.descriptor = process, reading
        self.watch(node)

    def _cannot_fork(self, slot, error):
        self._line(f"cannot start worker {slot + 1} of {self.workers}: {error}")
        queue, place = (self.queues[slot], 0) if self.settings.mode == "each" else (self.queues[0], slot)
        queue.give_back(place)
        if not any(node.is_open for node in self.nodes):
            self.raised = pytest.exit.Exception(f"no worker can be started: {error}; `-n0` runs without workers", 3)

    def _be_worker(self, node, life, writing, to_close):
        """The rest of the life of a forked process; never returns."""
        status = 1
        try:
            channel = Channel(writing)
            for descriptor in to_close:
                os.close(descriptor)
            if isolation.tell_end(channel, lambda: self._work(node, life, channel)):
                status = 0
            channel.send("end", dict(self.config.workeroutput))
        finally:
            leave(status)

    def _work(self, node, life, channel):
        self._forget_siblings()
        session = self.session
        reporter = node.remains.capture_here(
            ending.capture_module(),
            lambda: become_worker(session, channel, node.workerinput, node.crash_file),
        )
        self.session_fixtures.inherit()
        ending.end_with(life)
        witness = ending.Witness(node.crash_file)
        for plugin in (witness, debugger.Terminal(self.config, channel, self.loan)):
            self.config.pluginmanager.register(plugin)
        if self.settings.isolate:
            worker = isolation.IsolatingWorker(session, node.queue, node.place, reporter, witness=witness)
        elif self.threads:
            worker = ThreadedWorker(session, node.queue, node.place, reporter, self.threads, node.again)
        else:
            worker = Worker(session, node.queue, node.place, reporter)
        worker.run()

    def _forget_siblings(self):
        self.signals.release()
        self.selector.close()
        self.front_end.close_in_worker()
        for sibling in self.nodes:
            for descriptor in (sibling.descriptor, sibling.process_descriptor, sibling.life):
                if descriptor is not None and sibling.is_open:
                    os.close(descriptor)

    def _flush(self):
        """What this process has not written yet would be written by the worker too."""
        capture = self.config.pluginmanager.getplugin("capturemanager")
        if capture is not None and capture.is_globally_capturing():
            captured = capture.read_global_capture()
            if (captured.out or captured.err) and self.terminal is not None:
                self.terminal.ensure_newline()
                self.terminal.write(captured.out + captured.err)
        if self.terminal is not None:
            self.terminal._tw.flush()
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            try:
                stream.flush()
            except (AttributeError, ValueError, OSError):
                pass

    def _hear(self, node):
        """Reads what a worker has sent, and acts on each message."""
        while True:
            try:
                data = os.read(node.descriptor, 1 << 16)
            except BlockingIOError:
                break
            if not data:
                self.selector.unregister(node.descriptor)
                node.ended_at = node.ended_at or time.monotonic()
                break
            node.buffer += data
        for message in messages(node.buffer, node.load):
            self.has_heard = True
            self._handler(message[0])(node, *message[1:])

    def _handler(self, name):
        """What deals with messages of this name."""
        if name not in self.handlers:
            own = name.replace("-", "_")
            self.handlers[name] = getattr(self, "_on_" + own, None) or getattr(self.fresh, "on_" + own)
        return self.handlers[name]

    def _look_at(self, node):
        """Whether the worker's process has ended; what it sent is heard before its end is."""
        how = node.poll()
        if how is None:
            if node.told_end is not None and time.monotonic() - node.told_end > _ENDING_S:
                node.kill()
            return
        if node.descriptor in self.selector.get_map():
            self._hear(node)
        self._close(node)
        self._ended(node, how)

    def _close(self, node):
        node.is_open = False
        for descriptor in (node.descriptor, node.process_descriptor):
            if descriptor is None:
                continue
            if descriptor in self.selector.get_map():
                self.selector.unregister(descriptor)
            os.close(descriptor)
        if node.life is not None:
            os.close(node.life)
        node.close()

    def _ended(self, node, how):
        test = node.queue.running(node.place)
        if self.threads and (node.running or node.again):
            test = self.threads.blame(node, node.remains.stacks_text())
        crashed = test is not None or node.told_end is None
        self.front_end.send("worker-end", worker=node.gateway.id, process=node.process or 0, crashed=crashed)
        self._tell_node_down(node, "Not properly terminated" if crashed else None)
        if self.fresh is not None and test is None and self.fresh.take_leave(node, how):
            crashed = False
        if self.holder is node:
            debugger.take_back()
            self.loan.reset()
            self._on_terminal(node, False)
        if crashed:
            self._crashed(node, test, how)
        node.remains.close()

    def _crashed(self, node, test, how):
        node.queue.give_back(node.place)
        if self.interrupts > 1 and not node.killed_for:
            # Ended because the user wanted no more of it: its test counts as not run.
            if test is not None:
                node.queue.forget(node.place, test)
            return
        self._line(f"[{node.gateway.id}] node down: {node.killed_for or how}")
        if test is not None:
            node.queue.finish(node.place, test)
            self._report_crash(node, test, how)
        elif node.cleaning is not None:
            self._report_crash(node, node.cleaning, how, "teardown")
        self.crashes += 1
        self.stillborn = 0 if node.has_begun else self.stillborn + 1
        if self.stillborn >= _MOST_STILLBORN:
            self.raised = pytest.exit.Exception(
                f"{self.stillborn} workers in a row died before their first test, the last one: {how}", 3
            )
            self._stop_handing_out()
        self._replace(node)

    def _tell_node_down(self, node, error):
        if self.fresh is not None:
            self.fresh.tell_node_down(node, error)

    def _replace(self, node):
        most = self.settings.most_restarts
        if most is not None and self.crashes > most:
            if most == 0:
                self.summary = f"worker {node.gateway.id} crashed and worker restarting disabled"
            else:
                self.summary = f"maximum crashed workers reached: {most}"
            self._line("\n" + self.summary)
            self._stop_handing_out()
        # A fork costs milliseconds. So that what is said does not depend on who was first, it is made even where the
        # others have begun all that is left.
        elif not self._is_stopping() and (self.fresh is None or node.queue.has_pending()):
            self._line(f"\nreplacing crashed worker {node.gateway.id}")
            self._start(node.slot)

    def _report_crash(self, node, test, how, when="???"):
        item = self.session.items[test]
        doing = "running" if when == "???" else "tearing down what was set up for"
        if node.killed_for:
            text = f"worker {node.gateway.id!r} was ended while {doing} {item.nodeid!r}: {node.killed_for}"
        else:
            text = f"worker {node.gateway.id!r} crashed while {doing} {item.nodeid!r}: {how}"
        stacks = node.stacks or node.remains.stacks_text()
        if not (stacks or node.killed_for) and "SIGKILL" in how:
            text += "\n(SIGKILL leaves no stacks; the kernel sends it when memory is short)"
        if not self.config.getoption("fulltrace", False):
            stacks = without_pytest(stacks)
        report = pytest.TestReport(
            nodeid=item.nodeid,
            location=item.location,
            keywords={},
            outcome="failed",
            longrepr=text + ("\n\n" + stacks if stacks else ""),
            when=when,
            sections=node.remains.sections(),
        )
        report.node = node
        hook = getattr(self.config.hook, "pytest_handlecrashitem", None)
        if hook is not None:
            hook(crashitem=item.nodeid, report=report, sched=self)
        self._give_report(node, test, report)
        if when == "???":
            self.front_end.send("done", worker=node.gateway.id, test=test, seconds=None)

    # Messages

    def _on_start(self, node, test, nodeid, location):
        node.has_begun = True
        self.front_end.send("start", worker=node.gateway.id, test=test)
        self.config.hook.pytest_runtest_logstart(nodeid=nodeid, location=location)

    def _on_finish(self, node, test, nodeid, location):
        self.config.hook.pytest_runtest_logfinish(nodeid=nodeid, location=location)

    def _on_threads(self, node, *message):
        self.threads.hear(node, *message)

    def _on_together(self, node, test, told):
        for message in told:
            self._handler(message[0])(node, *message[1:])
        self.threads.over(node, test)
        if (id(node.queue), test) in self.with_outcome:
            node.queue.finish(node.place, test)
        else:
            node.queue.forget(node.place, test)

    def _on_report(self, node, test, data):
        report = self.config.hook.pytest_report_from_serializable(config=self.config, data=data)
        report.node = node
        self._give_report(node, test, report)

    def _give_report(self, node, test, report):
        if report.when != "setup" or report.outcome != "passed":
            self.with_outcome.add((id(node.queue) if node is not None else None, test))
        self.config.hook.pytest_runtest_logreport(report=report)
        self.front_end.send(
            "report",
            worker=node.gateway.id if node is not None else "main",
            test=test,
            when=report.when,
            outcome="xfailed" if hasattr(report, "wasxfail") and report.skipped else report.outcome,
            seconds=getattr(report, "duration", 0.0),
            text=report.longreprtext if report.failed else None,
            file=report.location[0],
            line=None if report.location[1] is None else report.location[1] + 1,
        )
        # pytest itself counts failures for `--maxfail`, and `--stepwise` and plugins stop a session in this way.
        session = self.session
        if (session.shouldfail or session.shouldstop) and not self.stop_reason:
            self.stop_reason = str(session.shouldfail or session.shouldstop)
            self._stop_handing_out()

    def _on_loaded(self, node, file, modules):
        self.front_end.send("loaded", file=file, modules=modules)

    def _on_done(self, node, test, seconds):
        self.front_end.send("done", worker=node.gateway.id, test=test, seconds=seconds)

    def _on_cleanup(self, node, test, is_over):
        node.cleaning = None if is_over else test
        self.front_end.send("cleanup", worker=node.gateway.id, test=test, is_over=is_over)

    def _on_terminal(self, node, is_taken):
        """A worker has taken the terminal for a debugger, or has given it back: the others are not heard meanwhile."""
        self.holder = node if is_taken else None
        for other in self.nodes:
            if other is node or not other.is_open:
                continue
            for kind, descriptor in (("messages", other.descriptor), ("end", other.process_descriptor)):
                if descriptor is None or (kind == "messages" and other.ended_at is not None):
                    continue
                if is_taken and descriptor in self.selector.get_map():
                    self.selector.unregister(descriptor)
                elif not is_taken and descriptor not in self.selector.get_map():
                    self.selector.register(descriptor, selectors.EVENT_READ, (kind, other))
        self._flush()
        self.front_end.send("terminal", worker=node.gateway.id, is_taken=is_taken)
        if is_taken:
            self.loan.grant()

    def _on_warning(self, node, data, when, nodeid, location):
        self.config.hook.pytest_warning_recorded.call_historic(
            kwargs={"warning_message": warning_of(data), "when": when, "nodeid": nodeid, "location": location}
        )

    def _on_stopped(self, node, reason):
        self.stop_reason = self.stop_reason or reason
        self._stop_handing_out()

    def _on_interrupted(self, node, test):
        where = f" in {self.session.items[test].nodeid}" if test is not None else ""
        self._forget(node)
        self.raised = self.session.Interrupted(f"{node.gateway.id} received a KeyboardInterrupt{where}")
        self._stop_handing_out()

    def _on_exit(self, node, reason, code):
        self._forget(node)
        self.raised = pytest.exit.Exception(reason, code)
        self._stop_handing_out()

    def _on_internal_error(self, node, text):
        self._forget(node)
        self.raised = RuntimeError(f"pytest failed in worker {node.gateway.id}:\n{text}")
        self._stop_handing_out()

    def _forget(self, node):
        """The test that a worker was in has ended the run, and has no outcome."""
        test = node.queue.running(node.place)
        if test is not None:
            node.queue.forget(node.place, test)

    def _on_end(self, node, output):
        node.workeroutput = output
        node.told_end = time.monotonic()

    # Stopping

    def _orders(self):
        orders = self.front_end.read_orders()
        if orders is None:
            # `naja test` is gone without having waited: nobody wants to know any more.
            self.selector.unregister(self.front_end.orders)
            self.orders_to_stop = 2
            self._count_interrupts()
            return
        for order in orders:
            if order.get("order") == "stop":
                self.orders_to_stop = order["count"]
                self._count_interrupts()
            elif order.get("order") == "kill":
                for node in self.nodes:
                    if node.is_open and node.gateway.id == order["worker"]:
                        node.killed_for, node.stacks = order["reason"], order.get("text", "")
                        node.killed_test = order.get("test")
                        node.kill()

    def _count_interrupts(self):
        # Ctrl-C in a terminal reaches both this process and the program that orders, so that each is a count of its own.
        while self.interrupts < max(self.signals.take(), self.orders_to_stop):
            self._interrupted()

    def _interrupted(self):
        """The first time: no more tests are handed out. The second time: the workers are killed."""
        self.interrupts += 1
        self.raised = self.raised or KeyboardInterrupt()
        self._stop_handing_out()
        if self.interrupts > 1:
            self._kill_all()
        elif max(self.signals.count, self.orders_to_stop) == 1:
            self._line("\nstopping: the tests that run are waited for; once more kills them")

    def _stop_handing_out(self):
        for queue in self.queues:
            queue.stop()
        if self.fresh is not None:
            self.fresh.stop()

    def _is_stopping(self):
        return bool(self.stop_reason or self.raised is not None or self.summary)

    def _kill_all(self):
        for node in self.nodes:
            if node.is_open:
                node.kill()

    def _check_the_sum(self):
        """Planned tests are finished, or were never begun because the run was stopped."""
        hidden = self.threads.settle(self.queues) if self.threads else []
        if hidden:
            self.summary = "\n".join(hidden)
            self.session.testsfailed += len(hidden)
        for queue in self.queues:
            states = [queue.state(test) for test in range(len(self.session.items))]
            for test, state in enumerate(states):
                is_fine = (id(queue), test) in self.with_outcome if state == FINISHED else state == PENDING and self._is_stopping()
                if not is_fine:
                    self.lost.append(self.session.items[test].nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session):
        if self.lost:
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter):
        if self.verbose >= 0 and self.summary:
            terminalreporter.write_sep("=", f"xdist: {self.summary}")
        if self.lost:
            terminalreporter.write_sep("=", "tests without an outcome", red=True, bold=True)
            for nodeid in self.lost[:20]:
                terminalreporter.write_line(nodeid)
            if len(self.lost) > 20:
                terminalreporter.write_line(f"... and {len(self.lost) - 20} more")
            terminalreporter.write_line(
                f"{len(self.lost)} of the planned tests ended without a report, so that this run counts as failed;"
                " a plugin that runs tests by itself, or drops reports, does so"
            )
        for line in self.fresh.summary_lines() if self.fresh is not None else ():
            terminalreporter.write_line(line)

    def _tell(self, text):
        if self.verbose > 0:
            self._line(text)

    def _line(self, text):
        if self.terminal is not None and self.verbose >= 0 and not self.front_end.is_live:
            self.terminal.ensure_newline() if not text.startswith("\n") else None
            self.terminal.write_line(text)


def _keep_what_is_there():
    """Finds garbage once, and looks no more through what is left.

    Before the first fork, since looking writes to nearly all pages, which are then still this process's own. And for
    good: pytest collects garbage several times when it ends, and all that was imported takes as long as many tests.
    """
    gc.collect()
    gc.freeze()


def _widen(pipe):
    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
    except (AttributeError, OSError):  # not this system, or more than this user may have: it works as it is
        pass


def _how_it_ended(status):
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = f"signal {number}"
        return f"killed by {name}"
    return f"it ended with exit code {os.WEXITSTATUS(status)}"


def without_pytest(stacks):
    """Stacks, innermost frames first, without what called the test: pytest and this package, as in pytest's own tracebacks."""
    lines, is_above_test, is_pytest = [], False, False
    for line in stacks.splitlines():
        if not line.startswith("  "):
            is_above_test = is_pytest = False
        elif any(part in line for part in ("_pytest/", "pluggy/", "naja_testing/", "naja/testing/")):
            is_pytest = True
        else:
            # The innermost frame may be this package's, which has written the stacks.
            is_pytest = is_pytest and is_above_test
            is_above_test = True
        if not is_pytest:
            lines.append(line)
    return "\n".join(lines)


def _scheduler_name(mode):
    names = {
        "each": "EachScheduling",
        "loadscope": "LoadScopeScheduling",
        "loadfile": "LoadFileScheduling",
        "loadgroup": "LoadGroupScheduling",
        "worksteal": "WorkStealingScheduling",
    }
    return names.get(mode, "LoadScheduling")
