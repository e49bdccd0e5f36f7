"""What differs between the three engines where a test is the same for all: an empty database, and what only its own SQL can ask."""

import time

import pytest

from naja import dataset


class Engine:
    """A new and empty database of an engine."""

    # A statement that takes an hour, one that goes wrong in the middle of its rows, and the numbers from 1 on, as `n`.
    slow = broken = None

    def __init__(self, name, url):
        self.name = name
        self.url = url
        self._watching = None

    @property
    def is_server(self):
        return self.name != "sqlite"

    def connect(self):
        return dataset.connect(self.url)

    def ask(self, sql, /, **values):
        """The one value that a statement gives, by a connection of nobody's else."""
        if self._watching is None:
            self._watching = self.connect()
        return next(iter(self._watching.query(sql, **values).next().values()))

    def until(self, sql, wanted, /, **values):
        """Waits for what a statement gives."""
        while self.ask(sql, **values) != wanted:
            time.sleep(0.002)

    def close(self):
        if self._watching is not None:
            self._watching.close()


class Sqlite(Engine):
    slow = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT count(*) FROM c"
    broken = f"SELECT CASE n WHEN 5000 THEN abs({-(2**63)}) ELSE n END AS n FROM ({{numbers}})"

    def numbers(self, count):
        return f"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {count}) SELECT i AS n FROM c"


class _Server(Engine):
    own = is_there = others = slept = running = killed = waiting = None

    def connection_of(self, base):
        """The number of the connection that the calling thread has."""
        return next(iter(base.query(self.own).next().values()))

    def disconnect(self, base):
        """Ends the connection that the calling thread has."""
        process = self.connection_of(base)
        self.end(process)
        self.until(self.is_there, 0, process=process)

    def end(self, process):
        self.ask(self.killed, process=process)

    def until_asleep(self, process):
        self.until(self.slept, 1, process=process)

    def is_running(self, sql):
        """Whether the server runs a statement that begins so."""
        return self.ask(self.running, sql=sql + "%") > 0

    def until_somebody_waits(self):
        self.until(self.waiting, 1)


class Postgres(_Server):
    slow = "SELECT pg_sleep(3600)"
    broken = "SELECT 1 / (5000 - n) AS n FROM ({numbers}) AS numbers"
    own = "SELECT pg_backend_pid()"
    is_there = "SELECT count(*) FROM pg_stat_activity WHERE pid = :process"
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    slept = "SELECT count(*) FROM pg_stat_activity WHERE pid = :process AND state = 'active' AND query LIKE '%pg_sleep%'"
    running = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE :sql"
    )
    killed = "SELECT pg_terminate_backend(:process)"
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    def numbers(self, count):
        return f"SELECT n FROM generate_series(1, {count}) AS n"


class MariaDb(_Server):
    slow = "SELECT sleep(3600)"
    # The rows up to 709 are sent.
    broken = "SELECT exp(n) AS n FROM ({numbers}) AS numbers"
    own = "SELECT connection_id()"
    is_there = "SELECT count(*) FROM information_schema.processlist WHERE id = :process"
    others = "SELECT count(*) FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
    slept = "SELECT count(*) FROM information_schema.processlist WHERE id = :process AND state = 'User sleep'"
    running = "SELECT count(*) FROM information_schema.processlist WHERE db = database() AND info LIKE :sql"
    # The list of transactions is renewed only for those who leave it alone for a tenth of a second.
    waiting = (
        "SELECT count(*) FROM information_schema.global_status "
        "WHERE variable_name = 'Innodb_row_lock_current_waits' AND variable_value > 0"
    )

    def end(self, process):
        self._watching or self.ask("SELECT 1")
        self._watching.query(f"KILL CONNECTION {process}")

    def numbers(self, count):
        return f"SELECT seq AS n FROM seq_1_to_{count}"


KINDS = {"sqlite": Sqlite, "postgresql": Postgres, "mariadb": MariaDb}


def make(request, tmp_path, name):
    """An engine with a database that is this test's alone."""
    if name == "sqlite":
        return Sqlite(name, f"sqlite:///{tmp_path}/rows.db?timeout=600")
    server = request.getfixturevalue({"postgresql": "postgres"}.get(name, name))
    return KINDS[name](name, server.database())


def only(*names):
    """For a test that is not for every engine."""
    return pytest.mark.parametrize("engine", names, indirect=True)
