"""naja: the all-in-one toolkit for Python, for the CPython that you already have.

The program `naja` is native and needs none of this. Drop-ins will be sub-packages here, named like the originals.
"""

from naja._native import __version__

__all__ = ["__version__"]
