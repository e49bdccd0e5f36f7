"""What several tests use."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from installation import Installation  # noqa: E402
from servers import Server  # noqa: E402


@pytest.fixture(scope="session")
def installation(tmp_path_factory):
    """A naja with made-up drop-ins."""
    return Installation(tmp_path_factory.mktemp("installation"))


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server."""
    server = Server("postgresql")
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres, request):
    """The URL of a new and empty database in it."""
    postgres.count = getattr(postgres, "count", 0) + 1
    return postgres.database(f"test_{postgres.count}")
