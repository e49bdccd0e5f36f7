"""What tests may rely on: all files are collected, and all they left is settled, before the first test runs."""

import pytest
from real_pytest import VERSIONS, install

# Long enough to be in several units, so that a worker that starts early would have something to run.
FIRST = """
import os, pytest, sys

@pytest.fixture(scope="module")
def selected(request):
    return [item.nodeid for item in request.session.items]

@pytest.mark.parametrize("number", range(40))
def test_first(number, request, selected, pytestconfig):
    assert len(selected) == request.session.testscollected == 42
    assert selected[0] == "test_a.py::test_first[0]" and "test_z.py::test_last" in selected
    assert "test_z" in sys.modules and os.environ["OF_A_LATER_FILE"] == "1"
    assert pytestconfig.pluginmanager.hasplugin("of-a-later-folder")
"""
FILES = {
    "test_a.py": FIRST,
    "test_folder/conftest.py": "def pytest_configure(config): config.pluginmanager.register(object(), 'of-a-later-folder')\n",
    "test_folder/test_m.py": "def test_m(): pass\n",
    "test_z.py": "import os\nos.environ['OF_A_LATER_FILE'] = '1'\ndef test_last(): pass\n",
}
NOTING = """
def note(what):
    with open("notes", "a") as file:
        file.write(what + "\\n")

def notes():
    try:
        with open("notes") as file:
            return file.read().split()
    except OSError:
        return []

class Garbage:
    def __init__(self, what):
        self.itself, self.what = self, what

    def __del__(self):
        note(self.what)
"""


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda version: "python{}-pytest{}".format(*version))
def real(request, tmp_path_factory):
    return install(tmp_path_factory.getbasetemp(), *request.param)


def project(folder, files):
    (folder / "pytest.ini").write_text("[pytest]\n")
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_every_file_is_imported_and_every_test_is_known_before_the_first_test_runs(real, tmp_path, workers):
    done = real.run(project(tmp_path, FILES), workers)
    assert done.returncode == 0 and "42 passed" in done.stdout, done.stdout


def test_no_test_runs_where_a_later_file_cannot_be_collected(real, tmp_path):
    first = NOTING + "import pytest\n@pytest.mark.parametrize('n', range(40))\ndef test_first(n): note('ran')\n"
    late = {"test_z.py": "assert 0, 'not to be imported'\n"}
    done = real.run(project(tmp_path, {"test_a.py": first, **late}), "-n2")
    assert done.returncode == 2 and "Interrupted: 1 error during collection" in done.stdout, done.stdout
    assert not (tmp_path / "notes").exists() and "passed" not in done.stdout, done.stdout


def test_garbage_of_collection_and_of_session_fixtures_is_found_before_the_first_test(real, tmp_path):
    conftest = "import pytest\nfrom noting import Garbage\n@pytest.fixture(scope='session', autouse=True)\ndef once(): Garbage('set-up')\n"
    first = """
import pytest
from noting import Garbage, notes
Garbage("collected")

@pytest.mark.parametrize("number", range(40))
def test_first(number):
    assert notes().count("collected") == 1 and "set-up" in notes()
"""
    files = {"noting.py": NOTING, "conftest.py": conftest, "test_a.py": first}
    done = real.run(project(tmp_path, files), "-n2", "-p", "no:cacheprovider")
    assert done.returncode == 0 and "40 passed" in done.stdout, done.stdout
