"""The date of Easter in any year, by the Western, the Orthodox or the Julian reckoning."""

from naja._native import dates as _dates

__all__ = ["easter", "EASTER_JULIAN", "EASTER_ORTHODOX", "EASTER_WESTERN"]

EASTER_JULIAN = 1
EASTER_ORTHODOX = 2
EASTER_WESTERN = 3

easter = _dates.easter
