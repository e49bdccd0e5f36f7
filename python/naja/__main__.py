"""`python -m naja …` becomes the program `naja …` that was installed with this package."""

import os
import sys

from naja import _program

if __name__ == "__main__":
    try:
        program = _program.find()
    except _program.ProgramNotFound as problem:
        sys.exit(str(problem))
    # Replaces this process: the program sees the terminal, signals and exit code of nobody else.
    os.execv(program, ["naja", *sys.argv[1:]])
