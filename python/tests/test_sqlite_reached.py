"""Which SQLite the drop-ins drive where `sqlite3` is not what the interpreter came with, or its library hides its names.

The package pysqlite3-binary stands for such a `sqlite3`: a module with SQLite linked into it. A second one is made of it whose
SQLite nobody can look up, as in an interpreter with SQLite linked in and its names hidden. What two copies in one process do
is in test_sqlite_copies.py.
"""

import pathlib
import shutil
import struct
import subprocess
import sys

import originals
import pytest
from test_sqlite_copies import own_library

REPLACE = """
import sys
sys.path.insert(0, sys.argv[1])
import pysqlite3
sys.modules["sqlite3"], sys.modules["sqlite3.dbapi2"] = pysqlite3, pysqlite3.dbapi2
"""

# Writes in a transaction of naja's while `sqlite3` reads the same file, and another process tries to write.
BESIDE_A_READER = """
import subprocess, sqlite3
from naja import dataset
path, mode = sys.argv[2:4]
db = dataset.connect(f"sqlite:///{path}", sqlite_wal_mode=mode == "wal")
db["seen"].insert({"who": "first"})
db.begin()
db["seen"].insert({"who": "ours"})
reader = sqlite3.connect(path)
reader.execute("select count(*) from seen").fetchone()
reader.close()
other = (
    "import sqlite3, sys\\n"
    "base = sqlite3.connect(sys.argv[1], timeout=0)\\n"
    "try:\\n    base.execute('insert into seen (who) values (?)', ['other']); base.commit(); print('wrote')\\n"
    "except sqlite3.OperationalError as error:\\n    print(error)\\n"
)
print(subprocess.run([sys.executable, "-c", other, path], capture_output=True, text=True, check=True).stdout.strip())
db.commit()
print(sorted(row["who"] for row in db["seen"]))
from naja._native import db as native
print(native.sqlite_version() == sqlite3.sqlite_version == next(db.query("select sqlite_version() as v"))["v"])
print(sqlite3.sqlite_version)
"""


def run(script, *arguments, **options):
    done = subprocess.run([sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def symbols(path):
    """The names that a library has for the linker, each with the place of its visibility in the file."""
    data = pathlib.Path(path).read_bytes()
    assert data[:6] == b"\x7fELF\x02\x01", "64 bits, little-endian"
    start, size, count = struct.unpack_from("<Q10xHH", data, 0x28)
    sections = [struct.unpack_from("<IIQQQQII16x", data, start + index * size) for index in range(count)]
    for _, kind, _, _, offset, length, link, _ in sections:
        # SHT_DYNSYM
        if kind == 11:
            names = sections[link][4]
            for place in range(offset, offset + length, 24):
                name = names + struct.unpack_from("<I", data, place)[0]
                yield data[name : data.index(b"\0", name)].decode(), place + 5


def hide(path):
    """Makes SQLite's functions invisible to everybody but the file itself."""
    data = bytearray(path.read_bytes())
    places = [place for name, place in symbols(path) if name.startswith("sqlite3_")]
    assert len(places) > 200, "it has SQLite linked in"
    for place in places:
        # STV_HIDDEN
        data[place] = data[place] & ~3 | 2
    path.write_bytes(data)


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """Two folders with the package: as it is, and with its SQLite hidden."""
    plain = tmp_path_factory.mktemp("plain")
    originals.install(plain, "pysqlite3-binary==0.5.4.post2")
    hidden = tmp_path_factory.mktemp("hidden") / "packages"
    shutil.copytree(plain, hidden)
    (module,) = (hidden / "pysqlite3").glob("_sqlite3*.so")
    hide(module)
    looked_up = f"import ctypes; ctypes.CDLL({str(module)!r}).sqlite3_prepare_v2"
    done = subprocess.run([sys.executable, "-c", looked_up], capture_output=True, text=True)
    assert "undefined symbol: sqlite3_prepare_v2" in done.stderr
    return {"visible": plain, "hidden": hidden}


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("names", ["visible", "hidden"])
def test_the_copy_of_a_sqlite3_that_was_replaced_keeps_its_locks(packages, tmp_path, names, mode):
    said, rows, is_one, version = run(REPLACE + BESIDE_A_READER, packages[names], tmp_path / "one.db", mode)
    assert (said, rows, is_one) == ("database is locked", "['first', 'ours']", "True")
    import sqlite3

    assert version != sqlite3.sqlite_version, "it is another SQLite than the interpreter's"


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_module_without_a_file_is_asked_as_well(packages, tmp_path, mode):
    """As one that is built into the interpreter, with its SQLite hidden."""
    script = REPLACE + "del pysqlite3._sqlite3.__file__\n" + BESIDE_A_READER
    said, rows, is_one, _ = run(script, packages["hidden"], tmp_path / "one.db", mode)
    assert (said, rows, is_one) == ("database is locked", "['first', 'ours']", "True")


def test_the_drop_ins_pass_their_tests_on_a_hidden_copy(packages):
    tests = pathlib.Path(__file__).parent
    files = ["test_dataset_rows.py", "test_dataset_upsert.py", "test_dataset_functions.py", "test_databases_queries.py"]
    script = REPLACE + "import pytest; print(pytest.main(['-q', '-p', 'no:cacheprovider', '-k', sys.argv[2], *sys.argv[3:]]))"
    # What is asked of servers has nothing to do with it, and this module has no names for SQLite's longer codes.
    chosen = "not postgres and not mysql and not exception_with_its_code"
    said = run(script, packages["hidden"], chosen, *(tests / file for file in files), cwd=tests)
    assert said[-1] in ("0", "ExitCode.OK"), "\n".join(said)


def test_a_hidden_copy_that_loads_no_extensions_is_refused(packages):
    script = """
from pysqlite3 import _sqlite3
class Without:
    def __init__(self, real):
        self.close = real.close
real = _sqlite3.connect
_sqlite3.connect = lambda *words, **options: Without(real(*words, **options))
from naja import dataset
try:
    dataset.connect("sqlite://")["t"].insert({"a": 1})
except ImportError as error:
    print(error)
"""
    (said,) = run(REPLACE + script, packages["hidden"])
    assert "the function `sqlite3_libversion_number` cannot be found, and it loads no extensions" in said
    assert "'Without' object has no attribute 'enable_load_extension'" in said
    assert "two copies in one process lose data. Hint: " in said


def test_the_extension_does_nothing_when_somebody_else_loads_it(packages):
    script = """
import naja._native, sqlite3
base = sqlite3.connect(":memory:")
base.enable_load_extension(True)
before = [row[0] for row in base.execute("select name from pragma_function_list")]
for _ in range(3):
    base.load_extension(naja._native.__file__)
assert before == [row[0] for row in base.execute("select name from pragma_function_list")]
base.close()
from naja import dataset
db = dataset.connect("sqlite://")
db["t"].insert({"a": 1})
print(len(db["t"]))
"""
    assert run(REPLACE + script, packages["visible"]) == ["1"]


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_library_that_is_loaded_before_all_others_is_the_one(tmp_path, mode):
    """`LD_PRELOAD` gives the interpreter a newer SQLite; the one that its module is linked with is loaded beside it."""
    library = own_library()
    if library.resolve() == pathlib.Path(sys.executable).resolve():
        pytest.skip("SQLite is a part of the interpreter, and no other can take its place")
    preloaded = tmp_path / "libsqlite3-preloaded.so"
    # Of another name also within, else the linker takes it for the one that is linked with.
    name = library.name.encode().rpartition(b".so")[0] + b".so.0\0"
    data = library.read_bytes()
    assert name in data
    preloaded.write_bytes(data.replace(name, name[:-2] + b"9\0"))
    script = "import sys\n" + BESIDE_A_READER + "print(*{line.split()[-1] for line in open('/proc/self/maps') if 'sqlite3' in line})"
    said, rows, is_one, _, loaded = run(
        script, "", tmp_path / "one.db", mode, env={"LD_PRELOAD": str(preloaded), "PATH": "/usr/bin:/bin"}
    )
    assert str(preloaded) in loaded and str(library) in loaded, "there are two copies"
    assert (said, rows, is_one) == ("database is locked", "['first', 'ours']", "True")
