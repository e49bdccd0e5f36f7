"""A naja installed in a folder of its own, with made-up drop-ins: what tests of the swap look at.

The program finds its package by its place, so that a copy of both is an installation with a table of its own.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import textwrap
import venv

import naja

PACKAGE = pathlib.Path(naja.__file__).parent

ORIGINAL = {
    "thing/__init__.py": """
        from .shapes import Square
        from . import numbers

        WHO = "original"
        """,
    "thing/shapes.py": """
        class Square:
            def __init__(self, side):
                self.side = side

            def __eq__(self, other):
                return type(other) is Square and other.side == self.side

            def who(self):
                return "original"
        """,
    "thing/numbers.py": """
        LIMIT = 7

        def twice(number):
            return 2 * number

        def thrice(number):
            return 3 * number
        """,
    # naja has no such module.
    "thing/extra.py": """
        from thing import WHO
        from .shapes import Square

        def make():
            return Square(4)
        """,
}

STAND_IN = {
    **{name: text.replace('"original"', '"naja"') for name, text in ORIGINAL.items() if name != "thing/extra.py"},
    "thing/numbers.py": """
        def twice(number):
            return number + number
        """,
    "thing/broken.py": """
        raise ImportError("on purpose")
        """,
}

TABLE = {
    "dropins": [{
        "import": "thing",
        "module": "naja.thing",
        "tool": "things",
        "original": "thing-maker",
        "version": "1.0",
        "safe-names": {"thing.numbers": ["LIMIT", "thrice"]},
        "score": None,
        "cases": [],
    }]
}


def write(folder, files):
    for name, text in files.items():
        path = pathlib.Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")


class Installation:
    """naja, an environment with the original, and ways to run a program there with and without the swap.

    Where nothing is made up, it is naja as it is installed, and the environment is empty.
    """

    def __init__(self, folder, is_made_up=True):
        self.folder = pathlib.Path(folder)
        library = self.folder / "naja" / "lib" / "python{}.{}".format(*sys.version_info[:2]) / "site-packages"
        self.package = library / "naja"
        shutil.copytree(PACKAGE, self.package, ignore=shutil.ignore_patterns("__pycache__"))
        self.naja = self.folder / "naja" / "bin" / "naja"
        self.naja.parent.mkdir()
        shutil.copy2(pathlib.Path(sys.prefix, "bin", "naja"), self.naja)
        venv.create(self.folder / "env", with_pip=False)
        self.python = self.folder / "env" / "bin" / "python"
        self.packages = self.folder / "env" / "lib" / library.parent.name / "site-packages"
        if is_made_up:
            self._make_up()

    def _make_up(self):
        write(self.package, STAND_IN)
        (self.package / "swap" / "dropins.json").write_text(json.dumps(TABLE), encoding="utf-8")
        write(self.packages, ORIGINAL)
        write(self.packages, {"thing_maker-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: thing-maker\nVersion: 1.0\n"})

    def environment(self, **changes):
        """The variables of a test's program: nothing of the user's own."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {**kept, "XDG_CACHE_HOME": str(self.folder / "cache"), "NO_COLOR": "1", "COLUMNS": "100", **changes}

    def run(self, *words, swap="all", python=None, naja_words=(), **changes):
        """Runs `naja run` with these words; gives the ended process, with the report as `report`."""
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        command = [self.naja, "run", "--report", report, "--python", python or self.python, *naja_words]
        if swap is not None:
            command.append("--swap=" + swap)
        ended = subprocess.run(
            [*command, *words], capture_output=True, text=True, env=self.environment(**changes), cwd=self.folder)
        ended.report = json.loads(report.read_text(encoding="utf-8")) if report.exists() else None
        return ended

    def output(self, *words, **options):
        """The standard output of a run that went well."""
        ended = self.run(*words, **options)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    def unswapped(self, *words, **changes):
        """The standard output of the same program under Python alone."""
        ended = subprocess.run(
            [self.python, *words], capture_output=True, text=True, env=self.environment(**changes), cwd=self.folder)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    def program(self, text, name="program.py"):
        """A file with this text."""
        path = self.folder / name
        write(self.folder, {name: text})
        return path
