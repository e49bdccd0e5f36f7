"""What is committed is stored, and nothing else: threads, processes, locks, restarts, signals, streams and full disks."""

import contextlib
import multiprocessing
import os
import pathlib
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
from engines import only
from servers import Server

from naja import dataset

SERVERS = ("postgresql", "mariadb")


@pytest.fixture
def db(engine):
    base = engine.connect()
    yield base
    base.close()


@pytest.fixture
def other(engine):
    base = engine.connect()
    yield base
    base.close()


def run_in_threads(*works):
    """Runs functions at once, each in a thread; gives their exceptions."""
    errors = []

    def told(work):
        try:
            work()
        except Exception as error:  # noqa: BLE001: looked at by the caller
            errors.append(error)

    threads = [threading.Thread(target=told, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_nothing_of_a_transaction_is_seen_before_its_end(db, other):
    db["rows"].insert({"a": 1})
    with db:
        db["rows"].insert({"a": 2})
        assert len(db["rows"]) == 2 and len(other["rows"]) == 1
        with db:
            db["rows"].insert({"a": 3})
        assert db.in_transaction and len(other["rows"]) == 1
    assert len(other["rows"]) == 3 and not db.in_transaction


# On MariaDB what makes a table ends the transaction, and `test_dataset_mysql` says so.
@only("sqlite", "postgresql")
def test_a_transaction_that_fails_leaves_nothing_not_even_its_tables(db):
    db["rows"].insert({"a": 1})
    with pytest.raises(ZeroDivisionError), db:
        db["rows"].insert({"a": 2, "new": "column"})
        db["other"].insert_many([{"b": 1}] * 300)
        db["other"].create_index(["b"])
        db["rows"].delete(a=1)
        assert db.tables == ["other", "rows"]
        1 / 0  # noqa: B018
    assert db.tables == ["rows"] and db["rows"].columns == ["id", "a"]
    assert [dict(row) for row in db["rows"]] == [{"id": 1, "a": 1}]
    db["other"].insert({"c": 1})
    assert db["other"].columns == ["id", "c"]


def test_a_transaction_that_fails_leaves_no_rows(db, other):
    db["rows"].insert({"a": 1})
    with pytest.raises(ZeroDivisionError), db:
        db["rows"].insert_many([{"a": 2}] * 300)
        db["rows"].delete(a=1)
        db["rows"].upsert({"a": 3}, ["id"])
        1 / 0  # noqa: B018
    assert [row["a"] for row in db["rows"]] == [1] == [row["a"] for row in other["rows"]]


@only("sqlite", "mariadb")
def test_an_error_within_a_transaction_undoes_its_statement_alone(db):
    db["rows"].insert({"a": 1})
    with db:
        db["rows"].insert({"a": 2})
        with pytest.raises(dataset.IntegrityError):
            db["rows"].insert_many([{"a": 3}, {"id": 1, "a": 4}])
        db["rows"].insert({"a": 5})
    assert [row["a"] for row in db["rows"]] == [1, 2, 5]


@only("postgresql")
def test_after_an_error_a_transaction_can_only_be_rolled_back(db, other):
    db["rows"].insert({"a": 1})
    with pytest.raises(dataset.OperationalError, match="call rollback") as error, db:
        db["rows"].insert({"a": 2})
        with pytest.raises(dataset.IntegrityError):
            db["rows"].insert({"id": 1})
        with pytest.raises(dataset.DatabaseError, match="current transaction is aborted") as refused:
            db["rows"].insert({"a": 3})
        assert type(refused.value.orig).__name__ == "InternalError" and refused.value.orig.sqlstate == "25P02"
    assert "rolled back" in str(error.value) and "sqlite3" not in str(error.value) and not db.in_transaction
    assert [row["a"] for row in db["rows"]] == [1] == [row["a"] for row in other["rows"]]
    db["rows"].insert({"a": 4})
    assert len(other["rows"]) == 2


def test_a_definition_that_another_has_made_meanwhile_does_not_end_the_transaction(db, other):
    db["rows"].insert({"a": 1})
    assert other["rows"].columns == ["id", "a"]
    other["rows"].insert({"a": 2, "b": 1})
    with db:
        db["rows"].insert({"a": 3, "b": 2})
        db["rows"].insert({"a": 4, "c": 2})
    assert db["rows"].columns == ["id", "a", "b", "c"] and len(other["rows"]) == 4


def test_commit_and_rollback_without_a_transaction_do_nothing(db):
    db.commit()
    db.rollback()
    db["rows"].insert({"a": 1})
    db.rollback()
    assert len(db["rows"]) == 1


@only(*SERVERS)
def test_a_lost_connection_within_a_transaction_is_told_until_it_is_rolled_back(engine, db, other):
    db["rows"].insert({"a": 1})
    with pytest.raises(dataset.OperationalError, match="rollback"), db:
        db["rows"].insert({"a": 2})
        engine.disconnect(db)
        with pytest.raises(dataset.OperationalError, match="terminating connection|was killed|closed the connection|broke"):
            db["rows"].insert({"a": 3})
        for _ in range(2):
            # Never a new connection, which would store this alone.
            with pytest.raises(dataset.OperationalError, match="transaction"):
                db["rows"].insert({"a": 4})
            with pytest.raises(dataset.OperationalError, match="transaction"):
                len(db["rows"])
    with db:
        db["rows"].insert({"a": 5})
    assert [row["a"] for row in other["rows"]] == [1, 5]


@only(*SERVERS)
def test_a_lost_connection_outside_a_transaction_is_made_again(engine, db, other):
    db["rows"].insert({"a": 1})
    engine.disconnect(db)
    db["rows"].insert({"a": 2})
    engine.disconnect(db)
    with db:
        db["rows"].insert({"a": 3})
    assert len(other["rows"]) == 3


@only(*SERVERS)
def test_a_connection_that_is_lost_in_a_statement_may_have_done_it(engine, db):
    db["rows"].insert({"a": 1})
    process = engine.connection_of(db)

    def end():
        engine.until_asleep(process)
        engine.end(process)

    ended = threading.Thread(target=end)
    ended.start()
    with pytest.raises(dataset.OperationalError, match="terminating connection|closed the connection|killed|broke"):
        db.query(engine.slow)
    ended.join()
    assert len(db["rows"]) == 1


@pytest.mark.parametrize("engine_name", SERVERS)
def test_a_server_that_starts_again_is_connected_to_again(engine_name):
    server = Server(engine_name, is_durable=True)
    try:
        db = dataset.connect(server.url)
        db["rows"].insert({"a": 1})
        server.restart()
        db["rows"].insert({"a": 2})
        with pytest.raises(dataset.OperationalError), db:
            db["rows"].insert({"a": 3})
            server.kill()
            # What serves this connection may not have seen it yet.
            while True:
                db["rows"].insert({"a": 4})
        with pytest.raises(dataset.OperationalError, match="cannot connect"):
            len(db["rows"])
        server.restart()
        assert [row["a"] for row in db["rows"]] == [1, 2]
        db.close()
    finally:
        server.close()


def test_threads_write_to_one_database(engine, db, other):
    db["rows"].insert({"thread": -1, "number": -1, "again": False})
    db["rows"].create_index(["thread", "number"], unique=True)

    def write(thread):
        for number in range(10):
            with db:
                db["rows"].insert({"thread": thread, "number": number})
                db["rows"].upsert({"thread": thread, "number": number, "again": True}, ["thread", "number"])

    assert run_in_threads(*(lambda thread=thread: write(thread) for thread in range(64))) == []
    assert other["rows"].count(again=True) == 640
    assert len(db.connections) <= 1
    db.close()
    other.close()
    if engine.is_server:
        # Those that were kept are closed, as soon as the server has seen it.
        engine.until(engine.others, 0)


def test_the_connection_of_a_thread_that_ended_is_given_back(db):
    db["rows"].insert({"a": 1})
    for _ in range(20):
        assert run_in_threads(lambda: db["rows"].insert({"a": 2})) == []
    # The system's thread ends a little after Python's.
    deadline = time.monotonic() + 30
    while len(db.connections) > 1 and time.monotonic() < deadline:
        time.sleep(0.002)
    assert len(db.connections) == 1
    open_files = [os.readlink(f"/proc/self/fd/{one}") for one in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{one}")]
    assert sum(one.endswith("rows.db") for one in open_files) <= 6, "this thread's and those that are kept"


def test_new_tables_columns_and_indexes_from_many_threads_are_all_there(db):
    def write(number):
        db["rows"].upsert({"a": number, f"c{number % 8}": number}, ["a"])
        db[f"table{number % 4}"].insert({"a": number})

    assert run_in_threads(*(lambda number=number: write(number) for number in range(32))) == []
    assert len(db["rows"]) == 32 and db.tables == ["rows", "table0", "table1", "table2", "table3"]
    assert sorted(db["rows"].columns) == sorted(["id", "a", *(f"c{number}" for number in range(8))])


def test_two_that_store_the_same_key_at_once_leave_one_row(db, other):
    db["rows"].insert({"name": "first", "count": 0})
    db["rows"].create_index(["name"], unique=True)
    other["rows"]._forget()

    def write(base):
        for number in range(200):
            base["rows"].upsert({"name": f"name{number}", "count": number}, ["name"])

    assert run_in_threads(*(lambda base=base: write(base) for base in (db, other))) == []
    assert len(db["rows"]) == 201


# PostgreSQL undoes whoever notices it first, and that may be a program's own transaction.
@only("mariadb")
def test_what_the_server_undoes_so_that_another_goes_on_is_done_again(engine, db, other):
    db["rows"].insert_many([{"a": 0} for _ in range(200)])
    errors = []
    with other:
        # The larger of two is not the one that is undone.
        other.query("UPDATE `rows` SET a = 1 WHERE id > 100")
        other["rows"].update({"id": 1, "a": 1}, ["id"])
        changes = [{"id": 2, "a": 7}, {"id": 1, "a": 7}]
        waiting = threading.Thread(target=lambda: errors.extend(run_in_threads(lambda: db["rows"].update_many(changes, ["id"]))))
        waiting.start()
        engine.until_somebody_waits()
        other["rows"].update({"id": 2, "a": 1}, ["id"])
    waiting.join()
    assert errors == []
    assert [db["rows"].find_one(id=number)["a"] for number in (1, 2, 101)] == [7, 7, 1]


def write_in_a_process(url, process):
    base = dataset.connect(url)
    for number in range(50):
        base["rows"].upsert({"process": process, "number": number}, ["process", "number"])
    base.close()


def test_two_processes_write_at_once(engine, db):
    db["rows"].insert({"process": -1, "number": -1})
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=write_in_a_process, args=(engine.url, number)) for number in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert len(db["rows"]) == 101


def test_a_child_of_fork_has_connections_of_its_own(engine, db):
    db["rows"].insert_many([{"a": number} for number in range(5000)])
    # SQLite's rows are read from the file, which a child may not do with its parent's connection.
    result = db["rows"].find(_step=10, _limit=None if engine.is_server else 1)
    next(result)
    own = engine.connection_of(db) if engine.is_server else None
    # On SQLite the child would wait for the transaction.
    with db if engine.is_server else contextlib.nullcontext():
        db["rows"].insert({"a": -1})
        child = os.fork()
        if child == 0:
            code = 1
            try:
                db["rows"].insert({"a": 2})
                code = 0 if len(db["rows"]) == 5002 - engine.is_server and not db.in_transaction else 2
                if engine.is_server:
                    with contextlib.suppress(dataset.StatementError):
                        list(result)
                        code = 3
                del result
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        db["rows"].insert({"a": -2})
        # The child has not said goodbye for its parent.
        assert own == (engine.connection_of(db) if engine.is_server else None)
    assert len(db["rows"]) == 5003 and len(list(result)) == (4999 if engine.is_server else 0)


@only("sqlite")
def test_a_locked_file_is_waited_for_and_then_named(engine):
    path = engine.url.removeprefix("sqlite:///").partition("?")[0]
    db = dataset.connect(f"sqlite:///{path}?timeout=0.2")
    db["rows"].insert({"a": 1})
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("begin immediate")
    with pytest.raises(dataset.OperationalError, match="database is locked"):
        db["rows"].insert({"a": 2})
    with pytest.raises(dataset.OperationalError, match="database is locked"), db:
        db["rows"].insert({"a": 2})
    assert len(db["rows"]) == 1, "reading goes on"
    patient = dataset.connect(f"sqlite:///{path}?timeout=60")
    waiting = threading.Thread(target=lambda: patient["rows"].insert({"a": 3}))
    waiting.start()
    # The thread that waits does not hold the interpreter.
    assert sum(range(1000)) == 499500
    holder.execute("commit")
    waiting.join()
    assert len(db["rows"]) == 2
    holder.close()
    patient.close()
    db.close()


# Streams.


@pytest.fixture
def numbers(db):
    db["numbers"].insert_many(({"n": number, "text": "x" * 20} for number in range(30_000)), chunk_size=30_000)
    return db["numbers"]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("in_transaction", [False, True])
def test_results_do_not_disturb_each_other_nor_what_is_written_meanwhile(db, other, numbers, streamed, in_transaction):
    with db if in_transaction else contextlib.nullcontext():
        seen = 0
        inner = iter(db["numbers"].find(_step=7, _streamed=streamed, order_by="-id"))
        for row in numbers.find(_step=100, _streamed=streamed, order_by="id"):
            assert row["n"] == seen
            if seen % 1000 == 0:
                numbers.update({"id": row["id"], "text": "seen"}, ["id"])
                assert next(inner)["n"] == 29_999 - seen // 1000
            seen += 1
        assert seen == 30_000
        assert other["numbers"].count(text="seen") == (0 if in_transaction else 30)
    assert other["numbers"].count(text="seen") == 30


def test_a_result_that_is_left_ends(db, numbers):
    for step in (1, 10, 1000):
        result = numbers.find(_step=step)
        assert next(result)["n"] == 0
        result.close()
        with pytest.raises(StopIteration):
            next(result)
    assert len(numbers) == 30_000
    with db:
        numbers.update({"id": 1, "text": "kept"}, ["id"])
        next(numbers.find(_streamed=True))
        next(numbers.find(_step=10))
    assert numbers.find_one(id=1)["text"] == "kept"


@pytest.mark.parametrize("options", [{}, {"_streamed": True}, {"_step": 10}])
def test_memory_stays_flat_over_a_large_table(engine, db, numbers, options):
    db.query(f"INSERT INTO numbers (n, text) SELECT n, '{'x' * 100}' FROM ({engine.numbers(270_000)}) AS more")
    with db if options.get("_streamed") else contextlib.nullcontext():
        for row in numbers.find(_limit=20_000, **options):
            assert row["n"] is not None
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert sum(1 for _ in numbers.find(**options)) == 300_000
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4_000, "kilobytes"


def test_an_error_in_the_middle_of_a_result_is_raised_there(engine, db):
    broken = engine.broken.format(numbers=engine.numbers(9000))
    result = db.query(broken, _step=100)
    with pytest.raises(dataset.DatabaseError, match="division by zero|integer overflow|out of range"):
        list(result)
    result = db.query(broken, _step=100)
    # What is asked meanwhile has the rest read into memory; the error belongs to the result all the same.
    assert db.query("SELECT 1 AS one").next() == {"one": 1}
    with pytest.raises(dataset.DatabaseError, match="division by zero|integer overflow|out of range"):
        list(result)


# Signals.


SLOW = """
import sys, naja.dataset as dataset
url, own, slow = sys.argv[1:]
db = dataset.connect(url)
print(next(iter(db.query(own or "SELECT 1").next().values())), flush=True)
try:
    print(next(db.query(slow)))
except KeyboardInterrupt:
    print("interrupted", next(db.query("SELECT 1 AS one"))["one"], flush=True)
"""


def test_ctrl_c_ends_a_statement_that_takes_long(engine):
    command = [sys.executable, "-c", SLOW, engine.url, engine.own if engine.is_server else "", engine.slow]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        number = int(process.stdout.readline())
        if engine.is_server:
            engine.until_asleep(number)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted 1\n"
        assert process.wait() == 0


WAITING = """
import sys, naja.dataset as dataset
db = dataset.connect(sys.argv[1])
try:
    print("ready", flush=True)
    with db:
        db["rows"].update({"id": 1, "a": 2}, ["id"])
except KeyboardInterrupt:
    print("interrupted", len(db["rows"]), db.in_transaction, flush=True)
"""


def test_ctrl_c_ends_the_waiting_for_a_lock(engine, db):
    db["rows"].insert({"a": 1})
    with db:
        db["rows"].update({"id": 1, "a": 3}, ["id"])
        with subprocess.Popen([sys.executable, "-c", WAITING, engine.url], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "ready\n"
            if engine.is_server:
                engine.until_somebody_waits()
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "interrupted 1 False\n"
            assert process.wait() == 0
    assert db["rows"].find_one()["a"] == 3


FULL = """
import resource, signal, sys, naja.dataset as dataset
db = dataset.connect(sys.argv[1], sqlite_wal_mode=False)
db["rows"].insert({"text": "x"})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
outcomes = []
try:
    with db:
        for number in range(1000):
            db["rows"].insert({"text": "y" * 1000})
except dataset.OperationalError as error:
    outcomes.append(str(error).splitlines()[0])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
db["rows"].insert({"text": "after"})
print(outcomes, [row["text"] for row in db["rows"]])
"""


@only("sqlite")
def test_a_full_disk_undoes_the_transaction_whole(engine):
    done = subprocess.run([sys.executable, "-c", FULL, engine.url], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("['(sqlite3.OperationalError) ") and done.stdout.endswith("['x', 'after']\n"), done.stdout


def test_a_database_in_memory_is_each_threads_own(tmp_path):
    db = dataset.connect("sqlite://")
    db["rows"].insert({"a": 1})
    counts = []
    assert run_in_threads(lambda: counts.append("rows" in db)) == []
    with db:
        db["rows"].insert({"a": 2})
    assert counts == [False] and len(db["rows"]) == 2
    assert list(pathlib.Path(tmp_path).iterdir()) == []
