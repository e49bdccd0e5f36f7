"""Functions in Python that statements of SQLite call."""

import asyncio
import threading

import pytest

from naja import databases, dataset
from naja.dataset import aio


@pytest.fixture
def db(tmp_path):
    base = dataset.connect(f"sqlite:///{tmp_path}/functions.db")
    base["people"].insert_many([{"name": "Ada", "born": 1815}, {"name": "Alan", "born": 1912}, {"name": None, "born": None}])
    yield base
    base.close()


def one(db, sql, **values):
    (value,) = next(db.query(sql, **values)).values()
    return value


def test_a_regular_expression_is_searched_for_as_in_the_original(db):
    assert [row["name"] for row in db.query("SELECT name FROM people WHERE name REGEXP :p", p="^A.a$")] == ["Ada"]
    assert one(db, "SELECT count(*) FROM people WHERE name NOT REGEXP 'l'") == 1
    assert one(db, "SELECT NULL REGEXP 'a'") is None
    assert (one(db, "SELECT floor(2.5)"), one(db, "SELECT floor(-0.5)")) == (2, -1)


def test_values_are_those_that_sqlite3_has(db):
    seen = []
    db.create_function("seen", -1, lambda *values: seen.append(values))
    assert one(db, "SELECT seen(1, 0.5, 'ü', x'00ff', NULL)") is None
    assert seen == [(1, 0.5, "ü", b"\0\xff", None)]
    for value in (7, -(2**63), 0.25, "ü\0x", b"\0", None, True):
        db.create_function("given", 0, lambda value=value: value)
        assert one(db, "SELECT given()") == value


def test_what_a_function_raises_is_the_cause(db):
    def fails(value):
        raise LookupError(f"no {value}")

    db.create_function("fails", 1, fails)
    with pytest.raises(Exception, match="user-defined function raised exception") as caught:
        list(db.query("SELECT fails(born) FROM people"))
    assert type(caught.value).__name__ == "OperationalError"
    assert isinstance(caught.value.__cause__, LookupError)
    assert str(caught.value.__cause__) == "no 1815"
    db.create_function("huge", 0, lambda: 2**63)
    with pytest.raises(Exception, match="string or blob too big") as caught:
        one(db, "SELECT huge()")
    assert isinstance(caught.value.__cause__, OverflowError)
    with pytest.raises(Exception, match="no such table") as caught:
        one(db, "SELECT * FROM missing")
    assert caught.value.__cause__ is None, "the cause of an earlier statement is not told again"
    db.create_function("odd", 0, object)
    with pytest.raises(Exception, match="raised exception") as caught:
        one(db, "SELECT odd()")
    assert isinstance(caught.value.__cause__, TypeError)
    assert one(db, "SELECT count(*) FROM people") == 3


def test_what_ends_the_program_ends_it(db):
    def ends():
        raise KeyboardInterrupt

    db.create_function("ends", 0, ends)
    with pytest.raises(KeyboardInterrupt):
        one(db, "SELECT ends()")


def test_what_fails_in_a_row_undoes_its_statement(db):
    def picky(value):
        if value == 1912:
            raise ValueError(value)
        return value

    db.create_function("picky", 1, picky)
    with pytest.raises(Exception, match="raised exception"):
        db.query("UPDATE people SET born = picky(born) + 1")
    assert [row["born"] for row in db["people"]] == [1815, 1912, None]


def test_a_function_that_uses_its_own_database_is_refused(db):
    causes = []

    def uses(what):
        try:
            {
                "query": lambda: list(db.query("SELECT 1")),
                "insert": lambda: db["people"].insert({"name": "x"}),
                "begin": db.begin,
                "commit": db.commit,
                "rollback": db.rollback,
                "close": db.close,
                "in_transaction": lambda: db.in_transaction,
                "rows": lambda: next(rows),
                "define": lambda: db.create_function("f", 0, None),
            }[what]()
        except Exception as error:
            causes.append((what, type(error).__name__, str(error)))
            raise

    db.create_function("uses", 1, uses)
    rows = db.query("SELECT 1 AS a UNION ALL SELECT 2", _step=1)
    assert next(rows)["a"] == 1
    words = ("query", "insert", "begin", "commit", "rollback", "close", "in_transaction", "rows", "define")
    for word in words:
        with pytest.raises(Exception, match="user-defined function raised exception"):
            one(db, "SELECT uses(:word)", word=word)
    assert [(what, name) for what, name, _ in causes] == [(word, "ProgrammingError") for word in words]
    assert all("cannot use the connection of that statement" in message for _, _, message in causes)
    assert [row["a"] for row in rows] == [2]
    with db:
        db["people"].insert({"name": "Eve"})
    assert len(db["people"]) == 4


def test_a_function_may_use_another_database(db):
    other = dataset.connect("sqlite://")
    other["names"].insert({"name": "Ada"})
    db.create_function("known", 1, lambda name: other["names"].count(name=name) > 0)
    assert one(db, "SELECT name FROM people WHERE known(name)") == "Ada"
    other.close()


def test_an_aggregate_has_an_instance_for_each_group(db):
    class Joined:
        def __init__(self):
            self.words = []

        def step(self, word, separator):
            self.words.append(str(word))
            self.separator = separator

        def finalize(self):
            return self.separator.join(self.words)

    db.create_aggregate("joined", 2, Joined)
    assert one(db, "SELECT joined(name, '+') FROM people WHERE born IS NOT NULL") == "Ada+Alan"
    assert one(db, "SELECT joined(name, '+') FROM people WHERE born > 2000") is None
    for method, words in [("__init__", "'__init__'"), ("step", "'step'"), ("finalize", "'finalize'")]:

        def fails(self, *_words):
            raise ZeroDivisionError

        db.create_aggregate("joined", 2, type("Failing", (Joined,), {method: fails}))
        with pytest.raises(Exception, match=f"user-defined aggregate's {words} method raised error") as caught:
            one(db, "SELECT joined(name, '+') FROM people")
        assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_collation_sorts(db):
    db.create_collation("backwards", lambda one, other: (one < other) - (one > other))
    found = db.query("SELECT name FROM people WHERE name IS NOT NULL ORDER BY name COLLATE backwards")
    assert [row["name"] for row in found] == ["Alan", "Ada"]
    db.create_collation("backwards", None)
    with pytest.raises(Exception, match="no such collation sequence: backwards"):
        list(db.query("SELECT name FROM people ORDER BY name COLLATE backwards"))


def test_what_cannot_be_defined_is_refused(db):
    with pytest.raises(TypeError, match="callable"):
        db.create_function("f", 0, 7)
    with pytest.raises(Exception, match="cannot define `f`: a function has at most 127 arguments") as caught:
        db.create_function("f", 128, len)
    assert type(caught.value).__name__ == "ProgrammingError"
    with pytest.raises(Exception, match="no such function: f"):
        one(db, "SELECT f()")
    db.create_function("f", 0, lambda: 1)
    assert one(db, "SELECT f()") == 1
    db.create_function("f", 0, None)
    with pytest.raises(Exception, match="no such function: f"):
        one(db, "SELECT f()")


def test_a_function_that_is_being_used_is_not_replaced(db):
    db.create_function("f", 1, lambda value: value)
    rows = db.query("SELECT f(1) AS a UNION ALL SELECT f(2)", _step=1)
    assert next(rows)["a"] == 1
    with pytest.raises(Exception, match="unable to delete/modify user-function due to active statements"):
        db.create_function("f", 1, lambda value: -value)
    assert next(rows)["a"] == 2
    assert list(rows) == []
    db.create_function("f", 1, lambda value: -value)
    assert one(db, "SELECT f(3)") == -3


def test_every_thread_has_the_functions(db):
    results = []

    def work(sql):
        results.append(one(db, sql))

    def in_thread(sql):
        thread = threading.Thread(target=work, args=(sql,))
        thread.start()
        thread.join()

    db.create_function("where_am_i", 0, lambda: threading.current_thread().name != "MainThread")
    in_thread("SELECT where_am_i()")
    db.create_function("later", 0, lambda: "later")
    in_thread("SELECT later()")
    assert results == [True, "later"]


def test_many_threads_call_at_once(db):
    db.create_function("double", 1, lambda value: 2 * value, deterministic=True)
    results = []

    def work():
        results.append([one(db, "SELECT sum(double(value)) FROM generate", n=1) for _ in range(20)])

    db.query("CREATE TABLE generate (value)")
    db["generate"].insert_many([{"value": value} for value in range(100)])
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[9900] * 20] * 8


def test_under_await(tmp_path):
    async def main():
        db = aio.connect(f"sqlite:///{tmp_path}/aio.db")
        await db.create_function("double", 1, lambda value: 2 * value, deterministic=True)
        await db.create_collation("backwards", lambda one, other: (one < other) - (one > other))
        await db["t"].insert_many([{"a": "x"}, {"a": "y"}])
        rows = await db.query("SELECT double(id) AS d FROM t WHERE a REGEXP 'x|y' ORDER BY a COLLATE backwards")
        await db.close()
        return [row["d"] for row in rows]

    assert asyncio.run(main()) == [4, 2]


def test_databases_has_them_through_its_raw_connection(tmp_path):
    def fails():
        raise LookupError("why")

    async def main():
        async with databases.Database(f"sqlite:///{tmp_path}/raw.db") as database:
            async with database.connection() as connection:
                raw = connection.raw_connection
                await raw.create_function("double", 1, lambda value: 2 * value, deterministic=True)
                await raw.create_function("fails", 0, fails)
                assert await connection.fetch_val("SELECT double(21)") == 42
                with pytest.raises(Exception, match="user-defined function raised exception") as caught:
                    await connection.fetch_val("SELECT fails()")
                assert repr(caught.value.__cause__) == "LookupError('why')"
                assert caught.value.sqlite_errorname == "SQLITE_ERROR"
            # The connection is not handed on with its functions.
            with pytest.raises(Exception, match="no such function: double"):
                await database.fetch_val("SELECT double(21)")

    asyncio.run(main())
