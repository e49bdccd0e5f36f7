"""A program that uses SQLAlchemy's objects with naja.dataset: both sides see one database through one connection."""

import importlib

import pytest
from originals import importable

SQLALCHEMY = ("sqlalchemy==2.1.9", "alembic==1.20.1", "mako==1.3.10", "markupsafe==3.0.3", "typing_extensions==4.15.0")


@pytest.fixture(scope="module")
def sqlalchemy(tmp_path_factory):
    forget = ("sqlalchemy", "alembic", "mako", "markupsafe", "typing_extensions")
    with importable(tmp_path_factory.mktemp("sqlalchemy"), *SQLALCHEMY, forget=forget):
        # What naja made of another SQLAlchemy is of no use with this one.
        import naja.dataset._errors

        naja.dataset._errors._BOTH.clear()
        for name in ("naja.dataset._sqlalchemy", "naja.dataset._dialect_postgres"):
            importlib.sys.modules.pop(name, None)
        import sqlalchemy
        import sqlalchemy.exc

        yield sqlalchemy
        naja.dataset._errors._BOTH.clear()
        importlib.sys.modules.pop("naja.dataset._sqlalchemy", None)


@pytest.fixture(params=["memory", "file", "postgres"])
def db(request, sqlalchemy, tmp_path):
    from naja import dataset

    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
    else:
        url = "sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path}/rows.db"
    base = dataset.connect(url)
    base["people"].insert_many([{"name": "Ada", "born": 1815}, {"name": "Bob", "born": 1900}])
    yield base
    base.close()


def test_both_sides_see_one_transaction(db, sqlalchemy):
    with db:
        db["people"].insert({"name": "Eve"})
        assert db.executable.execute(sqlalchemy.text("select count(*) from people")).scalar() == 3
        db.executable.execute(sqlalchemy.text("insert into people (name) values ('Dan')"))
        assert len(db["people"]) == 4
    assert len(db["people"]) == 4
    with pytest.raises(ZeroDivisionError), db:
        db.executable.execute(sqlalchemy.text("delete from people"))
        assert len(db["people"]) == 0
        1 / 0  # noqa: B018
    assert len(db["people"]) == 4


def test_what_sqlalchemy_begins_is_its_own_to_end(db, sqlalchemy):
    db.executable.execute(sqlalchemy.text("insert into people (name) values ('Dan')"))
    db.executable.rollback()
    assert len(db["people"]) == 2
    db.executable.execute(sqlalchemy.text("insert into people (name) values ('Dan')"))
    db.executable.commit()
    assert len(db["people"]) == 3
    # A write by our side commits what the other has begun, as in the original.
    db.executable.execute(sqlalchemy.text("insert into people (name) values ('Eve')"))
    db["people"].insert({"name": "Fay"})
    db.executable.rollback()
    assert len(db["people"]) == 5


def test_clauses_and_filters_go_together(db, sqlalchemy):
    columns = db["people"].table.columns
    assert [row["name"] for row in db["people"].find(columns.born > 1850)] == ["Bob"]
    assert db["people"].find_one(columns.born > 1800, order_by="-born")["name"] == "Bob"
    assert db["people"].count(columns.name.like("%b%"), born={">": 1, "in": [1900]}) == 1
    assert [row["name"] for row in db["people"].distinct("name", columns.born < 1900)] == ["Ada"]
    assert type(next(db["people"].find(columns.born > 1850))) is db.row_type
    assert db["people"].delete(columns.born > 1850) and len(db["people"]) == 1
    with pytest.raises(sqlalchemy.exc.ArgumentError):
        db["people"].find({"name": "Ada"})


def test_a_statement_of_sqlalchemys_can_be_a_query(db, sqlalchemy):
    people = db["people"].table
    rows = db.query(sqlalchemy.select(people.c.name, people.c.born).order_by(people.c.born.desc()))
    assert rows.keys == ["name", "born"] and [row["name"] for row in rows] == ["Bob", "Ada"]
    db.query(people.update().values(born=5))
    db.executable.rollback()
    assert db["people"].count(born=5) == 2


def test_exceptions_are_sqlalchemys_as_well(db, sqlalchemy):
    from naja import dataset

    with pytest.raises(sqlalchemy.exc.IntegrityError) as error:
        db["people"].insert({"id": 1})
    assert isinstance(error.value, dataset.IntegrityError)
    assert type(error.value.orig).__name__ == "IntegrityError" and "INSERT INTO" in error.value.statement
    with pytest.raises(sqlalchemy.exc.SQLAlchemyError):
        db.query("nonsense")
    # A syntax error, which the engines' drivers count differently.
    refused = sqlalchemy.exc.OperationalError if db.is_sqlite else sqlalchemy.exc.ProgrammingError
    with pytest.raises(refused):
        db.executable.execute(sqlalchemy.text("nonsense"))
    db.executable.rollback()


def test_types_of_sqlalchemys_can_be_given(db, sqlalchemy):
    table = db["typed"]
    table.insert({"a": "5", "b": 1}, types={"a": sqlalchemy.Integer, "b": sqlalchemy.String(7)})
    table.create_column("c", sqlalchemy.Numeric(10, 2))
    described = {column["name"]: str(column["type"]) for column in db.inspect.get_columns("typed")}
    assert described == {"id": "INTEGER", "a": "INTEGER", "b": "VARCHAR(7)", "c": "NUMERIC(10, 2)"}
    assert isinstance(table.table.c.c.type, db.types.decimal)
    assert dict(table.find_one()) == {"id": 1, "a": 5, "b": "1", "c": None}


def test_alembics_operations_change_the_same_table(db, sqlalchemy):
    db.op.add_column("people", sqlalchemy.Column("email", sqlalchemy.String(50)))
    db.executable.commit()
    db["people"]._forget()
    assert db["people"].columns == ["id", "name", "born", "email"]
    assert "email" in db["people"].table.c


def test_what_a_table_looks_like_to_sqlalchemy_follows_its_changes(db, sqlalchemy):
    assert list(db["people"].table.c.keys()) == ["id", "name", "born"]
    db["people"].insert({"email": "x"})
    assert list(db["people"].table.c.keys()) == ["id", "name", "born", "email"]
    assert db["people"]._table is not None
    db["people"].drop()
    assert db["people"]._table is None


def test_expressions_search_for_regular_expressions(db, sqlalchemy):
    name = db["people"].table.c.name
    assert [row["name"] for row in db["people"].find(name.regexp_match("^A.a$"))] == ["Ada"]


def test_functions_are_defined_through_the_raw_connection(db, sqlalchemy):
    if not db.is_sqlite:
        pytest.skip("functions in Python are SQLite's")
    read = db.query("SELECT name REGEXP 'A' AS found FROM people ORDER BY id", _step=1)
    assert next(read)["found"] == 1

    def twice(number):
        if number is None:
            raise LookupError("no number")
        return 2 * number

    # What SQLAlchemy defines in a new connection is there already: a result that is being read is not in its way.
    raw = db.executable.connection.dbapi_connection
    raw.create_function("twice", 1, twice, deterministic=True)
    raw.create_collation("backwards", lambda one, other: (one < other) - (one > other))
    with db.engine.connect() as connection:
        connection.connection.create_aggregate("first_seen", 1, type("First", (), {"step": print, "finalize": lambda self: 7}))
    assert next(read)["found"] == 0
    statement = sqlalchemy.select(sqlalchemy.func.twice(21))
    assert db.executable.execute(statement).scalar() == 42
    assert next(db.query("SELECT name FROM people ORDER BY name COLLATE backwards"))["name"] == "Bob"
    with pytest.raises(sqlalchemy.exc.OperationalError, match="user-defined function raised exception") as error:
        db.executable.execute(sqlalchemy.select(sqlalchemy.func.twice(None)))
    assert str(error.value.orig.__cause__) == "no number"
    db.executable.rollback()
