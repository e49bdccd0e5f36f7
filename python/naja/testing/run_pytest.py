"""What `naja test` starts: pytest, as its own command would run it, with the plugin of this folder."""

import importlib.util
import os
import sys


def main():
    """Runs pytest with this process's arguments; its exit code."""
    folder = os.path.dirname(os.path.abspath(__file__))
    # Python puts a script's folder first; pytest's command has its own there, from which nothing is imported.
    if sys.path and os.path.abspath(sys.path[0]) == folder:
        del sys.path[0]
    try:
        import pytest
    except ImportError as error:
        sys.stderr.write(f"error[no-pytest]: {sys.executable} cannot import pytest: {error}\n")
        sys.stderr.write(f"hint: {sys.executable} -m pip install pytest; `--python` names another Python\n")
        return 4
    spec = importlib.util.spec_from_file_location(
        "naja_testing", os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules["naja_testing"] = package
    spec.loader.exec_module(package)
    from naja_testing import plugin, watch

    sys.argv[0] = os.path.join(os.path.dirname(sys.executable), "pytest")
    # The plugin takes the place of xdist's: the same options, the same fixtures.
    arguments = ["-p", "no:xdist", "-p", "no:xdist.looponfail", *sys.argv[1:]]
    if watch.WATCH in os.environ:
        root = os.getpid()
        code = watch.serve(lambda: pytest.main(arguments, plugins=[plugin]))
        return code if os.getpid() == root else watch.end(int(code))
    return pytest.main(arguments, plugins=[plugin])


if __name__ == "__main__":
    sys.exit(main())
