"""What `naja test` starts: pytest, as its own command would run it, with the plugin of this folder.

This file must be read by any Python, also one that is too old for the others, which is told so.
"""

import os
import sys

# The oldest pytest and Python that the plugin is tested with.
OLDEST_PYTEST, OLDEST_PYTHON = (7, 4), (3, 8)


def refusal(name, sentence, hint):
    """Says why no tests are run; the exit code for wrong usage."""
    sys.stderr.write("error[%s]: %s\n  hint: %s\n" % (name, sentence, hint))
    events = os.environ.get("NAJA_TEST_EVENTS")
    if events:  # else the program would take this for a death
        os.write(int(events), b'{"event": "end", "code": 4}\n')
    return 4


def main():
    """Runs pytest with this process's arguments; its exit code."""
    folder = os.path.dirname(os.path.abspath(__file__))
    # Python puts a script's folder first; pytest's command has its own there, from which nothing is imported.
    if sys.path and os.path.abspath(sys.path[0]) == folder:
        del sys.path[0]
    if sys.version_info < OLDEST_PYTHON:
        return refusal(
            "python-too-old",
            "%s is Python %d.%d, and `naja test` needs 3.8 or newer" % ((sys.executable,) + sys.version_info[:2]),
            "`--python` names another Python, for example `--python 3.12`",
        )
    try:
        import pytest
    except ImportError as error:
        return refusal(
            "no-pytest",
            "%s cannot import pytest: %s" % (sys.executable, error),
            "%s -m pip install pytest; `--python` names another Python" % sys.executable,
        )
    if getattr(pytest, "version_tuple", (0,))[:2] < OLDEST_PYTEST:
        return refusal(
            "pytest-too-old",
            "%s has pytest %s, and `naja test` needs 7.4 or newer" % (sys.executable, pytest.__version__),
            "%s -m pip install --upgrade pytest" % sys.executable,
        )
    return run(folder, pytest)


def run(folder, pytest):
    """Runs this pytest with the plugin in `folder`; tells the program the exit code, which is the last that it hears."""
    import importlib.util
    import signal

    # The program holds them back for itself, which its children inherit.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    spec = importlib.util.spec_from_file_location(
        "naja_testing", os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules["naja_testing"] = package
    spec.loader.exec_module(package)
    from naja_testing import front_end, garbage, plugin

    sys.argv[0] = os.path.join(os.path.dirname(sys.executable), "pytest")
    # The plugin takes the place of xdist's: the same options, the same fixtures.
    arguments = ["-p", "no:xdist", "-p", "no:xdist.looponfail"] + sys.argv[1:]
    if "NAJA_TEST_WATCH" in os.environ:
        return keep_warm(arguments, pytest, [plugin, garbage.Rarely()])
    line, code = front_end.of_process(), 1
    try:
        code = pytest.main(arguments, plugins=[plugin, garbage.Rarely()])
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        raise
    finally:
        line.send("end", code=int(code))
    return code


def keep_warm(arguments, pytest, plugins):
    """Runs pytest for each order of `naja test --watch`; the exit code of this process, or of a run forked from it."""
    from naja_testing import watch

    root = os.getpid()
    code = watch.serve(lambda: pytest.main(arguments, plugins=plugins + [watch.Pause()]))
    return code if os.getpid() == root else watch.end(int(code))


if __name__ == "__main__":
    sys.exit(main())
