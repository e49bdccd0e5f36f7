"""Why the drop-ins for databases may use no SQLite of their own: two copies of it in one process lose data.

The reasons and the figures stand in docs/design/databases.md. A second copy is made of the library file itself, so that both are of
one version; the first is found as the drop-ins will find it, by the symbols that `_sqlite3` uses.
"""

import ctypes
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys

import _sqlite3
import pytest

# Of <dlfcn.h>: the library if it is loaded, and nothing else.
NOLOAD = os.RTLD_LAZY | getattr(os, "RTLD_NOLOAD", 4)
OK, IO_ERROR = 0, 10

# Another process that wants to write, and is to be kept out.
OTHER = """
import sqlite3, sys
base = sqlite3.connect(sys.argv[1], timeout=0)
try:
    with base:
        base.execute("insert into seen values ('other')")
    print("wrote")
except sqlite3.OperationalError as error:
    print(error)
"""


def own_library():
    """The file of the SQLite that this interpreter's own `_sqlite3` uses."""
    linker = ctypes.CDLL(None)
    linker.dlopen.restype = linker.dlsym.restype = ctypes.c_void_p
    linker.dlopen.argtypes, linker.dlsym.argtypes = [ctypes.c_char_p, ctypes.c_int], [ctypes.c_void_p, ctypes.c_char_p]
    module = getattr(_sqlite3, "__file__", None)
    handle = linker.dlopen(module and os.fsencode(module), NOLOAD)
    address = linker.dlsym(handle, b"sqlite3_prepare_v2")
    assert address, f"the SQLite of {module or 'the interpreter'} exports nothing"
    for line in pathlib.Path("/proc/self/maps").read_text().splitlines():
        start, end = (int(part, 16) for part in line.split()[0].split("-"))
        if start <= address < end:
            return pathlib.Path(line.split(maxsplit=5)[5])
    raise AssertionError("nothing is mapped at the function's address")


class Copy:
    """A connection by one copy of the library."""

    def __init__(self, library, path):
        self._library = ctypes.CDLL(library)
        self._library.sqlite3_exec.argtypes = [ctypes.c_void_p, ctypes.c_char_p] + 3 * [ctypes.c_void_p]
        self._library.sqlite3_close.argtypes = [ctypes.c_void_p]
        self._base = ctypes.c_void_p()
        assert self._library.sqlite3_open(os.fsencode(path), ctypes.byref(self._base)) == OK

    def run(self, statement):
        return self._library.sqlite3_exec(self._base, statement.encode(), None, None, None)

    def close(self):
        self._library.sqlite3_close(self._base)


def transaction_beside_a_reader(library, path, mode):
    """Writes in a transaction while the program reads the same file by `sqlite3`, and another process tries to write.

    What the other process says, the result of the commit, and the rows that are there in the end.
    """
    with sqlite3.connect(path) as base:
        base.execute(f"pragma journal_mode = {mode}")
        base.execute("create table seen (who text)")
    base.close()
    ours = Copy(library, path)
    assert ours.run("begin immediate") == OK
    assert ours.run("insert into seen values ('ours')") == OK
    # As pandas and any other library would: opened, read, closed.
    reader = sqlite3.connect(path)
    reader.execute("select count(*) from seen").fetchone()
    reader.close()
    said = subprocess.run([sys.executable, "-c", OTHER, path], capture_output=True, text=True, check=True).stdout.strip()
    committed = ours.run("commit")
    ours.close()
    base = sqlite3.connect(path)
    rows = sorted(row for (row,) in base.execute("select who from seen"))
    base.close()
    return said, committed, rows


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_the_interpreters_own_copy_keeps_its_locks(tmp_path, mode):
    library = own_library()
    loaded = {line.split(maxsplit=5)[5] for line in pathlib.Path("/proc/self/maps").read_text().splitlines() if "/" in line}
    assert str(library) in loaded
    said, committed, rows = transaction_beside_a_reader(library, tmp_path / "one.db", mode)
    assert (said, committed, rows) == ("database is locked", OK, ["ours"])


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_second_copy_loses_rows(tmp_path, mode):
    """What must not be built: this is here to be seen, and to fail should SQLite come to protect itself."""
    library = own_library()
    if library.resolve() == pathlib.Path(sys.executable).resolve():
        pytest.skip("SQLite is a part of the interpreter, of which there can be no second copy in this process")
    second = shutil.copy(library, tmp_path / "second.so")
    said, committed, rows = transaction_beside_a_reader(second, tmp_path / "two.db", mode)
    assert said == "wrote", "the reader's close has dropped the lock of the open transaction"
    # In WAL mode both were told that their row is there.
    assert committed == (OK if mode == "wal" else IO_ERROR)
    assert len(rows) == 1


def test_the_extension_brings_no_sqlite_of_its_own():
    import naja._native

    assert b"SQLite format 3" not in pathlib.Path(naja._native.__file__).read_bytes()
