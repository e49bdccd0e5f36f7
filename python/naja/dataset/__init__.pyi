import os
from collections.abc import Iterable, Mapping
from typing import IO, Any

from . import chunked as chunked
from ._errors import DatabaseError as DatabaseError
from ._errors import DataError as DataError
from ._errors import DatasetError as DatasetError
from ._errors import IntegrityError as IntegrityError
from ._errors import OperationalError as OperationalError
from ._errors import ProgrammingError as ProgrammingError
from ._errors import QueryError as QueryError
from ._errors import StatementError as StatementError
from .database import Database as Database
from .table import Table as Table
from .util import OutRow as OutRow
from .util import RowFactory as RowFactory
from .util import row_factory as row_factory

__version__: str
__all__: list[str]

def connect(
    url: str | None = None,
    schema: str | None = None,
    engine_kwargs: dict[str, Any] | None = None,
    ensure_schema: bool = True,
    row_type: RowFactory = ...,
    sqlite_wal_mode: bool = True,
    on_connect_statements: list[str] | None = None,
) -> Database: ...
def freeze(
    result: Iterable[Mapping[str, Any]],
    format: str = "csv",
    filename: str | None = None,
    fileobj: IO[str] | None = None,
    prefix: str | os.PathLike[str] = ".",
    encoding: str = "utf-8",
    indent: int | None = None,
) -> str | None: ...
