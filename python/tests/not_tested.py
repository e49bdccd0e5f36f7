"""What could not be tested on this machine, told at the end of `make test`."""

import os

import pytest


def not_tested(what):
    """Skips the test, and names in the report of `make test` what this machine lacks."""
    print(f"not tested: {what}")
    if os.environ.get("NAJA_NOT_TESTED"):
        with open(os.environ["NAJA_NOT_TESTED"], "a") as file:
            file.write(what + "\n")
    pytest.skip(what)
