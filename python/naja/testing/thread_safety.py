"""Which tests must run alone when the others run in threads, and why: found in what a test is, uses and names.

A test runs alone when it changes what the whole process shares. That is read from its marks, its fixtures and the names
in its code, that of its function-scoped fixtures and of functions of the same module that it calls; what is hidden
deeper is not seen, and needs the mark `serial`. Start at `reason_to_run_alone`.
"""

import dis
import inspect
import sys
import types

# Marks that say it. `serial` is ours, `thread_unsafe` is that of pytest-run-parallel.
MARKS = ("serial", "thread_unsafe")

# Fixtures that change or watch the whole process.
FIXTURES = frozenset(
    "capsys capfd capsysbinary capfdbinary capteesys monkeypatch recwarn doctest_namespace pytester testdir subtests"
    " mocker class_mocker module_mocker package_mocker session_mocker freezer time_machine fs pyfakefs event_loop"
    " anyio_backend benchmark snapshot".split()
)

# Names of functions and attributes that change the whole process, or that work in the main thread only.
NAMES = frozenset(
    "chdir fchdir umask environ environb putenv unsetenv setlocale tzset"
    " fork forkpty Process signal alarm setitimer pthread_sigmask siginterrupt raise_signal"
    " patch freeze_time"
    " redirect_stdout redirect_stderr CliRunner isolated_filesystem test_cli_runner"
    " set_level at_level setLevel basicConfig dictConfig fileConfig"
    " assertLogs assertNoLogs"
    " get_event_loop set_event_loop_policy get_child_watcher"
    " setrecursionlimit setswitchinterval settrace setprofile set_trace breakpoint excepthook unraisablehook"
    " setdefaulttimeout register_at_fork active_count main_thread reload"
    " MonkeyPatch getfixturevalue interrupt_main".split()
)

# Names that change the warnings of the whole process, before Python keeps them per thread.
WARNING_NAMES = frozenset(
    "warns deprecated_call catch_warnings simplefilter filterwarnings resetwarnings showwarning assertWarns"
    " assertWarnsRegex".split()
)

# Attributes of the module sys that tests put things into.
SYS_NAMES = frozenset("modules path argv stdin __stdout__ __stderr__ meta_path path_hooks last_value".split())
# And those that may be used, but not set.
SET_SYS_NAMES = frozenset(("stdout", "stderr", "displayhook"))

_found = {None: None}

# How deep functions of the same module are followed.
_DEPTH = 3


def has_warnings_per_thread():
    """Whether `warnings.catch_warnings` of this Python concerns the calling thread alone."""
    flags = sys.flags
    return bool(getattr(flags, "context_aware_warnings", False) and getattr(flags, "thread_inherit_context", False))


def reason_to_run_alone(item):
    """Why this test must run while no other runs in its process, as a short phrase; `None` when it need not."""
    for name in MARKS:
        if item.get_closest_marker(name) is not None:
            return f"mark {name}"
    if item.get_closest_marker("filterwarnings") is not None and not has_warnings_per_thread():
        return "mark filterwarnings"
    for name in ("asyncio", "anyio", "trio"):
        if item.get_closest_marker(name) is not None:
            return f"mark {name}"
    function = getattr(item, "obj", None)
    if not isinstance(item, _functions()):
        return f"not a test function: {type(item).__name__}"
    for name in getattr(item, "fixturenames", ()):
        if name in FIXTURES:
            return f"fixture {name}"
    return _of_unittest(item) or _of_function(function) or _of_fixtures(item)


def _functions():
    import pytest

    return pytest.Function


def _of_unittest(item):
    case = getattr(item, "cls", None)
    unittest = sys.modules.get("unittest")
    if case is None or unittest is None or not issubclass(case, unittest.TestCase):
        return None
    base = unittest.TestCase
    for name in ("setUpClass", "tearDownClass"):
        if getattr(getattr(case, name), "__func__", None) is not getattr(base, name).__func__:
            return f"unittest class with {name}"
    module = sys.modules.get(case.__module__)
    for name in ("setUpModule", "tearDownModule"):
        if hasattr(module, name):
            return f"unittest module with {name}"
    if hasattr(unittest, "IsolatedAsyncioTestCase") and issubclass(case, unittest.IsolatedAsyncioTestCase):
        return "asynchronous unittest class"
    for name in ("setUp", "tearDown"):
        reason = _of_function(getattr(case, name))
        if reason:
            return f"{name} with {reason}"
    return None


def _of_fixtures(item):
    info = getattr(item, "_fixtureinfo", None)
    known = getattr(info, "name2fixturedefs", None) or {}
    for name in getattr(item, "fixturenames", ()):
        for definition in known.get(name) or ():
            function = definition.func
            if _is_asynchronous(function):
                return f"asynchronous fixture {name}"
            if definition.scope == "function" and not _is_of_pytest(function):
                reason = _of_function(function)
                if reason:
                    return f"fixture {name} with {reason}"
    return None


def _of_function(function):
    if _is_asynchronous(function):
        return "asynchronous function"
    if getattr(function, "patchings", None):
        return "mock.patch"
    if hasattr(function, "hypothesis") or getattr(function, "is_hypothesis_test", False):
        return "hypothesis"
    function = inspect.unwrap(getattr(function, "__func__", function))
    code = getattr(function, "__code__", None)
    if code not in _found:  # a parametrised test is many items of one function
        _found[code] = _unsafe_name(function, set(), 0)
    return f"name {_found[code]}" if _found[code] else None


def _is_asynchronous(function):
    function = inspect.unwrap(getattr(function, "__func__", function))
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _is_of_pytest(function):
    return getattr(function, "__module__", "").split(".", 1)[0] in ("_pytest", "naja_testing")


def _unsafe_name(function, seen, depth):
    code = getattr(function, "__code__", None)
    if code is None or code in seen or depth > _DEPTH:
        return None
    seen.add(code)
    names = set()
    _names_of(code, names)
    unsafe = names & (NAMES if has_warnings_per_thread() else NAMES | WARNING_NAMES)
    if unsafe:
        return min(unsafe)
    if "sys" in names and names & SYS_NAMES:
        return "sys." + min(names & SYS_NAMES)
    if "sys" in names and names & SET_SYS_NAMES:
        found = _set_name(code)
        if found:
            return "sys." + found
    known = function.__globals__
    for name in sorted(names):
        called = known.get(name)
        if isinstance(called, types.FunctionType) and called.__module__ == function.__module__:
            found = _unsafe_name(inspect.unwrap(called), seen, depth + 1)
            if found:
                return found
    return None


def _set_name(code):
    """A name of `SET_SYS_NAMES` that is assigned to as an attribute."""
    for one in dis.get_instructions(code):
        if one.opname in ("STORE_ATTR", "DELETE_ATTR") and one.argval in SET_SYS_NAMES:
            return one.argval
    return next(filter(None, (_set_name(one) for one in code.co_consts if isinstance(one, types.CodeType))), None)


def _names_of(code, names):
    names.update(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            _names_of(constant, names)


def higher_parameters(item):
    """The parameters of class-, module-, package- and session-scoped fixtures of a test: name to position.

    Two tests with different ones cannot run at the same time, since the fixture has one value at a time.
    """
    call = getattr(item, "callspec", None)
    indices = getattr(call, "indices", None)
    if not indices:
        return {}
    scopes = getattr(call, "_arg2scope", {})
    known = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", None) or {}
    found = {}
    for name, index in indices.items():
        definitions = known.get(name) or ()
        scope = definitions[-1].scope if definitions else getattr(scopes.get(name), "value", "function")
        asked = getattr(scopes.get(name), "value", scope)
        if scope != "function" or asked != "function":
            found[name] = index
    return found
