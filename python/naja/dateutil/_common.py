"""What relativedelta and rrule share."""


class weekday:
    """A day of the week, Monday being 0, with an optional count ``n``."""

    __slots__ = ["weekday", "n"]

    def __init__(self, weekday, n=None):
        self.weekday = weekday
        self.n = n

    def __call__(self, n):
        if n == self.n:
            return self
        return self.__class__(self.weekday, n)

    def __eq__(self, other):
        try:
            return self.weekday == other.weekday and self.n == other.n
        except AttributeError:
            return False

    def __hash__(self):
        return hash((self.weekday, self.n))

    def __ne__(self, other):
        return not (self == other)

    def __repr__(self):
        name = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")[self.weekday]
        return name if not self.n else f"{name}({self.n:+d})"
