"""What goes wrong beside what databases and `typesystem` raise."""


class NoMatch(Exception):
    """No row matches."""


class MultipleMatches(Exception):
    """More than one row matches."""


class FieldError(KeyError):
    """A name that a model does not have, or that cannot be used so."""

    def __str__(self):
        # A KeyError shows its message as it would show a key: in quotes.
        return str(self.args[0]) if self.args else ""
