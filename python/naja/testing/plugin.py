"""The pytest plugin: its options, fixtures and marks, under the names that pytest's users have from xdist.

Where naja is installed, every pytest loads this file (`entry.py`): what only a run with workers needs is imported then.
"""

import os
from types import SimpleNamespace

import pytest

from . import front_end as front_ends
from . import xdist_hooks

MODES = ("each", "load", "loadscope", "loadfile", "loadgroup", "worksteal", "no")


def _worker_count(text):
    """The value of `-n`: a number, `auto` or `logical`."""
    if text in ("auto", "logical"):
        return text
    return int(text)


def _thread_count(text):
    """The value of `--tests-per-worker`: a number from 1 on, or `auto`."""
    from .threads import count_of

    return count_of(text)


def pytest_addoption(parser):
    group = parser.getgroup("naja", "tests in parallel (naja test)")
    if group.options:  # a fresh worker knows them already
        return
    group._addoption(
        "-n",
        "--numprocesses",
        dest="naja_workers",
        metavar="N",
        type=_worker_count,
        help="Run tests in N workers, forked after collection; `auto` and `logical` ask the machine.",
    )
    group.addoption("--maxprocesses", dest="naja_most_workers", type=int, metavar="N", help="Never more workers than N.")
    group.addoption(
        "--max-worker-restart",
        dest="naja_most_restarts",
        metavar="N",
        help="Replace at most N workers that crashed; 0 ends the run at the first crash.",
    )
    group.addoption(
        "--dist",
        dest="naja_mode",
        choices=MODES,
        default="no",
        help="Which tests go together: load (any to any worker), loadscope, loadfile, loadgroup, worksteal, each, no.",
    )
    group.addoption(
        "--tests-per-worker", dest="naja_tests_per_worker", type=_thread_count, metavar="N",
        help="Run tests in N threads in each worker; `auto` asks the machine. Tests that are not safe then run alone.",
    )
    group._addoption("-d", action="store_true", dest="naja_load", help="Short for --dist=load.")
    group.addoption(
        "--no-loadscope-reorder", dest="naja_reorder", action="store_false", default=True,
        help="Keep the order of groups under loadscope and loadfile; else large groups come first.",
    )
    group.addoption("--loadscope-reorder", dest="naja_reorder", action="store_true", help="The default.")
    group.addoption("--tx", dest="naja_hosts", action="append", default=[], metavar="SPEC", help="Where to run workers.")
    group.addoption("--px", dest="naja_proxies", action="append", default=[], metavar="SPEC", help="A host that --tx reaches others via.")
    group.addoption("--rsyncdir", dest="naja_sent", action="append", default=[], metavar="DIR", help="A folder to send to hosts; else the project's.")
    group.addoption("--rsyncignore", dest="naja_not_sent", action="append", default=[], metavar="GLOB", help="What is not sent to hosts.")
    parser.addini("rsyncdirs", "Folders to send to hosts.", type="paths")
    parser.addini("rsyncignore", "Patterns of what is not sent to hosts.", type="paths")
    group.addoption("--testrunuid", dest="naja_run_id", metavar="TEXT", help="The value of the fixture testrun_uid.")
    group.addoption(
        "--isolate", dest="naja_isolate", action="store_true", help="Run each test in a process of its own, forked for it."
    )
    group.addoption("--maxschedchunk", dest="naja_most_tests", type=int, metavar="N", help="Accepted; workers take what they need.")


def pytest_addhooks(pluginmanager):
    known = getattr(pluginmanager.hook, "pytest_configure_node", None)
    if known is None or not known.has_spec():
        pluginmanager.add_hookspecs(xdist_hooks)


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    config.addinivalue_line("markers", "serial: the test runs alone in its worker under --tests-per-worker.")
    config.addinivalue_line("markers", "thread_unsafe: the same.")
    config.addinivalue_line("markers", "xdist_group(name): tests of one name run in the same worker under --dist=loadgroup.")
    if hasattr(config, "workerinput"):
        return
    front_end = front_ends.take()
    if front_end.is_there:
        from .collecting import Collecting

        config.pluginmanager.register(Collecting(front_end), "naja-collecting")
    if config.option.naja_workers is None and front_end.default_workers and config.option.naja_hosts:
        config.option.naja_load = True
    elif config.option.naja_workers is None and front_end.default_workers:
        config.option.naja_workers = _worker_count(front_end.default_workers)
    if front_end.is_there:
        _choose_and_watch(config, front_end)
    settings = _settings(config, front_end)
    if settings is not None:
        from .controller import Controller

        config.pluginmanager.register(Controller(config, settings, front_end), "naja-controller")
        if front_end.is_there and front_end.project:
            from .loaded import LoadedModules

            config.pluginmanager.register(LoadedModules(front_end.project, front_end), "naja-loaded")
        terminal = config.pluginmanager.getplugin("terminalreporter")
        if terminal is not None:
            terminal.showfspath = False


def _choose_and_watch(config, front_end):
    """What `--affected` and `--watch` of `naja test` need in this process."""
    from . import choosing, watch

    chosen = choosing.from_program()
    if watch.is_session():
        chosen = chosen or choosing.Choosing()
        config.pluginmanager.register(watch.Watch(config, front_end, chosen), "naja-watch")
    if chosen is not None:
        config.pluginmanager.register(chosen, "naja-choosing")


def _settings(config, front_end):
    """How to distribute, or `None` for a run in this one process."""
    option = config.option
    mode = "load" if option.naja_load and option.naja_mode == "no" else option.naja_mode
    workers = option.naja_workers
    if workers in ("auto", "logical"):
        workers = 0 if option.usepdb or option.trace else config.hook.pytest_xdist_auto_num_workers(config=config) or cores()
    if workers is None and mode == "no" and option.naja_tests_per_worker:
        workers, mode = 1, "load"
    specs = None
    if workers is None:
        specs = [spec.split("*", 1)[-1] for spec in option.naja_hosts for _ in range(_times(spec))]
        workers = len(specs) if mode != "no" else 0
        if all(spec == "popen" for spec in specs):
            specs = None
    elif workers and mode == "no":
        mode = "load"
    if (option.naja_isolate or front_end.timeout) and not workers and not (option.usepdb or option.trace):
        # A test that is to be ended, or to have a process of its own, needs a worker.
        mode, workers, specs = "load", 1, None
    if option.naja_most_workers:
        workers = min(workers, option.naja_most_workers)
    if option.collectonly or mode == "no" or not workers:
        return None
    if option.naja_isolate and (option.naja_tests_per_worker or 1) > 1:
        raise pytest.UsageError("--isolate gives each test a process of its own, which --tests-per-worker shares: choose one.")
    if specs is not None:
        if (option.naja_tests_per_worker or 1) > 1:
            raise pytest.UsageError("--tests-per-worker is for forked workers; hosts of --tx run one test at a time.")
        from . import hosts

        hosts.check(config, specs)
    restarts = option.naja_most_restarts
    return SimpleNamespace(
        mode=mode,
        workers=workers,
        specs=specs,
        tests_per_worker=option.naja_tests_per_worker or 1,
        reorder=option.naja_reorder,
        run_id=option.naja_run_id,
        most_restarts=None if restarts is None else int(restarts),
        isolate=option.naja_isolate,
        expected_seconds=front_end.expected_seconds,
    )


def _times(spec):
    """How many workers a value of `--tx` asks for: `3*popen` for three."""
    number = spec.split("*", 1)[0]
    return int(number) if "*" in spec and number.isdigit() else 1


def cores():
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    if config.option.naja_mode == "loadgroup" and not hasattr(config, "workerinput"):
        from .worker import group_name

        for item in items:
            name = group_name(item)
            if name is not None:
                item._nodeid = f"{item.nodeid}@{name}"


@pytest.fixture(scope="session")
def worker_id(request):
    """The name of the worker that runs the test, `gw0` and so on; `master` in a run without workers."""
    from . import worker

    return worker.name_of_worker(request.config)


@pytest.fixture(scope="session")
def testrun_uid(request):
    """A text that all workers of this run share, and no other run."""
    from . import worker

    return worker.name_of_run(request.config)
