"""What was acknowledged is stored whole, and nothing else, however the program or the server ends: both faces, every engine."""

import kills
import pytest
from servers import Server

FACES = tuple(kills.FACES)


@pytest.mark.parametrize("mode", ["wal", "delete"])
@pytest.mark.parametrize("face", FACES)
def test_on_sqlite_every_acknowledged_row_is_there_and_no_half_transaction(face, mode, tmp_path):
    kills.check(face, f"sqlite:///{tmp_path}/facts.db", mode)


@pytest.mark.parametrize("engine", ["postgresql", "mariadb"])
@pytest.mark.parametrize("face", FACES)
def test_on_a_server_every_acknowledged_row_is_there_and_no_half_transaction(face, engine):
    server = Server(engine, is_durable=True)
    try:
        kills.check(face, server.url, server=server)
    finally:
        server.close()
