"""Where the native program `naja` of this environment lies."""

import os
import sysconfig


class ProgramNotFound(Exception):
    """There is no program beside this package; the text says what to do."""

    def __init__(self) -> None:
        super().__init__(
            "error[program-not-found]: cannot find the program `naja` of this environment\n"
            "  hint: install it again with `pip install --force-reinstall naja`"
        )


def find() -> str:
    """Its path: in the folder where installers put this environment's scripts."""
    schemes = [sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user")]
    for scheme in schemes:
        path = os.path.join(sysconfig.get_path("scripts", scheme), "naja")
        if os.path.isfile(path):
            return path
    # The environment that this package lies in may be another than the interpreter's: `naja run --swap` reads it from there.
    package = os.path.dirname(os.path.abspath(__file__))
    prefix = os.path.normpath(os.path.join(package, *[os.pardir] * 4))
    beside = os.path.join(prefix, "bin", "naja")
    if os.path.isfile(beside):
        return beside
    raise ProgramNotFound
