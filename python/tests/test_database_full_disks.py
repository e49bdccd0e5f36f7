"""A disk that is full, really: the statement is refused with a word of it, what was acknowledged stays, and the connection goes on."""

import asyncio
import contextlib
import os
import subprocess
import tempfile

import pytest
from not_tested import not_tested
from servers import Server

from naja import dataset
from naja.databases import Database

FULL = "No space left on device|is full|disk is full"
# A server that can write no log ends, and tells those that are connected to it, or no longer can.
ENDED = f"{FULL}|terminating connection|closed the connection|cannot connect|recovery|starting up"
CHUNK = 200


class SmallDisk:
    """A file system of so many megabytes; only root can mount one."""

    def __init__(self, megabytes):
        self.folder = tempfile.mkdtemp(prefix="naja-disk-")
        # Servers run as users of their own.
        os.chmod(self.folder, 0o755)
        if not self._mount(f"size={megabytes}m,mode=1777"):
            os.rmdir(self.folder)
            not_tested("databases on a full disk: a file system cannot be mounted here")

    def _mount(self, options):
        words = ["mount", "-t", "tmpfs", "-o", options, "naja-test", self.folder]
        with contextlib.suppress(FileNotFoundError):
            return subprocess.run(words, capture_output=True).returncode == 0

    def grow(self):
        assert self._mount("remount,size=512m")

    def close(self):
        subprocess.run(["umount", "--lazy", self.folder], check=True)
        os.rmdir(self.folder)


@pytest.fixture
def disk(request):
    made = SmallDisk(request.param)
    yield made
    made.close()


def small(megabytes):
    return pytest.mark.parametrize("disk", [megabytes], indirect=True)


class ByDataset:
    """The table `facts` through naja.dataset."""

    refusal = dataset.OperationalError

    def __init__(self, url):
        self.base = dataset.connect(url)
        self.count = len(self.base["facts"])

    def store(self):
        """Stores some rows, which is told by `count`."""
        self.base["facts"].insert_many(rows(self.count))
        self.count += CHUNK

    def store_in_a_transaction(self):
        with self.base:
            while True:
                self.base["facts"].insert_many(rows(self.count))

    def stored(self):
        return len(self.base["facts"])

    def close(self):
        self.base.close()


class ByDatabases:
    """The same through naja.databases."""

    refusal = Exception

    def __init__(self, url):
        self.loop = asyncio.new_event_loop()
        self.base = Database(url, **({} if url.startswith("sqlite") else {"min_size": 1, "max_size": 1}))
        self.loop.run_until_complete(self.base.connect())
        self.count = self.stored()

    def _store(self):
        return self.base.execute_many("insert into facts (n, text) values (:n, :text)", rows(self.count))

    def store(self):
        async def main():
            # On SQLite each row of many is stored for itself, as the original does it.
            async with self.base.transaction():
                await self._store()

        self.loop.run_until_complete(main())
        self.count += CHUNK

    def store_in_a_transaction(self):
        async def main():
            async with self.base.transaction():
                while True:
                    await self._store()

        self.loop.run_until_complete(main())

    def stored(self):
        return self.loop.run_until_complete(self.base.fetch_val("select count(*) from facts"))

    def close(self):
        self.loop.run_until_complete(self.base.disconnect())
        self.loop.close()


FACES = pytest.mark.parametrize("face", [ByDataset, ByDatabases])


def rows(first):
    return [{"n": first + number, "text": "x" * 1000} for number in range(CHUNK)]


def make_table(url, where=""):
    base = dataset.connect(url, sqlite_wal_mode=False)
    base.query(f"create table facts (n integer, text varchar(2000)) {where}")
    base.close()


def check_that_goes_on(face, url, disk):
    """Only the statement that has no room fails."""
    side = face(url)
    try:
        with pytest.raises(side.refusal, match=FULL) as error:
            while True:
                side.store()
        assert side.count and side.stored() == side.count
        code = getattr(error.value, "sqlstate", getattr(getattr(error.value, "orig", None), "sqlstate", None))
        assert code in ("53100", "HY000", None), "that of a full disk, which MariaDB and SQLite have none for"
        with pytest.raises(side.refusal, match=FULL):
            side.store_in_a_transaction()
        assert side.stored() == side.count, "the transaction is undone whole"
        disk.grow()
        side.store()
        assert side.stored() == side.count
    finally:
        side.close()


@FACES
@small(4)
def test_sqlite_on_a_full_disk(face, disk):
    url = f"sqlite:///{disk.folder}/facts.db"
    make_table(url)
    check_that_goes_on(face, url, disk)


@FACES
@small(24)
@pytest.mark.parametrize("engine", ["postgresql", "mariadb"])
def test_tables_of_a_server_on_a_full_disk(face, engine, disk):
    server = Server(engine, is_durable=True)
    try:
        place = f"{disk.folder}/tables"
        os.mkdir(place)
        owner = os.stat(server.socket)
        os.chown(place, owner.st_uid, owner.st_gid)
        if engine == "postgresql":
            base = dataset.connect(server.url)
            base.query(f"create tablespace small location '{place}'")
            base.close()
            make_table(server.url, "tablespace small")
        else:
            make_table(server.url, f"data directory '{place}'")
        check_that_goes_on(face, server.url, disk)
    finally:
        server.close()


@FACES
@small(96)
@pytest.mark.parametrize("engine", ["postgresql", "mariadb"])
def test_all_of_a_server_on_a_full_disk(face, engine, disk):
    server = Server(engine, is_durable=True, folder=disk.folder)
    try:
        make_table(server.url)
        side = face(server.url)
        with pytest.raises(side.refusal, match=ENDED):
            while True:
                side.store()
        told = side.count
        assert told
        with contextlib.suppress(Exception):
            side.close()
        disk.grow()
        server.restart()
        side = face(server.url)
        # A chunk that nobody was told of may be there, and then it is there whole.
        assert side.count in (told, told + CHUNK)
        side.store()
        assert side.stored() == side.count
        side.close()
    finally:
        server.close()
