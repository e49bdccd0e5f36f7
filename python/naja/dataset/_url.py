"""What a URL says of a database: one class for each engine."""

from naja._native import db as _db

from ._errors import make
from .util import safe_url

# What `urllib.parse` is not loaded for: most URLs have no escapes.
_TRUE = ("1", "true", "yes", "on")

# How long a statement waits for a lock of another connection, as Python's `sqlite3` does.
_PATIENCE_S = 5.0


def place_of(url, arguments):
    """Where the database of a URL is; `arguments` are what the program would give to its driver."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise make("ArgumentError", f"Could not parse SQLAlchemy URL from given URL string {safe_url(url)!r}; a URL is `sqlite:///file.db`")
    engine = scheme.partition("+")[0].lower()
    place = _PLACES.get(engine)
    if place is None:
        raise make(
            "ArgumentError",
            f"naja.dataset cannot open `{safe_url(url)}`: it speaks SQLite, PostgreSQL, MySQL and MariaDB, not {engine!r}; the "
            "original dataset may",
        )
    return place(url, rest, arguments)


class SqlitePlace:
    """A file, or memory."""

    engine = "sqlite"

    def __init__(self, url, rest, arguments):
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
        timeout = self._number("timeout", url)
        self.patience_s = float(timeout if timeout is not None else arguments.get("timeout", _PATIENCE_S))
        self.as_uri = self.options.get("uri", "").lower() in _TRUE
        own = ("timeout", "uri", "schema", "searchpath", "check_same_thread", "isolation_level", "detect_types", "cached_statements", "factory")
        others = [f"{name}={value}" for name, value in self.options.items() if name not in own]
        if self.as_uri and others:
            self.path += "?" + "&".join(others)
        self.as_uri |= bool(arguments.get("uri"))

    def connections(self, on_connect):
        return _db.Engine.sqlite(
            self.path or ":memory:",
            as_uri=self.as_uri,
            patience_s=self.patience_s,
            on_connect=on_connect,
            make_error=make,
        )

    def _number(self, name, url):
        text = self.options.get(name)
        if text is None:
            return None
        try:
            return float(text)
        except ValueError:
            raise make("ArgumentError", f"`{name}` in {safe_url(url)} is no number: {text!r}") from None


class PostgresPlace:
    """A server. What the URL does not say comes from the variables that libpq knows, such as `PGPASSWORD`."""

    engine = "postgresql"
    path = ""

    def __init__(self, url, rest, arguments):
        rest, _, query = rest.partition("?")
        own = {"schema": None, "searchpath": None}
        options = []
        for pair in query.split("&"):
            name, _, value = pair.partition("=")
            if name in own:
                own[name] = _unescaped(value)
            elif pair:
                options.append(pair)
        # As psycopg takes them; the server's own checks are the URL's.
        options += [f"{_escaped(name)}={_escaped(str(value))}" for name, value in arguments.items() if value is not None]
        self.schema = own["schema"] or own["searchpath"]
        self._url = f"postgresql://{rest}{'?' if options else ''}{'&'.join(options)}"

    def connections(self, on_connect):
        return _db.Engine.postgres(self._url, on_connect=on_connect, make_error=make)


class MysqlPlace:
    """A server of MySQL or MariaDB. What the URL does not say comes from `MYSQL_HOST` and its kin."""

    engine = "mysql"
    path = ""

    def __init__(self, url, rest, arguments):
        rest, _, query = rest.partition("?")
        own = {"schema": None, "searchpath": None}
        options = []
        for pair in query.split("&"):
            name, _, value = pair.partition("=")
            if name in own:
                own[name] = _unescaped(value)
            elif pair:
                options.append(pair)
        options += [f"{_escaped(name)}={_escaped(str(value))}" for name, value in arguments.items() if value is not None]
        self.schema = own["schema"] or own["searchpath"]
        self._url = f"mysql://{rest}{'?' if options else ''}{'&'.join(options)}"

    def connections(self, on_connect):
        return _db.Engine.mysql(self._url, on_connect=on_connect, make_error=_make_of_mysql)


def _make_of_mysql(name, message, statement=None, sqlstate=None):
    return make(name, message, statement, sqlstate, driver="_dbapi_mysql")


# The engines by the first part of a URL.
_PLACES = {
    "sqlite": SqlitePlace,
    "postgresql": PostgresPlace,
    "postgres": PostgresPlace,
    "mysql": MysqlPlace,
    "mariadb": MysqlPlace,
}


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


def _escaped(text):
    from urllib.parse import quote

    return quote(text, safe="")
