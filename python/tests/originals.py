"""An original package, installed for one test module alone: the oracle that a drop-in is compared with."""

import contextlib
import subprocess
import sys

import pytest


def install(folder, *requirements):
    """Installs into a folder that nobody looks into by itself.

    Where the package index cannot be reached the test is skipped, and says so.
    """
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *requirements]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"not tested: {requirements[0]} could not be installed")
        pytest.skip(f"{requirements[0]} could not be installed: {done.stderr.strip()[-200:]}")


@contextlib.contextmanager
def importable(folder, *requirements, forget):
    """Installs into a folder that only this process looks into, and only inside the block.

    `forget` names the packages that are gone again at its end, so that no other test imports them.
    """
    install(folder, *requirements)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] in forget]:
            del sys.modules[name]
        # It is made of classes that are gone now.
        sys.modules.pop("naja.databases._sqlalchemy", None)
