"""Windows' own time zones, which only Windows has."""

raise ImportError("naja runs on Linux: the zones of the Windows registry are not there")
