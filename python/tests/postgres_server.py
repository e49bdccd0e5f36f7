"""A PostgreSQL server for tests: a cluster of its own, gone at the end however the tests end.

A shell holds the server and waits on a pipe. When the pipe closes, because the tests are done or were killed, the shell
ends the server and removes its folder. It is what `base/testkit` does for tests in Rust.
"""

import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

KEEPER = """
start() {
    "$1" -D "$2/data" -k "$2" -p "$3" -c listen_addresses=127.0.0.1 -c fsync="$4" -c full_page_writes="$4" \\
        -c shared_buffers=16MB -c max_connections=100 -c timezone=UTC -c logging_collector=off -c autovacuum=off \\
        >>"$2/log" 2>&1 </dev/null &
    server=$!
}
start "$@"
while read -r line; do
    wait $server
    start "$@"
done
kill -QUIT $server 2>/dev/null
wait $server
rm -rf "$2"
"""

WHO_MAY = """
local all all                   trust
hostssl all tls_user  all       scram-sha-256
host  all tls_user    all       reject
host  all scram_user  all       scram-sha-256
host  all md5_user    all       md5
host  all all         all       trust
"""

# How long a server may take until it is ready: far more than it ever needs.
READY_WITHIN_S = 60


def programs():
    """The folder of the newest server's programs, or None."""
    folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    on_path = [pathlib.Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    for folder in [*reversed(folders), *on_path]:
        if (folder / "postgres").is_file() and (folder / "initdb").is_file():
            return folder
    return None


def _other_user():
    """The server refuses to run as root: then it runs as this user."""
    if os.geteuid():
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


class Server:
    """A running server, of which `postgres` is the superuser and a database."""

    def __init__(self, fsync=False, certificate=None):
        self._programs = programs()
        self._user = _other_user()
        self._fsync = "on" if fsync else "off"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="naja-pg-"))
        self._give(self.folder)
        self._run("initdb", "-D", self.folder / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        (self.folder / "data" / "pg_hba.conf").write_text(WHO_MAY)
        if certificate is not None:
            for name, path in zip(("server.crt", "server.key"), certificate):
                copy = self.folder / "data" / name
                shutil.copy(path, copy)
                copy.chmod(0o600)
                self._give(copy)
            with (self.folder / "data" / "postgresql.conf").open("a") as settings:
                settings.write("\nssl = on\n")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, "sh", self._programs / "postgres", self.folder, str(self.port), self._fsync],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
            **self._as_user(),
        )
        self._wait_until_ready()

    def _give(self, path):
        if self._user is not None:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def _as_user(self):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        words = {"env": {**environment, "LC_ALL": "C"}, "cwd": "/"}
        if self._user is not None:
            words.update(user=self._user.pw_uid, group=self._user.pw_gid, extra_groups=[])
        return words

    def _run(self, program, *words):
        done = subprocess.run([self._programs / program, *words], capture_output=True, text=True, **self._as_user())
        assert done.returncode == 0, f"{program}: {done.stderr}"

    def _status(self):
        try:
            return (self.folder / "data" / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _wait_until_ready(self):
        until = time.monotonic() + READY_WITHIN_S
        # The eighth line says how far it is.
        while [line.strip() for line in self._status()[7:8]] != ["ready"]:
            assert time.monotonic() < until, f"PostgreSQL does not start: {self.log()}"
            time.sleep(0.01)

    def log(self):
        return (self.folder / "log").read_text() if (self.folder / "log").exists() else ""

    @property
    def process(self):
        """The number of the server's first process."""
        return int(self._status()[0])

    def restart(self, how=signal.SIGQUIT):
        """Ends the server at once and starts it again, on the same port."""
        process = self.process
        os.kill(process, how)
        until = time.monotonic() + READY_WITHIN_S
        while self._status() and self._status()[0] == str(process) and pathlib.Path(f"/proc/{process}").exists():
            assert time.monotonic() < until, "the server does not end"
            time.sleep(0.01)
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)
        self._keeper.stdin.write(b"again\n")
        self._keeper.stdin.flush()
        self._wait_until_ready()

    def url(self, scheme="postgresql", user="postgres", password=None, database="postgres", options=""):
        login = user if password is None else f"{user}:{password}"
        return f"{scheme}://{login}@127.0.0.1:{self.port}/{database}{options}"

    def socket_url(self, scheme="postgresql", database="postgres"):
        return f"{scheme}://postgres@:{self.port}/{database}?host={self.folder}"

    def stop(self):
        self._keeper.stdin.close()
        self._keeper.wait()


@pytest.fixture(scope="session")
def postgres():
    """One server for all tests of a run."""
    if programs() is None:
        print("not tested: PostgreSQL: no server is installed")
        pytest.skip("no server of PostgreSQL is installed")
    server = Server()
    yield server
    server.stop()
