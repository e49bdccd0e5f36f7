"""`naja.dataset` and `naja.databases` over TLS, by the interpreter's own `ssl`, on servers that encrypt."""

import asyncio
import ssl

import pytest
from servers import Server

from naja import dataset
from naja.databases import Database

IS_ENCRYPTED = {
    "postgresql": "select ssl as it_is from pg_stat_ssl where pid = pg_backend_pid()",
    "mariadb": "select variable_value <> '' as it_is from information_schema.session_status where variable_name = 'Ssl_cipher'",
}
SLEEP = {"postgresql": "select pg_sleep(3600)", "mariadb": "select sleep(3600)"}
ASLEEP = {
    "postgresql": "select count(*) from pg_stat_activity where state = 'active' and query like 'select pg_sleep%'",
    "mariadb": "select count(*) from information_schema.processlist where info like 'select sleep%'",
}


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
def encrypted(request):
    """A server whose certificate is for `localhost`, and a user `tls_user` who is let in only encrypted."""
    server = Server(request.param, is_encrypted=True)
    if request.param == "postgresql":
        base = dataset.connect(server.url + "?sslmode=disable")
        base.query("create role tls_user login password 's3cret'")
        base.close()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def no_files_of_the_users_own(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))


def by_dataset(server, url):
    base = dataset.connect(url)
    try:
        return bool(base.query(IS_ENCRYPTED[server.engine]).next()["it_is"])
    finally:
        base.close()


def by_databases(server, url, **options):
    async def main():
        async with Database(url, **options) as db:
            return bool(await db.fetch_val(IS_ENCRYPTED[server.engine]))

    return asyncio.run(main())


REFUSED = (dataset.OperationalError, ssl.SSLCertVerificationError)


@pytest.mark.parametrize("is_encrypted", [by_dataset, by_databases])
def test_the_mode_says_what_is_encrypted_and_whom_one_trusts(encrypted, is_encrypted):
    server, here = encrypted, encrypted.at(host="localhost")
    assert is_encrypted(server, here) is True
    assert is_encrypted(server, here + "?sslmode=disable") is False
    assert is_encrypted(server, here + "?sslmode=prefer") is True
    assert is_encrypted(server, here + "?sslmode=require") is True
    assert is_encrypted(server, server.socket_url()) is False
    for mode in ("require", "verify-ca", "verify-full"):
        assert is_encrypted(server, f"{here}?sslmode={mode}&sslrootcert={server.authority}") is True
        with pytest.raises(REFUSED, match="certificate verify failed"):
            is_encrypted(server, f"{here}?sslmode={mode}&sslrootcert={server.other}")
    for mode in ("verify-ca", "verify-full"):
        # Nobody whom the system trusts has signed it.
        with pytest.raises(REFUSED, match="certificate verify failed"):
            is_encrypted(server, f"{here}?sslmode={mode}")
    by_number = f"{server.url}?sslmode=verify-full&sslrootcert={server.authority}"
    with pytest.raises(REFUSED, match="IP address mismatch"):
        is_encrypted(server, by_number)
    assert is_encrypted(server, by_number.replace("verify-full", "verify-ca")) is True
    with pytest.raises((dataset.OperationalError, FileNotFoundError), match="No such file"):
        is_encrypted(server, f"{here}?sslmode=verify-full&sslrootcert=/no/such.crt")


@pytest.mark.parametrize("is_encrypted", [by_dataset, by_databases])
def test_files_of_libpq_are_looked_for_with_postgresql_alone(encrypted, is_encrypted, tmp_path, monkeypatch):
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql/root.crt").symlink_to(encrypted.other)
    url = encrypted.at(host="localhost") + "?sslmode=require"
    if encrypted.engine == "postgresql":
        with pytest.raises(REFUSED, match="certificate verify failed"):
            is_encrypted(encrypted, url)
        monkeypatch.setenv("PGSSLROOTCERT", encrypted.authority)
    assert is_encrypted(encrypted, url) is True


def test_words_of_the_drivers_mean_the_same(encrypted):
    server, here = encrypted, encrypted.at(host="localhost")
    assert by_databases(server, here, ssl="prefer") is True
    if server.engine == "postgresql":
        assert by_databases(server, here + "?ssl=require") is True
    assert by_databases(server, here, ssl=False) is False
    assert by_databases(server, here, ssl="allow") is False
    assert by_databases(server, here, ssl=ssl.create_default_context(cafile=server.authority)) is True
    for context in (True, ssl.create_default_context(), ssl.create_default_context(cafile=server.other)):
        with pytest.raises(ssl.SSLCertVerificationError):
            by_databases(server, here, ssl=context)


@pytest.mark.parametrize("is_encrypted", [by_dataset, by_databases])
def test_a_user_who_must_encrypt_is_let_in_encrypted_alone(encrypted, is_encrypted):
    # The superuser's databases are none of this user's.
    place = {"postgresql": {}, "mariadb": {"database": "information_schema"}}[encrypted.engine]
    url = encrypted.at(user="tls_user", password="s3cret", **place)
    assert is_encrypted(encrypted, url) is True
    for mode in ("require", "prefer", "allow"):
        assert is_encrypted(encrypted, f"{url}?sslmode={mode}") is True
    with pytest.raises(Exception, match="tls_user") as refusal:
        is_encrypted(encrypted, url + "?sslmode=disable")
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize("is_encrypted", [by_dataset, by_databases])
def test_a_login_is_tied_to_the_certificate(encrypted, is_encrypted):
    if encrypted.engine == "postgresql":
        url = encrypted.at(user="tls_user", password="s3cret") + "?channel_binding=require"
        assert is_encrypted(encrypted, url) is True


def test_statements_are_cancelled_through_the_encryption(encrypted):
    async def main():
        async with Database(encrypted.url, min_size=1, max_size=1, ssl="require") as db, Database(encrypted.url) as watch:
            task = asyncio.create_task(db.execute(SLEEP[encrypted.engine]))
            while not await watch.fetch_val(ASLEEP[encrypted.engine]):
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await db.fetch_val("select 1") == 1

    asyncio.run(main())


def test_much_goes_both_ways(encrypted):
    base = dataset.connect(encrypted.url)
    rows = [{"number": number, "text": "x" * 2000} for number in range(20_000)]
    base["much"].insert_many(rows)
    base["much"].create_index(["number"])
    assert base["much"].count() == 20_000
    assert sum(len(row["text"]) for row in base["much"].find(_streamed=True)) == 40_000_000
    base["much"].update_many([{"number": number, "text": "y" * 2000} for number in range(500)], ["number"])
    assert base["much"].count(text="y" * 2000) == 500
    base.close()

    async def main():
        async with Database(encrypted.url) as db:
            insert = "insert into much (number, text) values (:number, :text)"
            await db.execute_many(insert, rows)
            assert sum([len(row["text"]) async for row in db.iterate("select text from much")]) == 80_000_000

    asyncio.run(main())
