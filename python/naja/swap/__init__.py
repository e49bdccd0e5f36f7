"""Puts naja's drop-ins in the place of their originals, for a whole process.

    import naja.swap
    naja.swap.install("dateutil")      # or install() for all
    from dateutil import parser        # naja's

`naja run --swap app.py` does the same for a program that was not changed, and for its children.
"""

import os

from naja.swap import hook
from naja.swap.hook import Inactive

__all__ = ["Inactive", "dropins", "install", "installed"]


def dropins():
    """The drop-ins of this naja: the original's import name, and what is known of it."""
    return hook.read_table()


def installed():
    """The import names that are swapped in this process, sorted."""
    finder = hook.finder()
    return sorted(finder.names) if finder is not None else []


def install(*names):
    """Swaps the originals of these import names from now on, in this process and those that it forks.

    Without names: those in the environment's NAJA_SWAP, else all.

    Raises `LookupError` for a name that naja has no drop-in for, and `Inactive` where the interpreter is not the one
    that the extension was built for or the original has been imported already.
    """
    known = dropins()
    if not names:
        asked = [name for name in os.environ.get("NAJA_SWAP", "all").split(",") if name]
        names = known if "all" in asked else asked
    unknown = [name for name in names if name not in known]
    if unknown:
        raise LookupError("naja has no drop-in for {}; it has {}".format(
            ", ".join(map(repr, unknown)), ", ".join(map(repr, known)) or "none yet"))
    hook.install(names)
