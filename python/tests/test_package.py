"""What `pip install` of the wheel gives, looked at from inside Python."""

import ast
import importlib.metadata
import os
import pathlib
import subprocess
import sys
import types

import naja
from naja import _native

FOLDER = pathlib.Path(naja.__file__).parent


def test_package_extension_and_metadata_have_one_version():
    assert naja.__version__ == _native.__version__ == importlib.metadata.version("naja")


def test_extension_is_built_for_this_python_alone():
    # The whole interface, not the stable subset: the file's name carries the version.
    tag = f"cpython-{sys.version_info.major}{sys.version_info.minor}"
    assert tag in pathlib.Path(_native.__file__).name


def test_package_is_typed():
    assert (FOLDER / "py.typed").is_file()


def test_stub_names_exactly_what_the_extension_has():
    tree = ast.parse((FOLDER / "_native.pyi").read_text(encoding="utf-8"))
    named = set()
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            named.add(node.target.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            named.add(node.name)
    # The submodules are the drop-ins' own affair: nobody imports names from them but naja's packages.
    modules = {name for name, value in vars(_native).items() if isinstance(value, types.ModuleType)}
    has = {name for name in vars(_native) if not name.startswith("__")} - modules | {"__version__"}
    assert named == has


def test_program_is_native_and_lies_in_the_environment():
    program = pathlib.Path(sys.prefix, "bin", "naja")
    assert program.read_bytes()[:4] == b"\x7fELF"
    assert os.access(program, os.X_OK)


def test_importing_the_package_starts_nothing_and_loads_little():
    code = "import sys; before = set(sys.modules); import naja; print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert loaded.split() == ["naja"]


def test_module_and_program_are_the_same_command():
    def version(*command):
        return subprocess.run([*command, "--version"], check=True, capture_output=True, text=True).stdout

    program = pathlib.Path(sys.prefix, "bin", "naja")
    assert version(sys.executable, "-m", "naja") == version(program) == f"naja {naja.__version__}\n"
