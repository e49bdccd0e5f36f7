"""Zones from the ``tzdata`` package, for systems that have none of their own."""

import importlib.resources

# What opening a resource raises when there is no such zone, or no such package.
_TZDATA_LOAD_EXCEPTIONS = (ImportError, OSError, UnicodeEncodeError, ValueError)


class TZFileNotFound(ValueError):
    """The ``tzdata`` package has no such zone."""

    def __init__(self, msg, *args, zone_key):
        super().__init__(msg, *args)
        self.zone_key = zone_key


def _open_binary(package, resource):
    return importlib.resources.files(package).joinpath(resource).open("rb")


def _open_text(package, resource):
    return importlib.resources.files(package).joinpath(resource).open("r", encoding="utf-8")


def _is_package_directory(package, resource):
    return importlib.resources.files(package).joinpath(resource).is_dir()


def _load_tzdata(key):
    """An open file of the zone ``key``."""
    *folders, name = key.split("/")
    package = ".".join(["tzdata.zoneinfo", *folders])
    try:
        # A key that is no path of plain names is nobody's zone: importing it could run anything.
        if not name or not all(folder.isidentifier() for folder in folders):
            raise FileNotFoundError(key)
        return _open_binary(package, name)
    except _TZDATA_LOAD_EXCEPTIONS as error:
        raise TZFileNotFound(f"No time zone found with key {key!r}", zone_key=key) from error


def _load_tzdata_keys():
    """The names of all zones in the package; none where it is not installed."""
    try:
        with _open_text("tzdata", "zones") as zones:
            return [line.strip() for line in zones if line.strip()]
    except _TZDATA_LOAD_EXCEPTIONS:
        return []
