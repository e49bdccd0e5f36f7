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


@pytest.fixture(params=["worker", "inline"])
def switched(request, monkeypatch):
    """naja.databases on SQLite as it is, and with `inline`, where what reads is asked for twice: the first time is the worker's."""
    if request.param == "worker":
        return
    from naja.databases.backends import sqlite
    from naja.databases.interfaces import Text

    class Backend(sqlite.SQLiteBackend):
        def __init__(self, url, **options):
            super().__init__(url, **({} if options.get("uri") else {"inline": True}), **options)

    class Connection(sqlite.SQLiteConnection):
        async def _result(self, query, want):
            reads = str(query).lower().startswith("select") if type(query) is Text else getattr(query, "is_select", False)
            if self._is_inline and reads:
                await super()._result(query, want)
            return await super()._result(query, want)

    monkeypatch.setattr(sqlite, "SQLiteBackend", Backend)
    monkeypatch.setattr(sqlite, "SQLiteConnection", Connection)
