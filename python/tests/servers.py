"""Database servers that tests start themselves, and that are gone afterwards: what `naja-database-server` of the testkit is
asked for."""

import json
import pathlib
import subprocess

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ("cargo", "run", "--quiet", "--release", "--locked", "--package", "naja-testkit", "--bin", "naja-database-server", "--")
NOT_INSTALLED = 3


class Server:
    """A server; `url` is where it listens on 127.0.0.1, `socket` its Unix socket or the folder of that."""

    def __init__(self, engine, is_durable=False):
        words = [*PROGRAM, engine, str(CHECKOUT / ".cache/servers"), *(["durable"] if is_durable else [])]
        # A group of its own: Ctrl-C that is meant for a test must not reach it.
        self.process = subprocess.Popen(
            words, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            self.close()
            if code == NOT_INSTALLED:
                pytest.skip(f"{engine}: no server is installed")
            raise RuntimeError(f"no server was started: exit code {code}")
        place = json.loads(line)
        self.url = place["url"]
        self.socket = place["socket"]
        self.port = place["port"]

    def database(self, name):
        """The URL of a new and empty database."""
        from naja import dataset

        base = dataset.connect(self.url)
        base.query(f'CREATE DATABASE "{name}"')
        base.close()
        return self.url.rpartition("/")[0] + f"/{name}"

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
