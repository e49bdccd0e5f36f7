"""Sets that tell `True` from 1, and hold lists and dictionaries."""

from __future__ import annotations

import typing

from naja._native import db


class Uniqueness:
    """What has been seen, of the values that JSON has."""

    # What stands for the two truths among them.
    TRUE: typing.ClassVar[object] = db.validation.make_hashable(True)
    FALSE: typing.ClassVar[object] = db.validation.make_hashable(False)

    def __init__(self, items: list | None = None) -> None:
        self._set = {self.make_hashable(item) for item in items or []}

    def __contains__(self, item: typing.Any) -> bool:
        return self.make_hashable(item) in self._set

    def add(self, item: typing.Any) -> None:
        self._set.add(self.make_hashable(item))

    def make_hashable(self, element: typing.Any) -> typing.Any:
        """Something with a hash, equal for equal values alone."""
        return db.validation.make_hashable(element)
