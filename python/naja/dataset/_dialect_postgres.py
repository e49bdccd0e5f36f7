"""SQLAlchemy's dialect of PostgreSQL over our own connections: what a driver has to say of itself."""

from sqlalchemy import types
from sqlalchemy.dialects.postgresql import json
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.engine.interfaces import BindTyping

from . import _dbapi_postgres


def _typed(kind, **names):
    """A type whose values say in the statement what they are, since nothing else may: `SELECT $1::INTEGER`."""
    return type(f"Naja{kind.__name__}", (kind,), {"render_bind_cast": True, "__module__": __name__, **names})


def _nothing_to_do(self, dialect, coltype):
    """Documents come as what is in them."""
    return None


class Dialect(PGDialect):
    """PostgreSQL through `naja.dataset`."""

    driver = "naja"
    supports_statement_cache = True
    supports_server_side_cursors = False
    supports_native_decimal = True
    default_paramstyle = "numeric_dollar"
    bind_typing = BindTyping.RENDER_CASTS

    colspecs = {
        **PGDialect.colspecs,
        **{
            kind: _typed(kind)
            for kind in (
                types.Integer,
                types.SmallInteger,
                types.BigInteger,
                types.Boolean,
                types.Date,
                types.DateTime,
                types.Time,
                types.String,
                types.LargeBinary,
            )
        },
        types.JSON: _typed(json.JSON, result_processor=_nothing_to_do),
        json.JSON: _typed(json.JSON, result_processor=_nothing_to_do),
        json.JSONB: _typed(json.JSONB, result_processor=_nothing_to_do),
    }

    @classmethod
    def import_dbapi(cls):
        return _dbapi_postgres

    def is_disconnect(self, error, connection, cursor):
        # A connection here is none of its own: naja makes a new one where the old one is gone.
        return False
