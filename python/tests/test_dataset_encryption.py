"""`naja.dataset` over TLS, by the interpreter's own `ssl`."""

import subprocess

import pytest
from postgres_server import Server, programs

from naja import dataset

ENCRYPTED = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory):
    """A server that speaks TLS: its URL, and its certificate, which is signed by itself and for `localhost`."""
    if programs() is None:
        pytest.skip("no server of PostgreSQL is installed")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "server.crt", folder / "server.key"
    command = ["openssl", "req", "-new", "-x509", "-days", "30", "-nodes", "-subj", "/CN=localhost", "-addext"]
    command += ["subjectAltName=DNS:localhost", "-out", certificate, "-keyout", key]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no openssl to make a certificate")
    server = Server(certificate=(certificate, key))
    base = dataset.connect(server.url() + "?sslmode=disable")
    base.query("create role tls_user login password 'secret'")
    base.close()
    yield server, str(certificate)
    server.stop()


def is_encrypted(url):
    base = dataset.connect(url)
    try:
        return base.query(ENCRYPTED).next()["ssl"]
    finally:
        base.close()


def test_the_mode_says_what_is_encrypted_and_whom_one_trusts(encrypted, monkeypatch, tmp_path):
    server, certificate = encrypted
    monkeypatch.setenv("HOME", str(tmp_path))
    here = server.url().replace("127.0.0.1", "localhost")
    assert is_encrypted(here) is True
    assert is_encrypted(here + "?sslmode=disable") is False
    assert is_encrypted(here + "?sslmode=require") is True
    assert is_encrypted(f"{here}?sslmode=verify-full&sslrootcert={certificate}") is True
    for mode in ("verify-ca", "verify-full"):
        with pytest.raises(dataset.OperationalError, match="certificate verify failed"):
            is_encrypted(f"{here}?sslmode={mode}")
    other = f"{server.url()}?sslmode=verify-full&sslrootcert={certificate}"
    with pytest.raises(dataset.OperationalError, match="IP address mismatch"):
        is_encrypted(other)
    assert is_encrypted(other.replace("verify-full", "verify-ca")) is True
    with pytest.raises(dataset.OperationalError, match="No such file"):
        is_encrypted(f"{here}?sslmode=verify-full&sslrootcert=/no/such.crt")


def test_a_login_is_tied_to_the_certificate(encrypted):
    server, _ = encrypted
    assert is_encrypted(server.url(user="tls_user", password="secret") + "?channel_binding=require") is True


def test_much_goes_both_ways(encrypted):
    server, _ = encrypted
    base = dataset.connect(server.url())
    rows = [{"number": number, "text": "x" * 2000} for number in range(20_000)]
    base["much"].insert_many(rows)
    assert base["much"].count() == 20_000
    assert sum(len(row["text"]) for row in base["much"].find(_streamed=True)) == 40_000_000
    base["much"].update_many([{"number": number, "text": "y" * 2000} for number in range(500)], ["number"])
    assert base["much"].count(text="y" * 2000) == 500
    base.close()
