"""What a URL says of a database."""

from ._errors import make
from .util import safe_url

# What `urllib.parse` is not loaded for: most URLs have no escapes.
_TRUE = ("1", "true", "yes", "on")


class Place:
    """Where a SQLite database is, and how it is opened."""

    def __init__(self, url):
        scheme, separator, rest = url.partition("://")
        if not separator:
            raise make("ArgumentError", f"Could not parse SQLAlchemy URL from given URL string {safe_url(url)!r}; a URL is `sqlite:///file.db`")
        engine = scheme.partition("+")[0].lower()
        if engine != "sqlite":
            raise make(
                "ArgumentError",
                f"naja.dataset cannot open `{safe_url(url)}`: it speaks SQLite so far, not {engine!r}; the original dataset does",
            )
        rest, _, query = rest.partition("?")
        host, slash, path = rest.partition("/")
        if host:
            raise make(
                "ArgumentError",
                f"Invalid SQLite URL: {safe_url(url)}; valid ones are sqlite:///:memory:, sqlite:///relative/file.db and "
                "sqlite:////absolute/file.db",
            )
        self.options = dict(_pairs(query))
        self.path = _unescaped(path)
        self.schema = self.options.get("schema", self.options.get("searchpath"))
        self.timeout = self._number("timeout", url)
        self.as_uri = self.options.get("uri", "").lower() in _TRUE
        own = ("timeout", "uri", "schema", "searchpath", "check_same_thread", "isolation_level", "detect_types", "cached_statements", "factory")
        others = [f"{name}={value}" for name, value in self.options.items() if name not in own]
        if self.as_uri and others:
            self.path += "?" + "&".join(others)

    @property
    def is_in_memory(self):
        return self.path in ("", ":memory:")

    def _number(self, name, url):
        text = self.options.get(name)
        if text is None:
            return None
        try:
            return float(text)
        except ValueError:
            raise make("ArgumentError", f"`{name}` in {safe_url(url)} is no number: {text!r}") from None


def _pairs(query):
    for pair in query.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            yield _unescaped(name), _unescaped(value)


def _unescaped(text):
    if "%" not in text and "+" not in text:
        return text
    from urllib.parse import unquote

    return unquote(text)
