"""SQLAlchemy's types for UUIDs and addresses: loaded for a program that asks for them."""

import ipaddress
import uuid

import sqlalchemy
from sqlalchemy.dialects import postgresql


class _AsText(sqlalchemy.TypeDecorator):
    """Text of a fixed length, except in PostgreSQL, which has a type of its own."""

    impl = sqlalchemy.CHAR
    cache_ok = True

    def load_dialect_impl(self, dialect):
        own = self._in_postgresql() if dialect.name == "postgresql" else sqlalchemy.CHAR(self._length)
        return dialect.type_descriptor(own)


class GUID(_AsText):
    """A `UUID`: its 32 digits, or PostgreSQL's UUID."""

    _length = 32

    @staticmethod
    def _in_postgresql():
        return postgresql.UUID(as_uuid=False)

    def process_bind_param(self, value, dialect):
        if value is None:
            return None
        value = value if isinstance(value, uuid.UUID) else uuid.UUID(value)
        return str(value) if dialect.name == "postgresql" else value.hex

    def process_result_value(self, value, dialect):
        return value if value is None or isinstance(value, uuid.UUID) else uuid.UUID(value)


class GenericIP(_AsText):
    """An address of `ipaddress`: its text, or PostgreSQL's INET."""

    _length = 45

    @staticmethod
    def _in_postgresql():
        return postgresql.INET()

    def process_bind_param(self, value, dialect):
        return None if value is None else str(value)

    def process_result_value(self, value, dialect):
        if value is None or isinstance(value, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
            return value
        return ipaddress.ip_address(value)
