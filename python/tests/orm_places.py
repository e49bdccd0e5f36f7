"""Where tests of naja.orm keep their rows: each kind of database, and each way in which naja.orm speaks to one.

A test takes `place` and gives `place.run` a coroutine function; its models are made on `place.registry`.
"""

import asyncio

import pytest

from naja import databases, orm
from naja.orm import _database

# By text is how naja.orm speaks to a package `databases` that is not naja's.
KINDS = ("sqlite", "sqlite by text", "postgresql", "postgresql by text", "mariadb", "mariadb by text")


@pytest.fixture(scope="module")
def mariadb_of_module(mariadb):
    """The URL of a database for all tests of a module."""
    return mariadb.database()


class Place:
    def __init__(self, url):
        self.database = databases.Database(url)
        self.registry = orm.ModelRegistry(database=self.database)
        self.dialect = self.database.url.dialect

    def run(self, work, *, leaves=False):
        """Runs `work()` with the tables of all models there; they are gone afterwards unless it `leaves` them."""

        async def whole():
            await self.registry.drop_all()
            await self.registry.create_all()
            try:
                async with self.database:
                    return await work()
            finally:
                if not leaves:
                    await self.registry.drop_all()

        return asyncio.run(whole())

def make_place(request, tmp_path, monkeypatch, kind):
    if kind.endswith("by text"):
        monkeypatch.setattr(_database, "takes_plans", lambda _database: False)
    if kind.startswith("postgresql"):
        return Place(request.getfixturevalue("postgres").url)
    if kind.startswith("mariadb"):
        return Place(request.getfixturevalue("mariadb_of_module"))
    return Place(f"sqlite:///{tmp_path}/rows.db")

@pytest.fixture(params=KINDS)
def place(request, tmp_path, monkeypatch):
    """Every place in turn."""
    return make_place(request, tmp_path, monkeypatch, request.param)

@pytest.fixture
def lite(request, tmp_path, monkeypatch):
    """SQLite alone."""
    return make_place(request, tmp_path, monkeypatch, "sqlite")
