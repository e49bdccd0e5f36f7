"""naja.dataset on MariaDB: tables, values, statements, and what goes wrong."""

import datetime
import decimal
import threading
import uuid

import pytest

from naja import dataset
from naja.dataset._errors import ArgumentError


@pytest.fixture
def db(mariadb_url):
    base = dataset.connect(mariadb_url)
    yield base
    base.close()


def rows(table, **filters):
    return [dict(row) for row in table.find(order_by="id", **filters)]


VALUES = {
    "whole": 2**63 - 1,
    "fraction": -1.5e300,
    "truth": True,
    "text": "Zoë € 🐍 a'b\"c \\ % \0",
    "day": datetime.date(9999, 12, 31),
    "moment": datetime.datetime(2020, 2, 29, 23, 59, 59, 123456),
    "clock": datetime.time(23, 59, 59, 999999),
    "exact": decimal.Decimal("12345678901234567890.123456789000000000000000000000"),
    "raw": b"\x00\xff",
    "document": {"a": [1, None, {"b": "ü"}], "n": 1.5},
    "several": [1, "two", None],
}


def test_every_value_comes_back_as_it_was(db):
    key = db["facts"].insert(VALUES)
    assert rows(db["facts"]) == [{"id": key, **VALUES}]
    db["facts"].insert_many([VALUES] * 50)
    assert all(dict(row, id=0) == {"id": 0, **VALUES} for row in db["facts"])
    assert {type(row["truth"]) for row in db["facts"]} == {bool}
    declared = {name: kind for name, kind, _ in db["facts"]._describe()}
    assert declared == {
        "id": "int(11)",
        "whole": "bigint(20)",
        "fraction": "double",
        "truth": "tinyint(1)",
        "text": "text",
        "day": "date",
        "moment": "datetime(6)",
        "clock": "time(6)",
        "exact": "decimal(65,30)",
        "raw": "longblob",
        "document": "longtext",
        "several": "longtext",
    }


def test_columns_of_types_that_are_not_made_here_are_written_and_read(db):
    db.query(
        "CREATE TABLE kinds (id int AUTO_INCREMENT PRIMARY KEY, id2 uuid, span time, how enum('sad', 'glad'), "
        "large bigint unsigned, small smallint, flags set('a', 'b'), bits bit(4), y year)"
    )
    own = uuid.uuid4()
    row = {
        "id2": own,
        "span": datetime.timedelta(days=3, seconds=5),
        "how": "glad",
        "large": 2**64 - 1,
        "small": -32768,
        "flags": "a,b",
        "bits": b"\x05",
        "y": 2024,
    }
    db["kinds"].insert(row)
    db["kinds"].insert_many([row] * 30)
    assert all(dict(one, id=0) == {"id": 0, **row} for one in db["kinds"])
    assert db["kinds"].find_one(id2=own)["how"] == "glad"
    assert db["kinds"].count(how=["sad", "glad"], y={"between": [2020, 2024]}) == 31


def test_insert_gives_the_primary_key(db):
    assert db["a"].insert({"x": 1}) == 1 and db["a"].insert({"x": 2}) == 2
    assert db["a"].insert({"id": 17, "x": 3}) == 17
    words = db.create_table("words", "word", db.types.string(25))
    assert words.insert({"word": "ox"}) == "ox"
    assert db.create_table("none", primary_id=False, primary_type=None).insert({"x": 1}) is True
    assert db.create_table("large", primary_type=db.types.bigint).insert({"x": 1}) == 1
    assert {name: kind for name, kind, _ in db["large"]._describe()}["id"] == "bigint(20)"


def test_filters_and_order(db):
    table = db["facts"]
    table.insert_many([{"name": f"n{number}", "n": number, "odd": number % 2 == 1} for number in range(20)])
    assert [row["n"] for row in table.find(n={">=": 5, "<": 8}, order_by="-n")] == [7, 6, 5]
    assert table.count(odd=True) == 10 and table.count(name=["n1", "n2", "none"]) == 2
    assert table.count(name={"startswith": "n1"}) == 11 and table.count(name={"ilike": "N1_"}) == 10
    assert [row["n"] for row in table.find(_limit=2, _offset=3, order_by="n")] == [3, 4]
    assert [row["n"] for row in table.find(_offset=18, order_by="n")] == [18, 19]
    assert len(list(table.distinct("odd"))) == 2
    assert table.count(name=None) == 0 and table.count(none=1) == 0


def test_upsert_changes_or_stores(db):
    table = db["facts"]
    assert table.upsert({"name": "a", "n": 1}, ["name"]) == 1
    assert table.upsert({"name": "a", "n": 1}, ["name"]) is True
    assert table.upsert({"name": "a", "n": 2}, ["name"]) is True
    assert table.insert_ignore({"name": "a", "n": 3}, ["name"]) is False
    table.upsert_many([{"name": "a", "n": 5}, {"name": "b", "n": 6}], ["name"])
    assert [(row["name"], row["n"]) for row in rows(table)] == [("a", 5), ("b", 6)]
    # Rows that are found, whether or not anything in them changes.
    assert table.update({"name": "a", "n": 5}, ["name"], return_count=True) == 1
    assert table.delete(name="a") is True and table.delete(name="a") is False
    assert table.has_index(["name"])
    table.create_index(["name", "n"])
    table.create_index(["name", "n"])


def test_a_transaction_is_stored_or_undone(db, mariadb_url):
    db["facts"].insert({"n": 1})
    other = dataset.connect(mariadb_url)
    with pytest.raises(ValueError), db as tx:
        tx["facts"].insert({"n": 2})
        assert other["facts"].count() == 1
        raise ValueError
    assert db["facts"].count() == 1
    with db as tx:
        tx["facts"].insert_many([{"n": number} for number in range(100)])
        # What changes a table commits what came before it, as the server has it.
        tx["facts"].insert({"n": 3, "new": "column"})
        assert other["facts"].count() == 101
    assert other["facts"].count() == 102
    other.close()


def test_a_statement_of_the_users_own(db):
    db["facts"].insert_many([{"n": number} for number in range(3000)])
    assert [row["m"] for row in db.query("SELECT n + :more AS m FROM facts WHERE n < :less ORDER BY n", more=1, less=3)] == [1, 2, 3]
    result = db.query("SELECT n FROM facts ORDER BY id", _step=100)
    assert next(result)["n"] == 0
    # Something else in between.
    assert db["facts"].count() == 3000
    assert [row["n"] for row in result] == list(range(1, 3000))
    db.query("UPDATE facts SET n = 0")
    assert db["facts"].count(n=0) == 3000
    assert [row["Field"] for row in db.query("DESCRIBE facts")] == ["id", "n"]


def test_views_and_schemas_are_listed(db, mariadb_url):
    db["facts"].insert({"n": 1})
    db.query("CREATE VIEW seen AS SELECT * FROM facts")
    assert db.tables == ["facts"] and db.views == ["seen"]
    name = mariadb_url.rpartition("/")[2]
    elsewhere = dataset.connect(mariadb_url.rpartition("/")[0] + "/test", schema=name)
    assert elsewhere.tables == ["facts"] and elsewhere["facts"].find_one()["n"] == 1
    assert rows(db.load_table("seen")) == [{"id": 1, "n": 1}]
    elsewhere.close()


def test_what_is_refused_has_its_class_number_and_place(db):
    db.query("CREATE TABLE limited (id int AUTO_INCREMENT PRIMARY KEY, small smallint, word varchar(5), must int NOT NULL UNIQUE)")
    table = db["limited"]
    for row, kind, words in [
        ({"must": 1, "small": 32768}, dataset.DataError, ["32768", "`small`", "`limited`"]),
        ({"must": 1, "word": "too long"}, dataset.DataError, ["`word`", "varchar(5)"]),
        ({"must": 1, "small": object()}, dataset.ProgrammingError, ["`small`", "'object'"]),
        ({"must": None}, dataset.IntegrityError, ["must", "1048"]),
        ({"must": float("nan")}, dataset.DataError, ["NaN"]),
    ]:
        for store in (lambda: table.insert(row), lambda: table.insert_many([{"must": 7}, row])):
            with pytest.raises(kind) as error:
                store()
            assert all(word in str(error.value) for word in words), str(error.value)
            assert len(table) == 0
    table.insert({"must": 1})
    with pytest.raises(dataset.IntegrityError) as error:
        table.insert({"must": 1})
    assert error.value.orig.args[0] == 1062 and error.value.orig.sqlstate == "23000"
    with pytest.raises(dataset.OperationalError, match="1054"):
        db.query("SELECT nothing")
    with pytest.raises(dataset.ProgrammingError, match="1064"):
        db.query("SELEC 1")


def test_each_thread_has_a_connection(db):
    db["facts"].insert({"n": 0})
    threads = [threading.Thread(target=lambda: [db["facts"].insert({"n": number}) for number in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert db["facts"].count() == 81


@pytest.mark.parametrize("name", ["sel`ect", 'quo"te', "semi;colon", "per%cent", "ques?tion", "col:on"])
def test_names_are_names_and_values_are_values(db, name):
    db[name].insert({name: name})
    assert db[name].find_one(**{name: name})[name] == name
    assert db.tables == [name]


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mysql+pymysql", "mysql+mysqldb"])
def test_every_spelling_of_the_scheme_means_the_same(mariadb, mariadb_url, scheme):
    place = mariadb_url.partition("://")[2]
    for url in (f"{scheme}://{place}?charset=utf8mb4", f"{scheme}://root@/test?unix_socket={mariadb.socket}"):
        db = dataset.connect(url)
        assert db.is_mysql and not db.is_sqlite and not db.is_postgres
        assert db.query("SELECT 1 AS one").next()["one"] == 1
        db.close()


def test_no_password_is_ever_told(mariadb):
    place = mariadb.url.rpartition("@")[2]
    for url in (f"mysql://root:s3cret@{place}", f"mysql://nobody:s3cret@{place}", "mysql://root:s3cret@127.0.0.1:1/test"):
        with pytest.raises(dataset.OperationalError) as error:
            dataset.connect(url).query("SELECT 1")
        assert "s3cret" not in str(error.value) + repr(error.value)
    with pytest.raises(ArgumentError) as error:
        dataset.connect("mysql://root:s3cret@host/test?no_such_option=1")
    assert "no_such_option" in str(error.value) and "s3cret" not in str(error.value)


def test_a_server_that_went_away_is_found_again(mariadb, mariadb_url):
    db = dataset.connect(mariadb_url)
    db["facts"].insert({"n": 1})
    process = db.query("SELECT connection_id() AS id").next()["id"]
    other = dataset.connect(mariadb_url)
    other.query(f"KILL CONNECTION {process}")
    while other.query("SELECT count(*) AS n FROM information_schema.processlist WHERE id = :id", id=process).next()["n"]:
        pass
    assert db["facts"].count() == 1
    db.begin()
    db["facts"].insert({"n": 2})
    process = db.query("SELECT connection_id() AS id").next()["id"]
    other.query(f"KILL CONNECTION {process}")
    with pytest.raises(dataset.OperationalError):
        db["facts"].insert({"n": 3})
        db["facts"].insert({"n": 3})
    db.rollback()
    assert db["facts"].count() == 1
    db.close()
    other.close()
