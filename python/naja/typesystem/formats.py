"""The formats of strings. `Field`s read plain ASCII in Rust; what is left for them here is everything else."""

from __future__ import annotations

import datetime
import ipaddress
import re
import typing
import uuid
from urllib.parse import urlparse

from .base import ValidationError

_DAY = r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d{1,2})(?::(?P<second>\d{1,2})(?:\.(?P<microsecond>\d{1,6})\d{0,6})?)?"
_HEX = "[0-9a-f]"
_NAME = r"[-!#$%&'*+/=?^_`{}|~0-9A-Z]+"
_QUOTED = r'"([\001-\010\013\014\016-\037!#-\[\]-\177]|\\[\001-\011\013\014\016-\177])*'
_LABEL = "[A-Z0-9](?:[A-Z0-9-]{0,61}[A-Z0-9])?"
_OCTET = r"(?:0|25[0-5]|2[0-4]\d|1\d?\d?|[1-9]\d?)"

DATE_REGEX = re.compile(_DAY + "$")
TIME_REGEX = re.compile(_CLOCK)
DATETIME_REGEX = re.compile(_DAY + "[T ]" + _CLOCK + r"(?P<tzinfo>Z|[+-]\d{2}(?::?\d{2})?)?$")
UUID_REGEX = re.compile(f"{_HEX}{{8}}-{_HEX}{{4}}-[1-5]{_HEX}{{3}}-[89ab]{_HEX}{{3}}-{_HEX}{{12}}")
EMAIL_REGEX = re.compile(
    rf"(^{_NAME}(\.{_NAME})*|^{_QUOTED})@(?:{_LABEL}\.)+[A-Z]{{2,63}}(?<!-)\.?$", re.IGNORECASE
)
IPV4_REGEX = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
IPV6_REGEX = re.compile("(?:[a-f0-9]{1,4}:){7}[a-f0-9]{1,4}")


class BaseFormat:
    """What a format has to have. `FORMATS` of `fields` is the table to put a new one into."""

    errors: typing.Dict[str, str] = {}

    def validation_error(self, code: str) -> ValidationError:
        """The error of a code, with its words."""
        return ValidationError(text=self.errors[code].format(**vars(self)), code=code)

    def is_native_type(self, value: typing.Any) -> bool:
        """Whether a value is what the format gives already."""
        raise NotImplementedError

    def validate(self, value: typing.Any) -> typing.Any:
        """What a text stands for."""
        raise NotImplementedError

    def serialize(self, obj: typing.Any) -> typing.Optional[str]:
        """The text that stands for a value."""
        raise NotImplementedError


class _ObjectFormat(BaseFormat):
    """A format whose values are objects of Python's."""

    native: typing.ClassVar[typing.Any] = ()

    def is_native_type(self, value: typing.Any) -> bool:
        return isinstance(value, self.native)

    def serialize(self, obj: typing.Any) -> typing.Optional[str]:
        if obj is None:
            return None
        assert isinstance(obj, self.native), f"{obj!r} is of another type"
        return self.text(obj)

    def text(self, obj: typing.Any) -> str:
        return str(obj)

    def parts(self, pattern: re.Pattern, value: str) -> typing.Dict[str, typing.Optional[str]]:
        """The parts that a text has by its pattern."""
        match = pattern.match(value)
        if match is None:
            raise self.validation_error("format")
        return match.groupdict()

    def made(self, kind: typing.Any, parts: typing.Dict[str, typing.Optional[str]], **others: typing.Any) -> typing.Any:
        """An object of the parts, where it is a real one."""
        numbers = {name: int(part) for name, part in parts.items() if part is not None}
        if parts.get("microsecond"):
            numbers["microsecond"] = int(str(parts["microsecond"]).ljust(6, "0"))
        try:
            return kind(**numbers, **others)
        except ValueError:
            raise self.validation_error("invalid") from None


class DateFormat(_ObjectFormat):
    """`2018-09-14`."""

    errors = {"format": "Must be a valid date format.", "invalid": "Must be a real date."}
    native = datetime.date

    def validate(self, value: typing.Any) -> datetime.date:
        return self.made(datetime.date, self.parts(DATE_REGEX, value))

    def text(self, obj: datetime.date) -> str:
        return obj.isoformat()


class TimeFormat(_ObjectFormat):
    """`09:30:15.25`."""

    errors = {"format": "Must be a valid time format.", "invalid": "Must be a real time."}
    native = datetime.time

    def validate(self, value: typing.Any) -> datetime.time:
        return self.made(datetime.time, self.parts(TIME_REGEX, value))

    def text(self, obj: datetime.time) -> str:
        return obj.isoformat()


class DateTimeFormat(_ObjectFormat):
    """`2018-09-14T09:30:15Z`."""

    errors = {"format": "Must be a valid datetime format.", "invalid": "Must be a real datetime."}
    native = datetime.datetime

    def validate(self, value: typing.Any) -> datetime.datetime:
        parts = self.parts(DATETIME_REGEX, value)
        return self.made(datetime.datetime, parts, tzinfo=self.zone(parts.pop("tzinfo")))

    def zone(self, offset: typing.Optional[str]) -> typing.Optional[datetime.tzinfo]:
        """The zone of an offset as it is written."""
        if offset is None:
            return None
        if offset == "Z":
            return datetime.timezone.utc
        east = datetime.timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:]) if len(offset) > 3 else 0)
        try:
            return datetime.timezone(-east if offset[0] == "-" else east)
        except ValueError:
            raise self.validation_error("invalid") from None

    def text(self, obj: datetime.datetime) -> str:
        text = obj.isoformat()
        return text[:-6] + "Z" if text.endswith("+00:00") else text


class UUIDFormat(_ObjectFormat):
    """`93e19019-c7a6-45fe-8936-f6f4d550f35f`."""

    errors = {"format": "Must be a valid UUID format."}
    native = uuid.UUID

    def validate(self, value: typing.Any) -> uuid.UUID:
        self.parts(UUID_REGEX, value)
        try:
            return uuid.UUID(value)
        except ValueError:
            # Something follows.
            raise self.validation_error("format") from None


class IPAddressFormat(_ObjectFormat):
    """`192.168.1.1`, or eight groups of IPv6."""

    errors = {"format": "Must be a valid IP format.", "invalid": "Must be a real IP."}
    native = (ipaddress.IPv4Address, ipaddress.IPv6Address)

    def validate(self, value: typing.Any) -> typing.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]:
        if not IPV4_REGEX.match(value) and not IPV6_REGEX.match(value):
            raise self.validation_error("format")
        try:
            return ipaddress.ip_address(value)
        except ValueError:
            raise self.validation_error("invalid") from None


class _TextFormat(BaseFormat):
    """A format whose values stay texts."""

    def is_native_type(self, value: typing.Any) -> bool:
        return False

    def serialize(self, obj: typing.Optional[str]) -> typing.Optional[str]:
        return obj


class EmailFormat(_TextFormat):
    """`name@example.org`."""

    errors = {"format": "Must be a valid email format."}

    def validate(self, value: str) -> str:
        if not EMAIL_REGEX.match(value):
            raise self.validation_error("format")
        return value


class URLFormat(_TextFormat):
    """A text with a scheme and a host."""

    errors = {"invalid": "Must be a real URL."}

    def validate(self, value: typing.Any) -> str:
        try:
            parts = urlparse(value)
        except ValueError:
            # Brackets that do not match.
            raise self.validation_error("invalid") from None
        if not (parts.scheme and parts.netloc):
            raise self.validation_error("invalid")
        return str(value)
