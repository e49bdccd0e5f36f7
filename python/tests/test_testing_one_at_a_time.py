"""A session fixture that takes what one process at a time can have: its tests are run by one worker."""

import os
import re
import socket
import subprocess
import sys

import pytest

from naja.testing import scheduling

# As many servers of tests do: on a port of their own choosing, in a thread, and whoever wants it waits for it.
CONFTEST = """
import socketserver, pytest

def serving():
    class Server(socketserver.TCPServer):
        allow_reuse_address = False
    with Server(("127.0.0.1", {port}), socketserver.BaseRequestHandler) as server:
        yield server.server_address[1]

@pytest.fixture(scope="session")
def server():
    yield from serving()

@pytest.fixture
def url(server):
    return f"http://localhost:{{server}}/"
"""
TESTS = """
import pytest, time

@pytest.mark.parametrize("number", range(6))
def test_with(url, number):
    time.sleep(0.02)

@pytest.mark.parametrize("number", range(6))
def test_without(number):
    time.sleep(0.02)
"""


@pytest.mark.parametrize("mode", ["load", "loadfile"])
def test_tests_of_a_server_on_a_fixed_port_are_run_by_one_worker(tmp_path, mode):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "conftest.py").write_text(CONFTEST.format(port=port))
    (tmp_path / "test_a.py").write_text(TESTS)
    (tmp_path / "test_b.py").write_text(TESTS)
    (tmp_path / "test_c.py").write_text("def test_c(): pass")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "NAJA_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "naja.testing.plugin", "-n3", "-v", "--dist", mode], cwd=tmp_path, env=kept,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
    )
    assert done.returncode == 0 and "25 passed" in done.stdout, done.stdout
    assert f"session fixture server: in one worker alone, since it takes port {port}" in done.stdout
    workers = set(re.findall(r"\[(gw\d)\].*::test_with\[", done.stdout))
    assert len(workers) == 1, done.stdout


@pytest.mark.parametrize(
    "mode, expected",
    [
        ("load", [[0, 5], [1, 2], [3, 4], [6]]),
        ("loadscope", [[0, 1, 2, 5, 6], [3, 4]]),
    ],
)
def test_units_are_taken_apart_only_where_the_mode_allows_it(mode, expected):
    assert scheduling.with_one_worker([[0, 1, 2], [3, 4], [5, 6]], [[0, 5]], mode) == expected


def test_groups_that_share_a_test_are_one():
    assert sorted(scheduling.joined([[1, 2], [3], [4, 5], [2, 4]])) == [[1, 2, 4, 5], [3]]
