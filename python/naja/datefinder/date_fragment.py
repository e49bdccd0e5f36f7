"""A stretch of text that may be a date."""


class DateFragment:
    """Text, place and parts, as they are collected."""

    def __init__(self):
        self.match_str = ""
        self.indices = (0, 0)
        self.captures = {}

    def __repr__(self):
        captures = ", ".join(f'"{name}": [{parts}]' for name, parts in self.captures.items())
        return f"{self.match_str} [{self.indices[0]}, {self.indices[1]}]\nCaptures: {captures}"

    def get_captures_count(self):
        """The number of parts."""
        return sum(map(len, self.captures.values()))
