"""What is made of a test file from the parts that are known is what pytest makes of the whole file."""

import pathlib
import types

import pytest
from _pytest.assertion.rewrite import rewrite_asserts

from naja.testing.rewriting import Shelf

CONFIG = types.SimpleNamespace(getini=lambda name: False)
HERE = sorted(pathlib.Path(__file__).parent.glob("test_*.py"))
TEXT = '''"""What it is for."""
from __future__ import annotations
import os

@os.fspath.__class__
def decorated(): return 1

async def waits(a: int = 1, *, b=lambda: 2):
    assert a == b, "a text"
    def inner():
        assert [one for one in (a,)]
        class Deep:
            x = 1
        return Deep, a
    return await inner()

class Case(object):
    """A class."""
    def test_it(self):
        assert super().__init__
        yield __class__

def last(): assert os
'''


def made(path, shelf):
    """The code by a shelf; `None` where it leaves the file to pytest."""
    found = shelf._rewrite(rewrite_asserts, path, CONFIG)
    return found and found[1]


def parts(code):
    """All that makes up a code object, those inside of it too."""
    own = [getattr(code, name) for name in dir(code) if name.startswith("co_") and name not in ("co_consts", "co_lines", "co_positions", "co_lnotab")]
    own = [one for one in own if not callable(one)]
    lines = [list(getattr(code, name)()) for name in ("co_lines", "co_positions") if hasattr(code, name)]
    return own, lines, [parts(one) if isinstance(one, types.CodeType) else (type(one), one) for one in code.co_consts]


def check(path, shelf):
    assert parts(made(path, shelf)) == parts(made(path, Shelf()))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: text + "\n# more\n",
        lambda text: text.replace("import os\n", "import os\n\n\n"),
        lambda text: text.replace("import os\n", "import os; 1\n").replace("return 1", "return 2"),
        lambda text: text.replace("a text", "another"),
        lambda text: text.replace("from __future__ import annotations\n", "\n"),
        lambda text: text.replace("def last", "def first").replace("class Case(object)", "class Case"),
        lambda text: text + text.partition("import os\n")[2],
        lambda text: text.partition("class Case")[0],
    ],
)
def test_a_changed_file_is_as_if_it_had_been_made_from_nothing(tmp_path, change):
    path, shelf = tmp_path / "test_it.py", Shelf()
    for text in (TEXT, change(TEXT), TEXT):
        path.write_text(text)
        check(path, shelf)


def test_files_of_every_kind_are_the_same_with_a_line_more_at_every_place(tmp_path):
    path, shelf = tmp_path / "test_it.py", Shelf()
    for source in HERE:
        text = source.read_text()
        path.write_text(text)
        if made(path, shelf) is None:  # what warns is left to pytest
            continue
        place = text.find("\n\n\n", len(text) // 2)
        path.write_text(text[:place] + "\n" + text[place:])
        check(path, shelf)


def test_what_is_known_is_not_made_again(tmp_path):
    path, shelf, seen = tmp_path / "test_it.py", Shelf(), []

    def rewrite(tree, *rest):
        seen.append(sum(len(node.body) for node in tree.body if hasattr(node, "body")))
        rewrite_asserts(tree, *rest)

    for _ in range(2):
        path.write_text(TEXT)
        shelf._rewrite(rewrite, path, CONFIG)
    assert seen == [7, 4]


@pytest.mark.parametrize("text", ["def broken(:\n", "def f():\n    assert (1, 'always true')\n"])
def test_what_is_broken_or_warns_is_left_to_pytest(tmp_path, text):
    path = tmp_path / "test_it.py"
    path.write_text(text)
    assert made(path, Shelf()) is None


@pytest.mark.parametrize("text", ["def f():\r    pass\r", "def g(): pass\n\x0c\ndef f(): pass\n", "def f():\r\n    pass"])
def test_lines_that_end_in_other_ways_are_counted_as_python_counts_them(tmp_path, text):
    path, shelf = tmp_path / "test_it.py", Shelf()
    for more in ("", "x = 1\r\n", "\n\n"):
        path.write_bytes((more + text).encode())
        check(path, shelf)


def test_a_shelf_that_is_full_begins_anew(tmp_path, monkeypatch):
    monkeypatch.setattr("naja.testing.rewriting._MOST", 10)
    path, shelf = tmp_path / "test_it.py", Shelf()
    for number in range(3):
        path.write_text(TEXT + f"# {number}\n")
        check(path, shelf)
