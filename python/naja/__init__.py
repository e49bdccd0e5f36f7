"""naja: the all-in-one toolkit for Python, for the CPython that you already have.

The program `naja` is native and needs none of this. Drop-ins are sub-packages here, named like the originals;
`naja.profile` profiles a part of a program from inside.
"""

__all__ = ["__version__", "profile"]


def __getattr__(name):
    # Loaded by who needs it: `import naja.swap` alone loads neither.
    if name == "__version__":
        from naja._native import __version__

        return __version__
    if name == "profile":
        from naja.profiling import profile

        globals()["profile"] = profile
        return profile
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
