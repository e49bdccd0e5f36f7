"""`python -m naja …` becomes the program `naja …` that was installed with this package."""

import os
import sys
import sysconfig


def program() -> str:
    """The path of the native program: in the folder where installers put this environment's scripts."""
    schemes = [sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user")]
    for scheme in schemes:
        path = os.path.join(sysconfig.get_path("scripts", scheme), "naja")
        if os.path.isfile(path):
            return path
    sys.exit("error[program-not-found]: cannot find the program `naja` of this environment\n"
             "  hint: install it again with `pip install --force-reinstall naja`")


if __name__ == "__main__":
    # Replaces this process: the program sees the terminal, signals and exit code of nobody else.
    os.execv(program(), ["naja", *sys.argv[1:]])
