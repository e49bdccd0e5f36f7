"""naja: the all-in-one toolkit for Python, for the CPython that you already have.

The program `naja` is native and needs none of this. Drop-ins are sub-packages here, named like the originals.
"""

__all__ = ["__version__"]


def __getattr__(name):
    # The extension is loaded by who needs it: `import naja.swap` alone does not.
    if name == "__version__":
        from naja._native import __version__

        return __version__
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
