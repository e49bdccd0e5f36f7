"""The old name of ``tz.win``."""

from .tz.win import *  # noqa: F403
