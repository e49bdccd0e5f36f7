"""The ``tzdata`` package under the old name of the database that dateutil once shipped. Use ``tz.gettz``."""

import json
import sys
import warnings
from tarfile import TarFile

from .. import _tzdata_impl
from ..tz import tzfile
from ..tz import tzfile as _tzfile

__all__ = ["get_zonefile_instance", "gettz", "gettz_db_metadata"]

ZONEFILENAME = None
METADATA_FN = "METADATA"


def _importer_stacklevel():
    """How far up whoever imports this module is: past the frames of the import system."""
    level, frame = 2, sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name != __name__ and not name.startswith("importlib") and "importlib" not in frame.f_code.co_filename:
            return level
        level, frame = level + 1, frame.f_back
    return 2


warnings.warn(
    "dateutil.zoneinfo is deprecated; use dateutil.tz.gettz or the standard library's zoneinfo",
    DeprecationWarning,
    stacklevel=_importer_stacklevel() - 1,
)


class ZoneInfoFile:
    """All zones of the ``tzdata`` package, or of a tarball of the kind that dateutil once shipped."""

    def __init__(self, zonefile_stream=None):
        if zonefile_stream is None:
            self._eager_load_tzdata()
        else:
            self._load_legacy_zonefile_stream(zonefile_stream)

    def _eager_load_tzdata(self):
        import tzdata

        self.zones = {}
        for key in _tzdata_impl._load_tzdata_keys():
            with _tzdata_impl._load_tzdata(key) as stream:
                self.zones[key] = _tzfile(stream, key=key)
        self.metadata = {"metadata_version": "3.0", "tzversion": tzdata.IANA_VERSION}

    def _load_legacy_zonefile_stream(self, zonefile_stream):
        with TarFile.open(fileobj=zonefile_stream) as archive:
            members = archive.getmembers()
            self.zones = {
                member.name: _tzfile(archive.extractfile(member), filename=member.name)
                for member in members
                if member.isfile() and member.name != METADATA_FN
            }
            for member in members:
                if member.islnk() or member.issym():
                    self.zones[member.name] = self.zones[member.linkname]
            self.metadata = None
            if METADATA_FN in archive.getnames():
                self.metadata = json.loads(archive.extractfile(METADATA_FN).read().decode("utf-8"))

    def get(self, name, default=None):
        """The zone with a name."""
        return self.zones.get(name, default)


# The one instance, in a list because callers of the original put another there.
_CLASS_ZONE_INSTANCE = []


def get_zonefile_instance(new_instance=False):
    """All zones of the package, read once."""
    instance = None if new_instance else getattr(get_zonefile_instance, "_cached_instance", None)
    if instance is None:
        instance = get_zonefile_instance._cached_instance = ZoneInfoFile()
    return instance


def _instance():
    if not _CLASS_ZONE_INSTANCE:
        _CLASS_ZONE_INSTANCE.append(ZoneInfoFile())
    return _CLASS_ZONE_INSTANCE[0]


def gettz(name):
    """A zone of the package. Use ``tz.gettz``."""
    warnings.warn("zoneinfo.gettz is deprecated; use tz.gettz", DeprecationWarning, stacklevel=2)
    return _instance().zones.get(name)


def gettz_db_metadata():
    """The version of the database."""
    warnings.warn(
        "zoneinfo.gettz_db_metadata is deprecated; see zoneinfo.get_zonefile_instance().metadata",
        DeprecationWarning,
        stacklevel=2,
    )
    return _instance().metadata
