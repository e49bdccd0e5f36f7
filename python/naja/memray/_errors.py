from typing import Any


class MemrayError(Exception):
    """Something that the command line tells and ends with."""


class MemrayCommandError(MemrayError):
    """The same, with the code that the process ends with."""

    def __init__(self, *args: Any, exit_code: int) -> None:
        super().__init__(*args)
        self.exit_code = exit_code
