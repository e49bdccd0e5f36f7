"""What several tests use."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from installation import Installation  # noqa: E402


@pytest.fixture(scope="session")
def installation(tmp_path_factory):
    """A naja with made-up drop-ins."""
    return Installation(tmp_path_factory.mktemp("installation"))
