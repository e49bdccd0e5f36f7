"""The hooks that pytest-xdist would add, by its names, so that conftest files and plugins that implement them load."""

import pytest


@pytest.hookspec
def pytest_xdist_setupnodes(config, specs):
    """Called before any worker in an interpreter of its own is set up, with what says where they run."""


@pytest.hookspec
def pytest_xdist_newgateway(gateway):
    """Called when the connection to a worker has been made."""


@pytest.hookspec
def pytest_xdist_rsyncstart(source, gateways):
    """Called before a folder is sent to another host."""


@pytest.hookspec
def pytest_xdist_rsyncfinish(source, gateways):
    """Called when a folder has been sent to another host."""


@pytest.hookspec(firstresult=True)
def pytest_xdist_getremotemodule():
    """Declared, so that implementations load; never called, since the code of workers is not replaced."""


@pytest.hookspec
def pytest_configure_node(node):
    """Called in the controller before a worker starts: what is put into `node.workerinput` gets to the worker."""


@pytest.hookspec
def pytest_testnodeready(node):
    """Called when a worker has started, before it collects."""


@pytest.hookspec
def pytest_testnodedown(node, error):
    """Called when a worker has ended; `node.workeroutput` is what it left, `error` tells of a crash."""


@pytest.hookspec
def pytest_xdist_node_collection_finished(node, ids):
    """Called when a worker has collected these tests."""


@pytest.hookspec(firstresult=True)
def pytest_xdist_make_scheduler(config, log):
    """Declared, so that implementations load; never called: tests are handed out by the work queue."""


@pytest.hookspec(firstresult=True)
def pytest_xdist_auto_num_workers(config):
    """The number of workers that `-n auto` means."""


@pytest.hookspec(firstresult=True)
def pytest_handlecrashitem(crashitem, report, sched):
    """Called when a test has ended its worker; may change the report."""


@pytest.hookspec(firstresult=True)
def pytest_naja_may_fork(config):
    """Whether workers may be forked from this process: `False`, or a text that says why not, gives fresh interpreters."""
