# Starts the swap in a process where `naja` cannot be imported: run by `site/sitecustomize.py` under `naja run --swap`,
# and by a `.pth` file in the environments of `cargo dev conformance`. `PACKAGE` is naja's folder, given by who runs it.
# Must be understood by every Python, back to 2.7: a child of the program may be any of them.
import os
import sys


def load_hook(package):
    """Loads naja/swap/hook.py by its place, without importing `naja`."""
    from importlib.machinery import ModuleSpec, SourceFileLoader

    name = "naja.swap.hook"
    # `site` runs the `.pth` files of a virtual environment twice.
    if name in sys.modules:
        return sys.modules[name]
    path = os.path.join(package, "swap", "hook.py")
    loader = SourceFileLoader(name, path)
    spec = ModuleSpec(name, loader, origin=path)
    spec.has_location = True
    module = type(sys)(name)
    module.__spec__ = spec
    module.__loader__ = loader
    module.__file__ = path
    module.__package__ = "naja.swap"
    sys.modules[name] = module
    loader.exec_module(module)
    return module


def tell_inactive(why):
    path = os.environ.get("NAJA_SWAP_REPORT")
    if path and os.path.isfile(path):
        with open(path, "a") as file:
            file.write("%d\tinactive\t\t%s\n" % (os.getpid(), why))


def start(package, names=None):
    """Swaps the originals with these import names, with commas between them; without them, those in NAJA_SWAP."""
    names = names or os.environ.get("NAJA_SWAP")
    if not names:
        return
    name = getattr(getattr(sys, "implementation", None), "name", "cpython")
    if name != "cpython" or sys.version_info < (3, 11):
        version = "%d.%d" % sys.version_info[:2]
        tell_inactive("naja carries no extension for %s %s" % (name.replace("cpython", "CPython"), version))
    else:
        load_hook(package).start(names)
