"""Kinds of databases that naja does not speak to yet: their options are read, and connecting says what is missing."""

import typing

from ..core import DatabaseURL
from ..interfaces import ConnectionBackend, DatabaseBackend

_BOOLEANS = {"true": True, "false": False}


class AbsentBackend(DatabaseBackend):
    """Reads options as the original's backend does."""

    # What the program asked for, in words.
    _kind = ""

    def __init__(self, database_url: typing.Union[DatabaseURL, str], **options: typing.Any) -> None:
        self._database_url = DatabaseURL(database_url)
        self._options = options

    def _get_connection_kwargs(self) -> dict:
        """What the driver's pool is opened with, beside host and name."""
        raise NotImplementedError()

    def _missing(self) -> NotImplementedError:
        return NotImplementedError(
            f"naja.databases cannot connect to {self._database_url.obscure_password}: it speaks SQLite so far, "
            f"not {self._kind}; the original databases does"
        )

    async def connect(self) -> None:
        raise self._missing()

    async def disconnect(self) -> None:
        pass

    def connection(self) -> ConnectionBackend:
        raise self._missing()


def sized(
    url_options: dict, options: dict, numbers: typing.Dict[str, str], texts: typing.Sequence[str] = ()
) -> dict:
    """Options of a URL under their drivers' names, then the program's; `numbers` maps names to drivers' names."""
    words: dict = {}
    for name, driver_s in numbers.items():
        if name in url_options:
            words[driver_s] = int(url_options[name])
    if "ssl" in url_options:
        words["ssl"] = _BOOLEANS[url_options["ssl"].lower()]
    for name in texts:
        if name in url_options:
            words[name] = url_options[name]
    for name, value in options.items():
        words[numbers.get(name, name)] = value
    return words
