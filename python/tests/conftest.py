"""What several tests use."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import engines  # noqa: E402
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


@pytest.fixture(scope="session")
def mariadb():
    """A MariaDB server."""
    server = Server("mariadb")
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres):
    """The URL of a new and empty database in it."""
    return postgres.database()


@pytest.fixture
def mariadb_url(mariadb):
    """The URL of a new and empty database in it."""
    return mariadb.database()


@pytest.fixture(params=list(engines.KINDS))
def engine(request, tmp_path):
    """Each engine in turn with an empty database of its own; `engines.only` names some of them."""
    made = engines.make(request, tmp_path, request.param)
    yield made
    made.close()
