"""naja.dataset on PostgreSQL: tables, values, statements, and what goes wrong."""

import datetime
import decimal
import uuid

import pytest

from naja import dataset

UTC = datetime.timezone.utc


@pytest.fixture
def db(postgres_url):
    base = dataset.connect(postgres_url)
    yield base
    base.close()


def rows(table, **filters):
    return [dict(row) for row in table.find(order_by="id", **filters)]


VALUES = {
    "whole": 2**63 - 1,
    "fraction": -1.5e300,
    "truth": True,
    "text": "Zoë € a'b\"c \\ %",
    "day": datetime.date(9999, 12, 31),
    "moment": datetime.datetime(2020, 2, 29, 23, 59, 59, 123456),
    "clock": datetime.time(23, 59, 59, 999999),
    "exact": decimal.Decimal("12345678901234567890.123456789"),
    "raw": b"\x00\xff",
    "document": {"a": [1, None, {"b": "ü"}], "n": 1.5},
    "several": [1, "two", None],
}


def test_every_value_comes_back_as_it_was(db):
    key = db["facts"].insert(VALUES)
    assert rows(db["facts"]) == [{"id": key, **VALUES}]
    db["facts"].insert_many([VALUES] * 50)
    assert all(dict(row, id=0) == {"id": 0, **VALUES} for row in db["facts"])
    declared = {name: kind for name, kind, _ in db["facts"]._describe()}
    assert declared == {
        "id": "integer",
        "whole": "bigint",
        "fraction": "double precision",
        "truth": "boolean",
        "text": "text",
        "day": "date",
        "moment": "timestamp without time zone",
        "clock": "time without time zone",
        "exact": "numeric",
        "raw": "bytea",
        "document": "jsonb",
        "several": "jsonb",
    }


def test_columns_of_types_that_are_not_made_here_are_written_and_read(db):
    db.query(
        "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN age AS int CHECK (value >= 0); "
        "CREATE TABLE kinds (id serial PRIMARY KEY, numbers int[], grid text[], id2 uuid, zoned timestamptz, "
        "span interval, how mood, years age, small smallint, place inet, part int4range)"
    )
    own = uuid.uuid4()
    row = {
        "numbers": [1, None, 3],
        "grid": [["a", "b"], ["c,", '"']],
        "id2": own,
        "zoned": datetime.datetime(2020, 1, 1, 12, tzinfo=UTC),
        "span": datetime.timedelta(days=3, seconds=5),
        "how": "glad",
        "years": 7,
        "small": -32768,
        "place": "10.0.0.1",
        "part": "[1,5)",
    }
    db["kinds"].insert(row)
    db["kinds"].insert_many([row] * 30)
    assert all(dict(one, id=0) == {"id": 0, **row} for one in db["kinds"])
    assert len(db["kinds"]) == 31
    assert db["kinds"].find_one(id2=own)["how"] == "glad"
    assert db["kinds"].count(how=["sad", "glad"], years={"between": [7, 9]}) == 31


def test_a_moment_of_a_zone_is_what_the_clock_of_the_connection_shows(postgres_url):
    db = dataset.connect(postgres_url, on_connect_statements=["SET TimeZone = 'Asia/Kolkata'"])
    db["facts"].insert({"at": datetime.datetime(2020, 1, 1)})
    moment = datetime.datetime(2020, 6, 1, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
    db["facts"].insert({"at": moment})
    db["facts"].insert_many([{"at": moment}] * 30)
    assert db["facts"].count(at=datetime.datetime(2020, 6, 1, 15, 30)) == 31
    assert db.query("SELECT count(*) AS n FROM facts WHERE at = CAST(:at AS timestamptz)::timestamp", at=moment).next()["n"] == 31
    db.close()


def test_insert_gives_the_primary_key(db):
    assert db["a"].insert({"x": 1}) == 1 and db["a"].insert({"x": 2}) == 2
    assert db["a"].insert({"id": 17, "x": 3}) == 17
    words = db.create_table("words", "word", db.types.string(25))
    assert words.insert({"word": "ox"}) == "ox"
    assert db.create_table("none", primary_id=False).insert({"x": 1}) is True
    assert db.create_table("large", primary_type=db.types.bigint).insert({"x": 1}) == 1
    assert dict((name, kind) for name, kind, _ in db["large"]._describe())["id"] == "bigint"
    db.query("CREATE TABLE made (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), x int)")
    key = db["made"].insert({"x": 1})
    assert isinstance(key, uuid.UUID) and db["made"].find_one(id=key)["x"] == 1
    assert isinstance(db["made"].upsert({"x": 5}, ["x"]), uuid.UUID) and db["made"].upsert({"x": 5}, ["x"]) is True


def test_a_table_may_have_no_columns_at_all(db):
    table = db.create_table("empty", primary_id=False)
    table._create()
    assert "empty" in db and table.columns == []
    table.insert({"x": 1})
    assert table.columns == ["x"]


def test_filters_and_order(db):
    db["people"].insert_many(
        [{"name": "Ada", "born": 1815}, {"name": "bob_x", "born": 1900}, {"name": "Bob%", "born": None}, {"name": None, "born": 7}]
    )
    find = lambda **filters: [row["name"] for row in db["people"].find(order_by="id", **filters)]  # noqa: E731
    assert find(name={"ilike": "BOB%"}) == ["bob_x", "Bob%"]
    assert find(name={"like": "bob%"}) == ["bob_x"]
    assert find(name={"notilike": "b%"}) == ["Ada"]
    assert find(name={"startswith": "bob_"}) == ["bob_x"] and find(name={"endswith": "%"}) == ["Bob%"]
    assert find(born=None) == ["Bob%"] and find(born={"not": None, ">": 1000}) == ["Ada", "bob_x"]
    assert find(born=[7, 1815]) == ["Ada", None] and find(born={"notin": [7]}) == ["Ada", "bob_x"]
    assert find(nothing=1) == [] and find(born={"odd": 1}) == []
    assert [row["born"] for row in db["people"].find(order_by=["-born"], _limit=2, _offset=1)] == [1900, 1815]
    assert [row["born"] for row in db["people"].distinct("born", born={">=": 1815})] == [1815, 1900]
    # As the server compares: text that looks like a number is one.
    assert find(born="1815") == ["Ada"]


def test_schemas_are_apart(postgres_url):
    plain = dataset.connect(postgres_url)
    plain.query('CREATE SCHEMA "Other one"')
    plain["rows"].insert({"a": 1})
    other = dataset.connect(postgres_url, schema="Other one")
    by_url = dataset.connect(f"{postgres_url}?schema=Other+one".replace("+", "%20"))
    other["rows"].insert_many([{"b": number} for number in range(40)])
    other["rows"].upsert({"b": 3, "c": "x"}, ["b"])
    other["people"].insert({"name": "Ada"})
    other["rows"].create_column("owner", other.types.integer, foreign_key="people.id")
    assert other["rows"].columns == ["id", "b", "c", "owner"] and plain["rows"].columns == ["id", "a"]
    assert other.tables == ["people", "rows"] == by_url.tables and plain.tables == ["rows"]
    assert len(by_url["rows"]) == 40 and len(plain["rows"]) == 1
    assert other["rows"].has_index(["b"]) and not plain["rows"].has_index(["a"])
    other["rows"].drop()
    assert len(plain["rows"]) == 1
    for base in (plain, other, by_url):
        base.close()


def test_views_and_other_relations_are_read(db):
    db["people"].insert({"name": "Ada", "born": 1815})
    db.query("CREATE VIEW names AS SELECT name FROM people")
    assert db.views == ["names"] and "names" in db and db.has_table("names") and not db.has_table("nobody")
    assert [dict(row) for row in db.load_table("names")] == [{"name": "Ada"}]
    db.query("CREATE MATERIALIZED VIEW kept AS SELECT name FROM people")
    assert [dict(row) for row in db.load_table("kept")] == [{"name": "Ada"}]


def test_rows_go_through_rules_policies_and_views_as_through_insert(db):
    db.query(
        "CREATE TABLE ruled (id serial PRIMARY KEY, a int); CREATE TABLE told (a int);"
        "CREATE RULE tell AS ON INSERT TO ruled DO ALSO INSERT INTO told VALUES (new.a);"
        "CREATE VIEW seen AS SELECT a FROM ruled"
    )
    db["ruled"].insert_many([{"a": number} for number in range(50)])
    db.load_table("seen").insert_many([{"a": number} for number in range(50)])
    assert len(db["told"]) == 100 and len(db["ruled"]) == 100


def test_upsert_changes_or_stores(db):
    table = db["people"]
    assert table.upsert({"name": "Ada", "born": 1}, ["name"]) == 1
    assert table.upsert({"name": "Ada", "born": 1815}, ["name"]) is True
    assert table.upsert({"name": None, "born": 5}, ["name"]) == 2 and table.upsert({"name": None, "born": 6}, ["name"]) is True
    assert table.upsert({"name": "Ada"}, ["name"]) is True and table.upsert({"name": "Bob"}, ["name"]) == 3
    assert table.insert_ignore({"name": "Ada", "born": 0}, ["name"]) is False
    assert table.insert_ignore({"name": "Dan", "born": 0}, ["name"]) == 4
    assert {row["name"]: row["born"] for row in table} == {"Ada": 1815, None: 6, "Bob": None, "Dan": 0}
    # Without keys every row is meant.
    assert table.upsert({"born": 7}, []) is True and {row["born"] for row in table} == {7}
    assert table.has_index(["name"])


def test_upsert_with_a_unique_key_takes_no_numbers_for_rows_that_are_there(db):
    table = db["people"]
    table.insert({"name": "Ada", "born": 1, "fixed": "x"})
    table.create_column("needed", db.types.integer, nullable=False, default=0)
    db.query("ALTER TABLE people ALTER COLUMN needed DROP DEFAULT")
    table.create_index(["name"], unique=True)
    table._forget()
    # `needed` is not said: the row is there.
    assert table.upsert({"name": "Ada", "born": 2}, ["name"]) is True
    table.upsert_many([{"name": "Ada", "born": number} for number in range(100)], ["name"])
    assert table.insert({"name": "Bob", "needed": 1}) == 2
    with pytest.raises(dataset.IntegrityError, match="needed"):
        table.upsert({"name": "Eve"}, ["name"])
    assert rows(table) == [
        {"id": 1, "name": "Ada", "born": 99, "fixed": "x", "needed": 0},
        {"id": 2, "name": "Bob", "born": None, "fixed": None, "needed": 1},
    ]


def test_many_rows_are_changed_or_stored_in_their_order(db):
    table = db["people"]
    table.upsert_many([{"name": "Ada", "born": 1}, {"name": "Bob", "born": 2}, {"name": "Ada", "born": 3}], ["name"])
    table.upsert_many([{"name": "Ada", "city": "London"}, {"name": None}, {"name": None}], ["name"])
    assert [(row["name"], row["born"], row["city"]) for row in table.find(order_by="id")] == [
        ("Ada", 3, "London"), ("Bob", 2, None), (None, None, None),
    ]  # fmt: skip
    table.update_many([{"name": "Ada", "born": 4}, {"name": "Bob", "born": 5, "city": "Oslo"}], ["name"])
    assert [(row["born"], row["city"]) for row in table.find(name=["Ada", "Bob"], order_by="id")] == [(4, None), (5, "Oslo")]


def test_a_statement_of_the_users_own(db):
    db["people"].insert_many([{"name": "Ada", "born": 1815}, {"name": "Bob", "born": 1900}])
    assert db.query("SELECT name FROM people WHERE born < :year", year=1900).next() == {"name": "Ada"}
    row = db.query(
        "SELECT :i AS i, :b AS b, :f AS f, :d AS d, :t AS t, :n AS n, :r AS r, ':x' AS x, 1::int8 AS c",
        i=5, b=True, f=0.5, d=decimal.Decimal("1.50"), t="text", n=None, r=b"\x00",
    ).next()  # fmt: skip
    assert dict(row) == {
        "i": 5, "b": True, "f": 0.5, "d": decimal.Decimal("1.50"), "t": "text", "n": None, "r": b"\x00", "x": ":x", "c": 1,
    }  # fmt: skip
    assert [row["n"] for row in db.query("SELECT n FROM generate_series(1, :to) AS n", to=2500, _step=7)] == list(range(1, 2501))
    with pytest.raises(dataset.StatementError, match="'year'"):
        db.query("SELECT :year")


def test_what_a_query_writes_is_stored_at_once_and_whole(db, postgres_url):
    db["rows"].insert({"a": 0})
    made = db.query("INSERT INTO rows (a) SELECT n FROM generate_series(1, 3000) AS n RETURNING a", _step=5)
    other = dataset.connect(postgres_url)
    assert len(other["rows"]) == 3001
    assert len(list(made)) == 3000
    made = db.query("WITH gone AS (DELETE FROM rows RETURNING a) SELECT a FROM gone", _step=5)
    next(made)
    del made
    assert len(other["rows"]) == 0
    other.close()


def test_a_connection_statement_runs_in_every_connection(postgres_url):
    db = dataset.connect(postgres_url, on_connect_statements=["SET application_name = 'mine'"])
    assert db.query("SHOW application_name").next() == {"application_name": "mine"}
    db.close()
    db = dataset.connect(postgres_url, engine_kwargs={"connect_args": {"application_name": "other one", "options": "-c geqo=off"}})
    assert db.query("SHOW application_name").next() == {"application_name": "other one"}
    assert db.query("SHOW geqo").next() == {"geqo": "off"}
    db.close()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql+psycopg2", "postgresql+psycopg", "PostgreSQL"])
def test_every_spelling_of_the_scheme_means_the_same(postgres_url, scheme):
    db = dataset.connect(scheme + "://" + postgres_url.partition("://")[2])
    assert db.is_postgres and not db.is_sqlite and not db.is_mysql
    assert db["rows"].insert({"a": 1}) == 1
    db.close()


def test_a_socket_in_the_file_system(postgres, postgres_url):
    name = postgres_url.rpartition("/")[2]
    db = dataset.connect(f"postgresql://postgres@/{name}?host={postgres.socket}&port={postgres.port}")
    assert db["rows"].insert({"a": 1}) == 1
    db.close()


# What goes wrong.


BAD = [
    ({"small": 32768}, dataset.DataError, ["32768", "`small`"]),
    ({"whole": 2**63}, dataset.DataError, [str(2**63), "`whole`"]),
    ({"word": "too long"}, dataset.DataError, ["`word`", "character varying(5)"]),
    ({"text": "a\0b"}, dataset.DataError, ["`text`", "NUL"]),
    ({"text": object()}, dataset.ProgrammingError, ["`text`", "'object'"]),
    ({"text": {"a": 1}}, dataset.ProgrammingError, ["`text`", "'dict'"]),
    ({"truth": "perhaps"}, dataset.StatementError, ["`truth`", "'perhaps'"]),
]


@pytest.fixture
def limited(db):
    db.query(
        "CREATE TABLE limited (id serial PRIMARY KEY, small smallint, whole bigint, word varchar(5), text text, truth boolean, "
        "exact numeric(4, 2), day date, must int NOT NULL DEFAULT 0 CHECK (must < 10))"
    )
    return db["limited"]


@pytest.mark.parametrize(("row", "kind", "words"), BAD)
def test_a_value_that_cannot_be_stored_is_told_with_table_column_and_row(limited, row, kind, words):
    good = {name: None for name in row}
    for words_of_place, store in [
        (["`limited`"], lambda: limited.insert(row)),
        (["`limited`", "row 31"], lambda: limited.insert_many([good] * 30 + [row])),
        (["`limited`", "row 2"], lambda: limited.upsert_many([{**good, "must": 1}, {**row, "must": 2}], ["must"])),
    ]:
        with pytest.raises(kind) as error:
            store()
        assert all(word in str(error.value) for word in [*words, *words_of_place]), str(error.value)
        assert "sqlite3" not in str(error.value)
        assert len(limited) == 0


SERVER_SAYS = [
    ({"exact": decimal.Decimal("100")}, dataset.DataError, "numeric field overflow", "22003"),
    ({"day": "no day"}, dataset.DataError, "no day", "22007"),
    ({"whole": "no number"}, dataset.DataError, "no number", "22P02"),
    ({"must": None}, dataset.IntegrityError, "must", "23502"),
    ({"must": 10}, dataset.IntegrityError, "limited_must_check", "23514"),
]


@pytest.mark.parametrize(("row", "kind", "words", "code"), SERVER_SAYS)
def test_what_the_server_refuses_has_the_class_and_the_code(limited, row, kind, words, code):
    good = {**row, next(iter(row)): 1 if "must" in row else None}
    for store, place in [
        (lambda: limited.insert(row), "limited"),
        (lambda: limited.insert_many([good] * 5 + [row]), "row 6"),
        (lambda: limited.insert_many([good] * 50 + [row]), "line 51"),
    ]:
        with pytest.raises(kind) as error:
            store()
        text = str(error.value)
        assert words in text and place in text and "limited" in text, text
        assert error.value.orig.sqlstate == error.value.orig.pgcode == code
        assert len(limited) == 0


def test_text_is_taken_for_every_type(limited):
    row = {"small": "7", "whole": "-5", "truth": True, "exact": "1.5", "day": "2020-02-29", "text": 5}
    limited.insert(row)
    limited.insert_many([row] * 30)
    expected = {"small": 7, "whole": -5, "exact": decimal.Decimal("1.50"), "day": datetime.date(2020, 2, 29), "text": "5"}
    for stored in limited:
        assert {name: stored[name] for name in expected} == expected


def test_a_day_that_python_has_not_is_an_error_that_names_its_column(db):
    db.query("CREATE TABLE days (id serial PRIMARY KEY, day date)")
    db.query("INSERT INTO days (day) VALUES ('2020-01-01'), ('0044-03-15 BC')")
    with pytest.raises(ValueError, match="`day`"):
        list(db["days"])
    assert db["days"].find_one(id=1)["day"] == datetime.date(2020, 1, 1)


HOSTILE = ["a\"; DROP TABLE people; --", "a'; DROP TABLE people; --", "$1", ":name", "%s %(x)s {0} ?", "select", "Ünïcode €", "x" * 63, "\\", "a\tb"]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_names_and_values_are_values(db, name):
    db["people"].insert({"name": "Ada"})
    table = db[name]
    column = name.replace("-", "_")
    for _ in range(2):
        table.insert({column: name})
    table.insert_many([{column: name}] * 30)
    table.upsert({column: name, "other": name}, [column])
    table.upsert_many([{column: name + "!", "other": name}], [column])
    table.insert_ignore({column: name}, [column])
    table.update({column: name, "other": name}, [column])
    table.create_index([column], name=f"ix {name}"[:63])
    assert table.count(**{column: name}) == 32 and table.count(**{column: {"like": "%"}}) == 33
    assert {row[column] for row in table.distinct(column)} == {name, name + "!"}
    assert table.find_one(**{column: name, "order_by": f"-{column}"})[column] == name
    assert name.strip() in db.tables and table.has_column(column) and table.has_index([column])
    assert list(db.query("SELECT :value AS value", value=name)) == [{"value": name}]
    table.create_column("more", db.types.text, default=name)
    assert table.find_one()["more"] == name
    assert table.delete(**{column: [name, name + "!"]}) is True
    table.drop_column("more")
    table.drop()
    assert db.tables == ["people"] and len(db["people"]) == 1


def make_scram_user(postgres):
    admin = dataset.connect(postgres.url)
    if not list(admin.query("SELECT 1 FROM pg_roles WHERE rolname = 'scram_user'")):
        admin.query("SET password_encryption = 'scram-sha-256'; CREATE ROLE scram_user LOGIN PASSWORD 'right-secret'")
    admin.close()


def test_a_password_that_nobody_says_comes_from_the_file_of_libpq(postgres, tmp_path, monkeypatch):
    make_scram_user(postgres)
    file = tmp_path / "passwords"
    file.write_text(f"127.0.0.1:{postgres.port}:*:scram_user:right-secret\n")
    file.chmod(0o600)
    url = f"postgresql://scram_user@127.0.0.1:{postgres.port}/postgres"
    db = dataset.connect(f"{url}?passfile={file}")
    assert db.query("SELECT 1 AS one").next() == {"one": 1}
    db.close()
    monkeypatch.setenv("PGPASSFILE", str(file))
    db = dataset.connect(url)
    assert db.query("SELECT 1 AS one").next() == {"one": 1}
    db.close()


def test_no_password_is_ever_told(postgres):
    make_scram_user(postgres)
    url = f"postgresql://scram_user:right-secret@127.0.0.1:{postgres.port}/postgres"
    db = dataset.connect(url)
    assert db.query("SELECT 1 AS one").next() == {"one": 1}
    assert "right-secret" not in repr(db)
    db.close()
    for wrong, words in [
        (url.replace("right", "wrong"), "password authentication failed"),
        (url.replace("127.0.0.1", "nowhere.invalid"), "nowhere.invalid"),
        (url.replace(f":{postgres.port}", ":1"), "127.0.0.1:1"),
        (url + "_of_nobody", "does not exist"),
    ]:
        db = dataset.connect(wrong)
        with pytest.raises(dataset.OperationalError, match=words) as error:
            db["rows"].insert({"a": 1})
        assert "secret" not in str(error.value) + repr(error.value) + repr(db)
        db.close()
    for wrong in ["postgresql://ada:secret@host:port/db", "postgresql://ada:secret@host/db?nonsense=1"]:
        with pytest.raises(dataset.DatasetError) as error:
            dataset.connect(wrong)
        assert "secret" not in str(error.value)


def test_a_lock_that_is_not_given_in_time_is_a_clear_error(postgres_url):
    one, two = dataset.connect(postgres_url), dataset.connect(postgres_url + "?options=-c%20lock_timeout%3D30ms")
    one["rows"].insert({"a": 1})
    with one:
        one["rows"].update({"id": 1, "a": 2}, ["id"])
        with pytest.raises(dataset.OperationalError, match="lock timeout"):
            two["rows"].update({"id": 1, "a": 3}, ["id"])
        assert len(two["rows"]) == 1, "reading goes on"
    two["rows"].update({"id": 1, "a": 3}, ["id"])
    assert one["rows"].find_one()["a"] == 3
    one.close()
    two.close()
