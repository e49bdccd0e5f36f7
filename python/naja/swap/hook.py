"""The import hook: naja's module wherever an original's name is imported.

The invariant: under the swap a module has one object, whichever of its two names is imported, and its own name is
the original's. So classes, pickles, warnings and tracebacks name what they would name without naja.

Start at `Finder`. This file is loaded at the start of every swapped process, often without `naja` itself: it imports
nothing that `site` has not imported before it.
"""

import os
import sys
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec, PathFinder, SourceFileLoader

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Named by `naja run`: a file to which every process appends what it did, a line each.
REPORT = "NAJA_SWAP_REPORT"


class Inactive(Exception):
    """Why nothing can be swapped in this process."""


def check_interpreter():
    """Raises `Inactive` unless the extension beside this file was built for this very interpreter."""
    name = sys.implementation.name
    if name != "cpython":
        raise Inactive("the interpreter is {}, not CPython".format(name))
    # The first suffix is the whole ABI tag: version, build, platform. `.abi3.so` and `.so` would say less.
    suffix = EXTENSION_SUFFIXES[0]
    if not os.path.isfile(os.path.join(PACKAGE, "_native" + suffix)):
        raise Inactive("this naja carries no extension for CPython {}.{} ({})".format(
            sys.version_info[0], sys.version_info[1], suffix.lstrip(".")))


def read_table():
    """Every drop-in, by the name under which its original is imported."""
    import json

    with open(os.path.join(PACKAGE, "swap", "dropins.json"), encoding="utf-8") as file:
        return {one["import"]: one for one in json.load(file)["dropins"]}


def tell(kind, name="", why=""):
    """Appends a line to the report of `naja run`, where there is one."""
    path = os.environ.get(REPORT)
    if not path:
        return
    words = [str(os.getpid()), kind, name, why]
    line = "\t".join(" ".join(word.split()) for word in words) + "\n"
    try:
        # Never created: a process that outlives naja leaves nothing behind. One short append does not mix with others.
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.write(file, line.encode("utf-8", "replace"))
    except OSError:
        pass
    finally:
        os.close(file)


class Finder:
    """Finds originals in naja's package, and naja's own names in the modules that stand for originals."""

    def __init__(self, names=()):
        self.names = set(names)
        self.table = None
        self.renamed = set()
        self.told = set()

    def add(self, name):
        """Swaps one more original, whose import name is given."""
        if name in sys.modules:
            raise Inactive("{} was imported before the swap".format(name))
        self._adopt("naja." + name)
        self.names.add(name)

    def find_spec(self, fullname, path=None, target=None):
        """Asked for every import of the process, so the common answer `None` comes first."""
        root, _, rest = fullname.partition(".")
        if root in self.names:
            return self._in_naja(fullname) or self._in_original(fullname)
        if root == "naja":
            return self._naja(fullname, rest)
        return None

    # What pkg_resources and `importlib.metadata` ask of a finder that has no distributions of its own is not here:
    # the original's metadata is the installed one.

    def _in_naja(self, fullname):
        """naja's file for the original's module, as a module of the original's name."""
        spec = self._own_spec(fullname)
        if spec is None:
            return None
        # The body is to run again where a program drops a module and imports it anew.
        sys.modules.pop("naja." + fullname, None)
        if type(spec.loader) is SourceFileLoader:
            spec.loader = Loader(self, fullname, spec.loader.path)
        return spec

    def _own_spec(self, fullname):
        folder = os.path.join(PACKAGE, *fullname.split(".")[:-1])
        spec = PathFinder.find_spec(fullname, [folder])
        # A folder without `__init__.py` is no module of ours.
        return spec if spec is not None and spec.loader is not None else None

    def _in_original(self, fullname):
        """The installed original's own module, where naja lacks it: what it imports itself is found by this finder."""
        spec = self.original_spec(fullname)
        if spec is not None:
            self.tell_once("fell-back", fullname, "naja has no such module")
        return spec

    def original_spec(self, fullname):
        """Where the installed original has a module; `None` where it is not installed or has none of that name."""
        parent = fullname.rpartition(".")[0]
        path = None
        if parent:
            parent_spec = self.original_spec(parent)
            path = parent_spec and parent_spec.submodule_search_locations
            if path is None:
                return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec = find(fullname, path)
            if spec is not None:
                return spec
        return None

    def _naja(self, fullname, rest):
        if rest.partition(".")[0] in self.names:
            # A name that neither has fails as it would without the swap.
            return ModuleSpec(fullname, Alias(rest)) if self._own_spec(rest) else None
        if rest:
            return None
        # Only this folder: the path of the program stays its own.
        return PathFinder.find_spec(fullname, [os.path.dirname(PACKAGE)])

    def _adopt(self, ours):
        """Gives those of naja's modules that were imported before the swap the original's names as well."""
        root = ours[len("naja."):]
        before = [one for one in sys.modules if one == ours or one.startswith(ours + ".")]
        for known in before:
            module = sys.modules[known]
            original = known[len("naja."):]
            spec = self._in_naja(original)
            sys.modules[known] = sys.modules[original] = module
            module.__name__ = original
            module.__package__ = spec.parent
            module.__loader__ = spec.loader
            module.__spec__ = spec
            for value in list(vars(module).values()):
                rename(value, root)
            self.tell_once("swapped", original)
        if before:
            self._rename_native(root)

    def create_module(self, fullname):
        """What the module is made of before its body runs; `None` for the usual.

        Nothing is done after the body, and no frame of this file is below it: a warning's `stacklevel` counts what it
        would count without the swap.
        """
        root = fullname.partition(".")[0]
        self._rename_native(root)
        self.tell_once("swapped", fullname)
        if self.table is None:
            self.table = read_table()
        if fullname == root and os.environ.get(REPORT):
            self._tell_version(root)
        names = self.table.get(root, {}).get("safe-names", {}).get(fullname)
        return ModuleWithSafeNames(fullname, self, names) if names else None

    def _tell_version(self, root):
        """Tells where the installed original is of another version than the one that naja's module is made after."""
        ours = self.table.get(root, {})
        try:
            installed = self._installed_version(root, ours["original"])
        except Exception:
            # It is a remark: nothing hangs on it.
            return
        if installed and installed != ours.get("version"):
            self.tell_once("other-version", root, "{} is installed, naja's is {}".format(installed, ours.get("version")))

    def _installed_version(self, root, project):
        """The version that the folder beside the original says; `importlib.metadata` takes long to import."""
        spec = self.original_spec(root)
        if spec is None or not spec.origin:
            return None
        folder = os.path.dirname(spec.origin)
        if spec.submodule_search_locations is not None:
            folder = os.path.dirname(folder)
        for entry in os.listdir(folder):
            name, _, version = entry.partition("-")
            if entry.endswith(".dist-info") and plain(name) == plain(project):
                return version[:-len(".dist-info")]
        return None

    def _rename_native(self, root):
        """Lets what naja's extension has made for this original say the original's name for its module."""
        if root in self.renamed:
            return
        self.renamed.add(root)
        try:
            native = import_module("naja._native")
        except ImportError:
            # A drop-in that needs the extension says so itself, in the words of the import that failed.
            return
        for module in [native, *filter(is_module, vars(native).values())]:
            for value in list(vars(module).values()):
                rename(value, root)

    def safe_name(self, fullname, name):
        """A function or constant of the original's, where naja's module lacks it."""
        value = getattr(self._original_module(fullname), name)
        self.tell_once("fell-back", "{}.{}".format(fullname, name), "naja has no such name")
        return value

    def _original_module(self, fullname):
        """The original's module under its name but outside of `sys.modules`, where naja's stands."""
        spec = self.original_spec(fullname)
        if spec is None:
            raise AttributeError("the original of {!r} is not installed".format(fullname))
        module = type(sys)(fullname)
        module.__spec__ = spec
        module.__loader__ = spec.loader
        module.__package__ = spec.parent
        module.__file__ = spec.origin
        if spec.submodule_search_locations is not None:
            module.__path__ = spec.submodule_search_locations
        spec.loader.exec_module(module)
        return module

    def tell_once(self, kind, name, why=""):
        key = (os.getpid(), kind, name)
        if key not in self.told:
            self.told.add(key)
            tell(kind, name, why)


class Loader(SourceFileLoader):
    """Runs naja's file as the original's module."""

    def __init__(self, finder, fullname, path):
        super().__init__(fullname, path)
        self.finder = finder

    def create_module(self, spec):
        return self.finder.create_module(spec.name)


class ModuleWithSafeNames(type(sys)):
    """A module in which some functions and constants come from the original: they bring no class with them."""

    def __init__(self, fullname, finder, names):
        super().__init__(fullname)
        self.__dict__["__naja_swap__"] = (finder, fullname, frozenset(names))

    def __getattr__(self, name):
        finder, fullname, names = self.__dict__["__naja_swap__"]
        if name not in names:
            raise AttributeError("module {!r} has no attribute {!r}".format(fullname, name))
        value = finder.safe_name(fullname, name)
        setattr(self, name, value)
        return value


class Alias:
    """Gives the one module object that has the original's name, when it is asked for by naja's."""

    def __init__(self, original):
        self.original = original
        self.spec = None

    def create_module(self, spec):
        module = import_module(self.original)
        self.spec = module.__spec__
        return module

    def exec_module(self, module):
        # The import system has put the alias's own there.
        module.__spec__ = self.spec


def plain(project):
    """A project's name, of which index and folders have several spellings."""
    return project.lower().replace("-", "_").replace(".", "_")


def is_module(value):
    return isinstance(value, type(sys))


def rename(value, root):
    """Lets a class or function of naja's extension, and the classes in it, say the original's name for its module."""
    if not isinstance(value, (type, type(len))):
        return
    own = vars(value).get("__module__") if isinstance(value, type) else value.__module__
    ours = "naja." + root
    if isinstance(own, str) and (own == ours or own.startswith(ours + ".")):
        value.__module__ = own[len("naja."):]
        if isinstance(value, type):
            for inner in list(vars(value).values()):
                rename(inner, root)


def finder():
    """The finder of this process, or `None`."""
    return next((one for one in sys.meta_path if isinstance(one, Finder)), None)


def install(names):
    """Swaps the originals of these import names from now on.

    Raises `Inactive` where that cannot be: another interpreter than the extension's, an original that was imported
    already.
    """
    check_interpreter()
    ours = finder()
    if ours is None:
        ours = Finder()
        sys.meta_path.insert(0, ours)
    for name in names:
        if name not in ours.names:
            ours.add(name)
    return ours


def start(names):
    """What a process does at its start when it is told to swap these names, with commas between them. Never raises."""
    names = [name for name in names.split(",") if name]
    try:
        if "all" in names:
            names = list(read_table())
        if names:
            check_interpreter()
            tell("active")
    except Exception as error:
        tell("inactive", "", reason(error))
        return
    for name in names:
        try:
            install([name])
        except Exception as error:
            tell("kept", name, reason(error))


def reason(error):
    return str(error) if isinstance(error, Inactive) else repr(error)
