"""On PostgreSQL, what is committed is stored and nothing else: threads, processes, restarts, signals, streams and kills."""

import contextlib
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time

import pytest
from servers import Server

from naja import dataset

# How often the program or the server is killed.
KILLS = int(os.environ.get("NAJA_TEST_KILLS", 40))


@pytest.fixture
def db(postgres_url):
    base = dataset.connect(postgres_url)
    yield base
    base.close()


@pytest.fixture
def other(postgres_url):
    base = dataset.connect(postgres_url)
    yield base
    base.close()


def disconnect(base, by):
    """Ends the connection that the calling thread has to a database, from another one."""
    process = base.query("SELECT pg_backend_pid() AS process").next()["process"]
    assert by.query("SELECT pg_terminate_backend(:process, 10000) AS done", process=process).next()["done"]


def test_nothing_of_a_transaction_is_seen_before_its_end(db, other):
    db["rows"].insert({"a": 1})
    with db:
        db["rows"].insert({"a": 2})
        assert len(db["rows"]) == 2 and len(other["rows"]) == 1
        with db:
            db["rows"].insert({"a": 3})
        assert db.in_transaction and len(other["rows"]) == 1
    assert len(other["rows"]) == 3 and not db.in_transaction


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


def test_after_an_error_a_transaction_can_only_be_rolled_back(db, other):
    db["rows"].insert({"a": 1})
    with pytest.raises(dataset.OperationalError, match="call rollback") as error, db:
        db["rows"].insert({"a": 2})
        with pytest.raises(dataset.IntegrityError):
            db["rows"].insert({"id": 1})
        with pytest.raises(dataset.DatabaseError, match="current transaction is aborted") as refused:
            db["rows"].insert({"a": 3})
        assert type(refused.value.orig).__name__ == "InternalError" and refused.value.orig.sqlstate == "25P02"
    assert "rolled back" in str(error.value) and not db.in_transaction
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


def test_a_lost_connection_within_a_transaction_is_told_until_it_is_rolled_back(db, other):
    db["rows"].insert({"a": 1})
    with pytest.raises(dataset.OperationalError, match="rollback"), db:
        db["rows"].insert({"a": 2})
        disconnect(db, other)
        with pytest.raises(dataset.OperationalError, match="terminating connection"):
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


def test_a_lost_connection_outside_a_transaction_is_made_again(db, other):
    db["rows"].insert({"a": 1})
    disconnect(db, other)
    db["rows"].insert({"a": 2})
    disconnect(db, other)
    with db:
        db["rows"].insert({"a": 3})
    assert len(other["rows"]) == 3


def test_a_connection_that_is_lost_in_a_statement_may_have_done_it(db, other):
    db["rows"].insert({"a": 1})
    process = db.query("SELECT pg_backend_pid() AS process").next()["process"]
    ended = threading.Thread(target=lambda: end_when_asleep(other, process))
    ended.start()
    with pytest.raises(dataset.OperationalError, match="terminating connection"):
        db.query("SELECT pg_sleep(600)")
    ended.join()
    assert len(db["rows"]) == 1


ASLEEP = "SELECT count(*) AS n FROM pg_stat_activity WHERE pid = :process AND state = 'active' AND query LIKE '%pg_sleep%'"


def end_when_asleep(base, process):
    while not base.query(ASLEEP, process=process).next()["n"]:
        time.sleep(0.002)
    base.query("SELECT pg_terminate_backend(:process)", process=process)


def test_a_server_that_starts_again_is_connected_to_again():
    server = Server("postgresql", is_durable=True)
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


def test_threads_write_to_one_database(db, other):
    db["rows"].insert({"thread": -1, "number": -1, "again": False})
    db["rows"].create_index(["thread", "number"], unique=True)
    errors = []

    def write(thread):
        try:
            for number in range(10):
                with db:
                    db["rows"].insert({"thread": thread, "number": number})
                    db["rows"].upsert({"thread": thread, "number": number, "again": True}, ["thread", "number"])
        except Exception as error:  # noqa: BLE001: told below
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert other["rows"].count(again=True) == 640
    assert len(db.connections) <= 1
    db.close()
    # Those that were kept are closed, as soon as the server has seen it.
    name = db.url.rpartition("/")[2]
    others = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = :name AND pid != pg_backend_pid()"
    until = time.monotonic() + 30
    while other.query(others, name=name).next()["n"] and time.monotonic() < until:
        time.sleep(0.005)
    assert other.query(others, name=name).next()["n"] == 0


def test_new_tables_columns_and_indexes_from_many_threads_are_all_there(db):
    errors = []

    def write(number):
        try:
            db["rows"].upsert({"a": number, f"c{number % 8}": number}, ["a"])
            db[f"table{number % 4}"].insert({"a": number})
        except Exception as error:  # noqa: BLE001: told below
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(db["rows"]) == 32 and db.tables == ["rows", "table0", "table1", "table2", "table3"]
    assert sorted(db["rows"].columns) == sorted(["id", "a", *(f"c{number}" for number in range(8))])


def test_two_that_store_the_same_key_at_once_leave_one_row(db, other):
    db["rows"].insert({"name": "first", "count": 0})
    db["rows"].create_index(["name"], unique=True)
    other["rows"]._forget()
    errors = []

    def write(base):
        try:
            for number in range(200):
                base["rows"].upsert({"name": f"name{number}", "count": number}, ["name"])
        except Exception as error:  # noqa: BLE001: told below
            errors.append(error)

    threads = [threading.Thread(target=write, args=(base,)) for base in (db, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and len(db["rows"]) == 201


def write_in_a_process(url, process):
    base = dataset.connect(url)
    for number in range(50):
        base["rows"].upsert({"process": process, "number": number}, ["process", "number"])
    base.close()


def test_two_processes_write_at_once(db, postgres_url):
    db["rows"].insert({"process": -1, "number": -1})
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=write_in_a_process, args=(postgres_url, number)) for number in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert len(db["rows"]) == 101


def test_a_child_of_fork_has_connections_of_its_own(db):
    db["rows"].insert_many([{"a": number} for number in range(5000)])
    result = db["rows"].find(_step=10)
    next(result)
    own = db.query("SELECT pg_backend_pid() AS process").next()["process"]
    with db:
        db["rows"].insert({"a": -1})
        child = os.fork()
        if child == 0:
            code = 1
            try:
                db["rows"].insert({"a": 2})
                code = 0 if len(db["rows"]) == 5001 and not db.in_transaction else 2
                with contextlib.suppress(dataset.StatementError):
                    list(result)
                    code = 3
                del result
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        db["rows"].insert({"a": -2})
        # The child has not said goodbye for its parent.
        assert db.query("SELECT pg_backend_pid() AS process").next()["process"] == own
    assert len(db["rows"]) == 5003 and len(list(result)) == 4999


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
def test_memory_stays_flat_over_a_large_table(db, numbers, options):
    db.query("INSERT INTO numbers (n, text) SELECT n, repeat('x', 100) FROM generate_series(30000, 300000) AS n")
    with db if options.get("_streamed") else contextlib.nullcontext():
        for row in numbers.find(_limit=20_000, **options):
            assert row["n"] is not None
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert sum(1 for _ in numbers.find(**options)) == 300_001
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4_000, "kilobytes"


def test_an_error_in_the_middle_of_a_result_is_raised_there(db):
    result = db.query("SELECT 1 / (5000 - n) AS n FROM generate_series(1, 9000) AS n", _step=100)
    with pytest.raises(dataset.DataError, match="division by zero"):
        list(result)
    result = db.query("SELECT 1 / (5000 - n) AS n FROM generate_series(1, 9000) AS n", _step=100)
    # What is asked meanwhile has the rest read into memory; the error belongs to the result all the same.
    assert db.query("SELECT 1 AS one").next() == {"one": 1}
    with pytest.raises(dataset.DataError, match="division by zero"):
        list(result)


# Signals and kills.


SLOW = """
import sys, naja.dataset as dataset
db = dataset.connect(sys.argv[1])
print(db.query("SELECT pg_backend_pid() AS process").next()["process"], flush=True)
try:
    db.query("SELECT pg_sleep(600)")
except KeyboardInterrupt:
    print("interrupted", db.query("SELECT 1 AS one").next()["one"], flush=True)
"""


def test_ctrl_c_ends_a_statement_that_takes_long(db, postgres_url):
    with subprocess.Popen([sys.executable, "-c", SLOW, postgres_url], stdout=subprocess.PIPE, text=True) as process:
        server_process = int(process.stdout.readline())
        while not db.query(ASLEEP, process=server_process).next()["n"]:
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted 1\n"
        assert process.wait() == 0


WAITING = """
import sys, naja.dataset as dataset
db = dataset.connect(sys.argv[1])
print("ready", flush=True)
try:
    with db:
        db["rows"].update({"id": 1, "a": 2}, ["id"])
except KeyboardInterrupt:
    print("interrupted", len(db["rows"]), db.in_transaction, flush=True)
"""


def test_ctrl_c_ends_the_waiting_for_a_lock(db, postgres_url):
    db["rows"].insert({"a": 1})
    with db:
        db["rows"].update({"id": 1, "a": 3}, ["id"])
        with subprocess.Popen([sys.executable, "-c", WAITING, postgres_url], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "ready\n"
            while not db.query("SELECT count(*) AS n FROM pg_locks WHERE NOT granted").next()["n"]:
                time.sleep(0.002)
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "interrupted 1 False\n"
            assert process.wait() == 0
    assert db["rows"].find_one()["a"] == 3


KILLED = """
import random, sys, naja.dataset as dataset
db = dataset.connect(sys.argv[1])
run = int(sys.argv[2])
chance, said = random.Random(run), open(1, "wb", buffering=0)
number = 0
while True:
    number += 1
    match chance.randint(0, 3):
        case 0:
            db["rows"].insert({"run": run, "number": number, "part": 0})
            count = 1
        case 1:
            count = chance.randint(1, 250)
            db["rows"].insert_many([{"run": run, "number": number, "part": part} for part in range(count)])
        case 2:
            count = chance.randint(1, 40)
            with db:
                for part in range(count):
                    db["rows"].insert({"run": run, "number": number, "part": part})
        case 3:
            count = chance.randint(1, 40)
            db["rows"].upsert_many([{"run": run, "number": number, "part": part} for part in range(count)], ["run", "number", "part"])
    said.write(f"{number} {count}\\n".encode())
"""


def test_a_killed_program_or_server_leaves_every_row_that_was_told_of_and_no_half_transaction():
    chance = random.Random(20261130)
    server = Server("postgresql", is_durable=True)
    try:
        told = {}
        for run in range(KILLS):
            command = [sys.executable, "-c", KILLED, server.url, str(run)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
                first = process.stdout.readline()
                time.sleep(chance.random() * 0.1)
                # Every second time it is the server that ends, as with a machine that loses power.
                if run % 2:
                    server.kill()
                else:
                    process.kill()
                lines = [first, *process.stdout.read().splitlines(keepends=True)]
            if run % 2:
                server.restart()
            told[run] = dict(map(int, line.split()) for line in lines if line.endswith(b"\n"))
        base = dataset.connect(server.url)
        stored = {}
        for row in base.query("SELECT run, number, count(*) AS n, min(part) AS least, max(part) AS most FROM rows GROUP BY run, number"):
            assert (row["least"], row["most"]) == (0, row["n"] - 1), "no part is missing or there twice"
            stored.setdefault(row["run"], {})[row["number"]] = row["n"]
        for run, numbers in told.items():
            assert numbers, "the process has told of something"
            assert {number: count for number, count in stored[run].items() if number in numbers} == numbers
            # One may be stored that nobody could be told of any more; whether it is whole is known by its parts alone.
            assert set(stored[run]) - set(numbers) <= {max(numbers) + 1}
        base.close()
    finally:
        server.close()
