"""What is committed is stored, and nothing else: threads, processes, locks, signals, full disks and kills."""

import multiprocessing
import os
import pathlib
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from naja import dataset

# How often the process is killed; 2,000 times have been tried by hand.
KILLS = int(os.environ.get("NAJA_TEST_KILLS", 40))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows.db"


@pytest.fixture
def db(path):
    base = dataset.connect(f"sqlite:///{path}")
    yield base
    base.close()


def seen_by_others(path, statement="select count(*) from rows"):
    base = sqlite3.connect(path, timeout=0)
    try:
        return base.execute(statement).fetchone()[0]
    finally:
        base.close()


def test_nothing_of_a_transaction_is_seen_before_its_end(db, path):
    db["rows"].insert({"a": 1})
    with db:
        db["rows"].insert({"a": 2})
        assert len(db["rows"]) == 2 and seen_by_others(path) == 1
        assert db.in_transaction
    assert seen_by_others(path) == 2 and not db.in_transaction


def test_a_transaction_that_fails_leaves_nothing_not_even_its_tables(db):
    db["rows"].insert({"a": 1})
    with pytest.raises(ZeroDivisionError), db:
        db["rows"].insert({"a": 2, "new": "column"})
        db["other"].insert_many([{"b": 1}] * 300)
        db["rows"].delete(a=1)
        assert db.tables == ["other", "rows"]
        1 / 0  # noqa: B018
    assert db.tables == ["rows"] and db["rows"].columns == ["id", "a"]
    assert [dict(row) for row in db["rows"]] == [{"id": 1, "a": 1}]
    db["other"].insert({"c": 1})
    assert db["other"].columns == ["id", "c"]


def test_a_transaction_within_another_is_a_part_of_it(db, path):
    with db:
        with db:
            db["rows"].insert({"a": 1})
        assert db.in_transaction
        with pytest.raises(sqlite3.OperationalError):
            seen_by_others(path)
    assert seen_by_others(path) == 1


def test_an_error_within_a_transaction_undoes_its_statement_alone(db):
    db["rows"].insert({"a": 1})
    with db:
        db["rows"].insert({"a": 2})
        with pytest.raises(dataset.IntegrityError):
            db["rows"].insert_many([{"a": 3}, {"id": 1, "a": 4}])
        db["rows"].insert({"a": 5})
    assert [row["a"] for row in db["rows"]] == [1, 2, 5]


def test_commit_and_rollback_without_a_transaction_do_nothing(db):
    db.commit()
    db.rollback()
    db["rows"].insert({"a": 1})
    db.rollback()
    assert len(db["rows"]) == 1


def test_threads_write_to_one_database(db, path):
    db["rows"].insert({"thread": -1, "number": -1})
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
    assert seen_by_others(path, "select count(*) from rows where again") == 640
    assert len(db.connections) <= 1


def test_the_connection_of_a_thread_that_ended_is_given_back(db):
    db["rows"].insert({"a": 1})
    for _ in range(20):
        thread = threading.Thread(target=lambda: db["rows"].insert({"a": 2}))
        thread.start()
        thread.join()
    # The system's thread ends a little after Python's.
    deadline = time.monotonic() + 30
    while len(db.connections) > 1 and time.monotonic() < deadline:
        time.sleep(0.002)
    assert len(db.connections) == 1
    open_files = [os.readlink(f"/proc/self/fd/{one}") for one in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{one}")]
    assert sum(one.endswith("rows.db") for one in open_files) <= 6, "this thread's and those that are kept"


def test_new_columns_from_many_threads_are_all_there(db):
    db["rows"].insert({"a": 1})
    threads = [
        threading.Thread(target=lambda number=number: db["rows"].insert({"a": number, f"c{number % 8}": number}))
        for number in range(32)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(db["rows"]) == 33
    assert sorted(db["rows"].columns) == sorted(["id", "a", *(f"c{number}" for number in range(8))])


def write_in_a_process(path, process):
    base = dataset.connect(f"sqlite:///{path}?timeout=60")
    for number in range(50):
        base["rows"].upsert({"process": process, "number": number}, ["process", "number"])
    base.close()


def test_two_processes_write_at_once(db, path):
    db["rows"].insert({"process": -1, "number": -1})
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=write_in_a_process, args=(path, number)) for number in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert seen_by_others(path) == 101


def test_a_child_of_fork_has_connections_of_its_own(db, path):
    db["rows"].insert({"a": 1})
    child = os.fork()
    if child == 0:
        code = 1
        try:
            db["rows"].insert({"a": 2})
            code = 0 if len(db["rows"]) == 2 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    db["rows"].insert({"a": 3})
    assert seen_by_others(path) == 3


def test_a_locked_file_is_waited_for_and_then_named(path):
    db = dataset.connect(f"sqlite:///{path}?timeout=0.2")
    db["rows"].insert({"a": 1})
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
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
    other.execute("commit")
    waiting.join()
    assert len(db["rows"]) == 2
    other.close()
    patient.close()
    db.close()


SLOW = """
import sys, naja.dataset as dataset
db = dataset.connect("sqlite://")
try:
    print("ready", flush=True)
    print(next(db.query("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")))
except KeyboardInterrupt:
    print("interrupted", next(db.query("SELECT 1 AS one"))["one"], flush=True)
"""


def test_ctrl_c_ends_a_statement_that_takes_long():
    with subprocess.Popen([sys.executable, "-c", SLOW], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted 1\n"
        assert process.wait() == 0


WAITING = """
import sys, naja.dataset as dataset
db = dataset.connect(sys.argv[1] + "?timeout=3600")
try:
    print("ready", flush=True)
    db["rows"].insert({"a": 2})
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_ctrl_c_ends_the_waiting_for_a_lock(db, path):
    db["rows"].insert({"a": 1})
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    with subprocess.Popen([sys.executable, "-c", WAITING, f"sqlite:///{path}"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        assert process.wait() == 0
    other.close()


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


def test_a_full_disk_undoes_the_transaction_whole(path):
    done = subprocess.run([sys.executable, "-c", FULL, f"sqlite:///{path}"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("['(sqlite3.OperationalError) ") and done.stdout.endswith("['x', 'after']\n"), done.stdout


KILLED = """
import random, sys, naja.dataset as dataset
db = dataset.connect(sys.argv[1], sqlite_wal_mode=sys.argv[2] == "wal")
chance, said = random.Random(int(sys.argv[3])), open(1, "wb", buffering=0)
run = int(sys.argv[3])
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


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_killed_process_leaves_every_row_that_it_was_told_of_and_no_half_transaction(path, mode):
    chance = random.Random(20261129)
    told = {}
    for run in range(KILLS // 2):
        command = [sys.executable, "-c", KILLED, f"sqlite:///{path}", mode, str(run)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            first = process.stdout.readline()
            time.sleep(chance.random() * 0.05)
            process.kill()
            lines = [first, *process.stdout.read().splitlines(keepends=True)]
        told[run] = dict(map(int, line.split()) for line in lines if line.endswith(b"\n"))
    base = sqlite3.connect(path)
    assert base.execute("pragma integrity_check").fetchone() == ("ok",)
    stored = {}
    for run, number, count, least, most in base.execute(
        "select run, number, count(*), min(part), max(part) from rows group by run, number"
    ):
        assert (least, most) == (0, count - 1), "no part is missing or there twice"
        stored.setdefault(run, {})[number] = count
    for run, numbers in told.items():
        assert numbers, "the process has told of something"
        beyond = {number: count for number, count in stored[run].items() if number not in numbers}
        assert {number: count for number, count in stored[run].items() if number in numbers} == numbers
        # One may be stored that the process could no longer tell of; whether it is whole is known by its parts alone.
        assert set(beyond) <= {max(numbers) + 1}
    base.close()


def test_a_database_in_memory_is_each_threads_own(tmp_path):
    db = dataset.connect("sqlite://")
    db["rows"].insert({"a": 1})
    counts = []
    thread = threading.Thread(target=lambda: counts.append("rows" in db))
    thread.start()
    thread.join()
    with db:
        db["rows"].insert({"a": 2})
    assert counts == [False] and len(db["rows"]) == 2
    assert list(pathlib.Path(tmp_path).iterdir()) == []


def test_memory_stays_flat_over_a_large_table(db):
    with db:
        db["rows"].insert_many(({"number": number, "text": "x" * 20} for number in range(300_000)), chunk_size=300_000)
    for row in db["rows"].find(_limit=20_000):
        assert row["number"] is not None
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(1 for _ in db["rows"]) == 300_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4_000, "kilobytes"
