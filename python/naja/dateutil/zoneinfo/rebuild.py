"""Once built the database that dateutil shipped. There is none to build any more."""

import warnings

__all__ = ["RebuildDeprecationWarning", "rebuild"]


class RebuildDeprecationWarning(FutureWarning):
    """``rebuild`` does nothing any more. An error unless a warnings filter says otherwise."""


def rebuild(filename, tag=None, format="gz", zonegroups=[], metadata=None):
    """Does nothing, and says so."""
    with warnings.catch_warnings():
        # Last in the list, so that any filter of the user's is stronger.
        warnings.filterwarnings("error", category=RebuildDeprecationWarning, append=True)
        warnings.warn(
            "dateutil ships no time-zone database any more: rebuild does nothing",
            RebuildDeprecationWarning,
            stacklevel=2,
        )
