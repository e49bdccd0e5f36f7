"""Where time-zone files are looked for: the standard library's ``zoneinfo.TZPATH``, read each time it is needed."""

import zoneinfo
from zoneinfo import InvalidTZPathWarning, reset_tzpath

__all__ = ["InvalidTZPathWarning", "reset_tzpath", "zoneinfo"]
