"""What is committed outlives a loss of power: a disk that keeps only what was synchronised, and any part of the rest.

A program writes by `naja.dataset` while all that reaches its files is kept as a journal (`disk_journal.c`). Then, for many points
of the journal, the files are made as such a disk may hold them, and opened.
"""

import os
import pathlib
import random
import shutil
import sqlite3
import struct
import subprocess
import sys

import pytest

# At so many points the power goes, in each test; 20,000 have been tried by hand.
LOSSES = int(os.environ.get("NAJA_TEST_LOSSES", 250))

SECTOR = 512

PROGRAM = """
import os, sys
from naja import dataset
path, wal, synchronous = sys.argv[1], sys.argv[2] == "wal", sys.argv[3]
statements = ["PRAGMA wal_autocheckpoint=8"] + ([f"PRAGMA synchronous={synchronous}"] if synchronous else [])
db = dataset.connect(f"sqlite:///{path}", sqlite_wal_mode=wal, on_connect_statements=statements)
acknowledged = os.open(path + ".acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
rows = db["rows"]
rows.insert({"number": 0, "part": 0, "text": "x"})
for number in range(1, 81):
    with db:
        rows.insert({"number": number, "part": 1, "text": "a" * (number * 37 % 900)})
        rows.insert_many([{"number": number, "part": part, "text": "b" * 300} for part in (2, 3)])
        rows.update({"number": 0, "part": number}, ["number"])
        if number % 9 == 0:
            rows.delete(number=number - 5)
    os.write(acknowledged, b"%d\\n" % number)
"""


@pytest.fixture(scope="session")
def journal_library(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    library = tmp_path_factory.mktemp("disk") / "disk_journal.so"
    source = pathlib.Path(__file__).with_name("disk_journal.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library


def journal_of(library, folder, journal, synchronous=""):
    """Runs the program; its operations, each a letter, a path, two numbers and bytes."""
    base, kept = folder / "rows.db", folder.parent / f"{folder.name}.journal"
    environment = dict(os.environ, LD_PRELOAD=str(library), NAJA_DISK_FOLDER=str(folder), NAJA_DISK_JOURNAL=str(kept))
    subprocess.run([sys.executable, "-c", PROGRAM, base, journal, synchronous], env=environment, check=True)
    data, place, operations = kept.read_bytes(), 0, []
    while place < len(data):
        letter, length = struct.unpack_from("<cI", data, place)
        path = data[place + 5 : place + 5 + length].decode()
        place += 5 + length
        one, two = struct.unpack_from("<QQ", data, place)
        place += 16
        count = two if letter == b"W" else 0
        operations.append((letter.decode(), path, one, data[place : place + count]))
        place += count
    return base, operations


class File:
    """What of a file is on the disk for good, and what may be."""

    def __init__(self):
        self.kept = b""
        self.pending = []

    def synchronise(self):
        self.kept = self.content(self.pending)
        self.pending = []

    def content(self, operations):
        content = bytearray(self.kept)
        for letter, place, data in operations:
            if letter == "T":
                del content[place:]
                content.extend(bytes(max(0, place - len(content))))
            else:
                content.extend(bytes(max(0, place + len(data) - len(content))))
                content[place : place + len(data)] = data
        return bytes(content)

    def after_a_loss(self, chance):
        """What was synchronised and some of the rest, of which writes may be torn between two sectors."""
        how = chance.random()
        if how < 0.3:
            return self.kept
        survived = []
        for letter, place, data in self.pending:
            if how < 0.6 or chance.random() < 0.5:
                if letter == "W" and chance.random() < 0.3:
                    data = data[: chance.randrange(len(data) // SECTOR + 1) * SECTOR]
                survived.append((letter, place, data))
        return self.content(survived)


class Disk:
    """The files of the folder. Names that came or went are there for good when their folder was synchronised."""

    def __init__(self, base):
        self.base = str(base)
        self.files = {}
        # Names that are gone, with their files, until that is for good.
        self.gone = {}
        self.acknowledged = 0

    def do(self, letter, path, number, data):
        if path.endswith(".acknowledged"):
            if letter == "W":
                self.acknowledged = int(data)
            return
        if letter == "S" and not path.startswith(self.base):
            self.gone = {}
        elif letter == "C":
            self.files[path] = File()
        elif letter == "U":
            self.gone[path] = self.files.pop(path)
        elif letter == "S":
            self.files[path].synchronise()
        else:
            self.files[path].pending.append((letter, number, data))

    def after_a_loss(self, chance, folder):
        files = dict(self.files)
        files.update((path, file) for path, file in self.gone.items() if path not in files and chance.random() < 0.5)
        for path, file in files.items():
            # The shared memory of the log is made anew.
            if not path.endswith("-shm"):
                (folder / pathlib.Path(path).name).write_bytes(file.after_a_loss(chance))


def losses(base, operations, seed, folder):
    """The disk after losses of power: how many transactions were acknowledged before each, and where it lies."""
    chance = random.Random(seed)
    # Before the first transaction nothing was promised.
    is_promise = [letter == "W" and path.endswith(".acknowledged") for letter, path, _, _ in operations]
    first = is_promise.index(True) + 1
    points = sorted(chance.choices(range(first, len(operations) + 1), k=LOSSES))
    disk = Disk(base)
    done = 0
    for number, point in enumerate(points):
        for operation in operations[done:point]:
            disk.do(*operation)
        done = point
        place = folder / str(number)
        place.mkdir()
        disk.after_a_loss(chance, place)
        yield disk.acknowledged, place / base.name
        shutil.rmtree(place)


def transactions(path):
    """How many transactions are in the file; an error where one is not there as a whole."""
    base = sqlite3.connect(path)
    try:
        assert base.execute("pragma integrity_check").fetchone() == ("ok",)
        newest = base.execute("select part from rows where number = 0").fetchone()[0]
        expected = {number for number in range(1, newest + 1)} - {deleted - 5 for deleted in range(9, newest + 1, 9)}
        found = base.execute("select number, part from rows where number > 0 order by number, part").fetchall()
        assert found == [(number, part) for number in sorted(expected) for part in (1, 2, 3)]
        return newest
    finally:
        base.close()


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_what_is_committed_outlives_a_loss_of_power(journal_library, tmp_path, journal):
    folder, after = tmp_path / "disk", tmp_path / "after"
    folder.mkdir()
    after.mkdir()
    base, operations = journal_of(journal_library, folder, journal)
    assert [path for _, path, _, _ in operations if path.endswith("-journal" if journal == "delete" else "-wal")]
    for acknowledged, path in losses(base, operations, 1, after):
        assert transactions(path) in (acknowledged, acknowledged + 1)


def test_the_test_sees_what_is_not_synchronised(journal_library, tmp_path):
    folder, after = tmp_path / "disk", tmp_path / "after"
    folder.mkdir()
    after.mkdir()
    base, operations = journal_of(journal_library, folder, "wal", synchronous="OFF")
    lost = 0
    for acknowledged, path in losses(base, operations, 1, after):
        try:
            lost += transactions(path) < acknowledged
        except (AssertionError, sqlite3.DatabaseError):
            lost += 1
    assert lost > LOSSES / 4
