"""Looks for garbage less often while pytest imports and collects: nearly all that is made then stays.

With Python's own threshold of some hundred new objects, a fifth of the time that pytest takes to collect the tests of
sympy goes into looking through them again and again.
"""

import gc

import pytest

# So many more containers made than freed, and garbage is looked for; a few MB at the most.
_RARELY = 20_000


class Rarely:
    """The pytest plugin that ends it when tests have been collected; before the first test all is as Python has it."""

    def __init__(self):
        self._before = gc.get_threshold()
        # A threshold of 0 is a program's wish that nothing is looked for.
        self._meanwhile = (_RARELY, *self._before[1:]) if self._before[0] else self._before
        gc.set_threshold(*self._meanwhile)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self):
        # What the project has set meanwhile is left alone.
        if gc.get_threshold() == self._meanwhile:
            gc.set_threshold(*self._before)
