"""Database servers that tests start themselves, and that are gone afterwards: what `naja-database-server` of the testkit is
asked for."""

import json
import os
import pathlib
import subprocess

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ("cargo", "run", "--quiet", "--release", "--locked", "--package", "naja-testkit", "--bin", "naja-database-server", "--")
NOT_INSTALLED = 3

# What is raised where there is no such server: tests are skipped by it.
NotInstalled = pytest.skip.Exception


class Server:
    """A server, of which `url` is the superuser's on 127.0.0.1.

    `socket` is its Unix socket or the folder of that. One that `is_encrypted` has a certificate for `localhost`:
    `authority` is the file of whom to trust, `other` that of somebody else. `folder` is where its own folder is made.
    """

    def __init__(self, engine, is_durable=False, is_encrypted=False, folder=None):
        words = [*PROGRAM, engine, str(CHECKOUT / ".cache/servers")]
        words += ["durable"] * is_durable + ["encrypted"] * is_encrypted
        environment = {**os.environ, "TMPDIR": str(folder)} if folder else None
        # A group of its own: Ctrl-C that is meant for a test must not reach it.
        self.process = subprocess.Popen(
            words, cwd=CHECKOUT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            self.close()
            if code == NOT_INSTALLED:
                pytest.skip(f"{engine}: no server is installed")
            raise RuntimeError(f"no server was started: exit code {code}")
        place = json.loads(line)
        self.engine = engine
        self.url = place["url"]
        self.socket = place["socket"]
        self.port = place["port"]
        self.user = place["user"]
        self.authority = place["authority"]
        self.other = place["other"]
        self._databases = 0

    def at(self, scheme=None, user=None, password=None, host="127.0.0.1", database=None):
        """Its URL with other parts in it."""
        of_url, _, place = self.url.partition("://")
        login = self.user if user is None else user
        login += "" if password is None else f":{password}"
        return f"{scheme or of_url}://{login}@{host}:{self.port}/{database or place.rpartition('/')[2]}"

    def socket_url(self, scheme=None, database=None):
        """Its URL by the Unix socket."""
        of_url, _, place = self.url.partition("://")
        database = database or place.rpartition("/")[2]
        if self.engine == "postgresql":
            return f"{scheme or of_url}://{self.user}@:{self.port}/{database}?host={self.socket}"
        return f"{scheme or of_url}://{self.user}@/{database}?unix_socket={self.socket}"

    def database(self, name=None):
        """The URL of a new and empty database."""
        from naja import dataset

        self._databases += 1
        name = name or f"test_{self._databases}"
        base = dataset.connect(self.url)
        mark = '"' if self.engine == "postgresql" else "`"
        base.query(f"CREATE DATABASE {mark}{name}{mark}")
        base.close()
        return self.at(database=name)

    def restart(self):
        """Ends it without a goodbye to anyone, and starts it again on its data."""
        self._ask("restart")

    def kill(self):
        """Ends it as a machine that loses power does."""
        self._ask("kill")

    def _ask(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
