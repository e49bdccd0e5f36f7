"""Whether the process that has collected may be forked, and if not, why.

A fork keeps one thread of all, shares what is open, and does not configure again. What cannot live with that is looked
for here, as far as it can be seen from outside. Start at `why_not`.
"""

import ast
import os
import sys
import threading
import types

from .served_plugins import MAY_BE_FORKED

# Hooks by which a conftest or plugin says that it was written for workers that configure by themselves.
_HOOKS_OF_NODES = (
    "pytest_configure_node",
    "pytest_testnodeready",
    "pytest_testnodedown",
    "pytest_xdist_setupnodes",
    "pytest_xdist_newgateway",
    "pytest_xdist_node_collection_finished",
)
# Hooks that have been called before the fork, or are called in the controller alone.
_HOOKS_OF_SESSIONS = ("pytest_configure", "pytest_sessionstart", "pytest_sessionfinish", "pytest_unconfigure")
_INPUTS = {"workerinput", "workeroutput", "slaveinput", "slaveoutput"}
_WORKER_NAME = "PYTEST_XDIST_WORKER"

# Plugins that open at configure what two processes cannot use.
_KNOWN = {"pytest_twisted": "pytest-twisted has started a reactor", "pytest_twisted.plugin": "pytest-twisted has started a reactor"}


def why_not(config):
    """A short text that says why this process may not be forked, or `None`."""
    if not hasattr(os, "fork"):
        return f"{sys.platform} has no fork"
    return (
        _forbidden(config)
        or _process_model(config)
        or _threads()
        or _inherited_locks()
        or _graphics_card()
    )


def _forbidden(config):
    answer = config.hook.pytest_naja_may_fork(config=config)
    if answer is not None and answer is not True:
        return answer if isinstance(answer, str) else "a plugin forbids forking"
    for name, plugin in config.pluginmanager.list_name_plugin():
        if plugin is not None and name in _KNOWN:
            return _KNOWN[name]
        reason = getattr(plugin, "naja_forbids_fork", None)
        if isinstance(reason, str):
            return reason
    return None


def _process_model(config):
    """A conftest or plugin that counts on workers which configure by themselves, as those of pytest-xdist do."""
    for hook in _HOOKS_OF_NODES:
        caller = getattr(config.hook, hook, None)
        for implementation in caller.get_hookimpls() if caller is not None else ():
            if implementation.plugin_name not in MAY_BE_FORKED and type(implementation.plugin).__module__ not in MAY_BE_FORKED:
                return f"{_name(implementation, config)} has the hook {hook}"
    for hook in _HOOKS_OF_SESSIONS:
        for implementation in getattr(config.hook, hook).get_hookimpls():
            if _is_of_project(implementation.plugin, config) and _uses_worker_input(implementation.function):
                return f"{hook} in {_name(implementation, config)} looks at what a worker is given"
    for _, plugin in config.pluginmanager.list_name_plugin():
        if _is_of_project(plugin, config) and _reads_worker_name(plugin.__file__):
            return f"{_short(plugin.__file__, config)} reads {_WORKER_NAME} while it is imported"
    return None


def _is_of_project(plugin, config):
    """Whether this is a file of the project: what is installed takes care to run under pytest-xdist and without."""
    file = getattr(plugin, "__file__", None)
    if not isinstance(plugin, types.ModuleType) or not file:
        return False
    if os.path.basename(file) == "conftest.py":
        return True
    # Asked first, since real paths take many looks at the disk.
    return "site-packages" not in file and os.path.realpath(file).startswith(os.path.realpath(str(config.rootpath)) + os.sep)


def _name(implementation, config):
    file = getattr(implementation.plugin, "__file__", None)
    return _short(file, config) if file else implementation.plugin_name


def _short(file, config):
    relative = os.path.relpath(file, str(config.rootpath))
    return file if relative.startswith(os.pardir) else relative


def _uses_worker_input(function):
    """Whether the code takes something out of what a worker is given, rather than ask whether it is a worker.

    `if not hasattr(config, "workerinput")` guards what is done once, in the controller: a fork inherits that.
    """
    code = getattr(function, "__code__", None)
    pending = [code] if code is not None else []
    while pending:
        code = pending.pop()
        constants = {one for one in code.co_consts if isinstance(one, str)}
        if _INPUTS.intersection(code.co_names) or ("getattr" in code.co_names and _INPUTS & constants):
            return True
        if _WORKER_NAME in constants:
            return True
        pending += [one for one in code.co_consts if isinstance(one, types.CodeType)]
    return False


def _reads_worker_name(file):
    """Whether the code of a module itself, not of its functions, names the variable that tells a worker its name."""
    try:
        with open(file, "rb") as opened:
            source = opened.read()
        if _WORKER_NAME.encode() not in source:
            return False
        pending = [ast.parse(source)]
    except (OSError, SyntaxError, ValueError):
        return False
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.Constant) and node.value == _WORKER_NAME:
            return True
        pending += ast.iter_child_nodes(node)
    return False


def _threads():
    others = [thread for thread in threading.enumerate() if thread is not threading.current_thread()]
    if others:
        names = ", ".join(sorted(thread.name for thread in others)[:3])
        return f"threads run: {names}" if len(others) > 1 else f"a thread runs: {names}"
    try:
        native = len(os.listdir("/proc/self/task")) - 1
    except OSError:
        return None
    if native > _threads_of_openblas():
        return f"{native} threads that are not of Python run" if native > 1 else "a thread that is not of Python runs"
    return None


def _threads_of_openblas():
    """How many threads may be those of OpenBLAS, which ends them before a fork and starts them again after it."""
    if "numpy" not in sys.modules and "scipy" not in sys.modules:
        return 0
    try:
        with open("/proc/self/maps") as file:
            copies = {line.split()[-1] for line in file if "openblas" in line}
    except OSError:
        return 0
    return len(copies) * ((os.cpu_count() or 1) - 1)


def _inherited_locks():
    """Locks of `filelock` that were made here and refuse to work in a fork, as its newest releases do."""
    module = sys.modules.get("filelock")
    lock = getattr(module, "BaseFileLock", None)
    if lock is None or not hasattr(lock, "_raise_if_inherited"):
        return None
    import gc

    for one in gc.get_objects():
        # The type is looked at, not the object: a proxy's `__class__` may run code of the project.
        if issubclass(type(one), lock):
            return "a lock of filelock was made at import, and refuses to be used in a fork"
    return None


def _graphics_card():
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    is_initialized = getattr(cuda, "is_initialized", None)
    if is_initialized is not None and is_initialized():
        return "torch has opened the graphics card"
    return None
