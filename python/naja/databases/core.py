"""`Database`, its connections and transactions, and what a URL says."""

import asyncio
import contextlib
import functools
import logging
import typing
import weakref
from contextvars import ContextVar
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from .importer import import_from_string
from .interfaces import DONE, DatabaseBackend, Record, Text, TransactionBackend

# For log formatters that show colours, as uvicorn's do.
LOG_EXTRA = {"color_message": "Query: \x1b[1m%s\x1b[0m Args: %s"}
CONNECT_EXTRA = {"color_message": "Connected to database \x1b[1m%s\x1b[0m"}
DISCONNECT_EXTRA = {"color_message": "Disconnected from database \x1b[1m%s\x1b[0m"}

logger = logging.getLogger("databases")

# The transactions that a task has begun, or inherited from the task that made it.
_ACTIVE_TRANSACTIONS: ContextVar[typing.Optional["weakref.WeakKeyDictionary[Transaction, TransactionBackend]"]] = (
    ContextVar("databases:active_transactions", default=None)
)

# SQL in text, or an expression of SQLAlchemy's.
_Query = typing.Any
_Values = typing.Optional[dict]


class Database:
    """A database by its URL; each task that uses it has a connection of its own.

    With `force_rollback`, everybody shares one connection, in a transaction that is undone by `disconnect`: for tests.
    Other options go to the kind of database.
    """

    SUPPORTED_BACKENDS = {
        "postgresql": f"{__package__}.backends.postgres:PostgresBackend",
        "postgresql+aiopg": f"{__package__}.backends.aiopg:AiopgBackend",
        "postgres": f"{__package__}.backends.postgres:PostgresBackend",
        "mysql": f"{__package__}.backends.mysql:MySQLBackend",
        "mysql+asyncmy": f"{__package__}.backends.asyncmy:AsyncMyBackend",
        "sqlite": f"{__package__}.backends.sqlite:SQLiteBackend",
    }

    _connection_map: "weakref.WeakKeyDictionary[asyncio.Task, Connection]"

    def __init__(
        self, url: typing.Union[str, "DatabaseURL"], *, force_rollback: bool = False, **options: typing.Any
    ) -> None:
        self.url = DatabaseURL(url)
        self.options = options
        self.is_connected = False
        self._connection_map = weakref.WeakKeyDictionary()
        self._force_rollback = force_rollback
        backend = import_from_string(self._get_backend())
        assert issubclass(backend, DatabaseBackend)
        self._backend = backend(self.url, **options)
        self._at_once = self._backend.at_once()
        self._global_connection: typing.Optional[Connection] = None
        self._global_transaction: typing.Optional[Transaction] = None

    @property
    def _current_task(self) -> asyncio.Task:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("No currently active asyncio.Task found")
        return task

    @property
    def _connection(self) -> typing.Optional["Connection"]:
        return self._connection_map.get(self._current_task)

    @_connection.setter
    def _connection(self, connection: typing.Optional["Connection"]) -> None:
        if connection is None:
            self._connection_map.pop(self._current_task, None)
        else:
            self._connection_map[self._current_task] = connection

    async def connect(self) -> None:
        """Makes the database ready; nothing where it is."""
        if self.is_connected:
            logger.debug("Already connected, skipping connection")
            return
        await self._backend.connect()
        logger.info("Connected to database %s", self.url.obscure_password, extra=CONNECT_EXTRA)
        self.is_connected = True
        if self._force_rollback:
            assert self._global_connection is None and self._global_transaction is None
            connection = Connection(self, self._backend)
            transaction = connection.transaction(force_rollback=True)
            try:
                await transaction.__aenter__()
            except BaseException:
                self.is_connected = False
                await self._backend.disconnect()
                raise
            self._global_connection, self._global_transaction = connection, transaction

    async def disconnect(self) -> None:
        """Closes every connection that nobody uses; nothing where none was made."""
        if not self.is_connected:
            logger.debug("Already disconnected, skipping disconnection")
            return
        if self._global_transaction is not None:
            transaction, self._global_transaction = self._global_transaction, None
            try:
                await transaction.__aexit__()
            finally:
                self._global_connection = None
        else:
            self._connection = None
        await self._backend.disconnect()
        logger.info("Disconnected from database %s", self.url.obscure_password, extra=DISCONNECT_EXTRA)
        self.is_connected = False

    async def __aenter__(self) -> "Database":
        await self.connect()
        return self

    async def __aexit__(self, exc_type=None, exc_value=None, traceback=None) -> None:
        await self.disconnect()

    async def fetch_all(self, query: _Query, values: _Values = None) -> typing.List[Record]:
        """Every row."""
        if self._at_once is not None and self._is_free():
            rows = self._at_once.fetch_all(query, values)
            if rows is not NotImplemented:
                if self._at_once.is_due():
                    await asyncio.sleep(0)
                return rows
        async with self.connection() as connection:
            return await connection.fetch_all(query, values)

    async def fetch_one(self, query: _Query, values: _Values = None) -> typing.Optional[Record]:
        """The first row, or None."""
        if self._at_once is not None and self._is_free():
            row = self._at_once.fetch_one(query, values)
            if row is not NotImplemented:
                if self._at_once.is_due():
                    await asyncio.sleep(0)
                return row
        async with self.connection() as connection:
            return await connection.fetch_one(query, values)

    async def fetch_val(self, query: _Query, values: _Values = None, column: typing.Any = 0) -> typing.Any:
        """A value of the first row, or None."""
        if self._at_once is not None:
            row = await self.fetch_one(query, values)
            return None if row is None else row[column]
        async with self.connection() as connection:
            return await connection.fetch_val(query, values, column=column)

    async def execute(self, query: _Query, values: _Values = None) -> typing.Any:
        """The id of the last new row; where there was none, how many rows were changed."""
        async with self.connection() as connection:
            return await connection.execute(query, values)

    async def execute_many(self, query: _Query, values: list) -> None:
        """Runs a query once for each set of values."""
        async with self.connection() as connection:
            return await connection.execute_many(query, values)

    async def iterate(self, query: _Query, values: _Values = None) -> typing.AsyncGenerator[typing.Any, None]:
        """The rows one by one, read as they are asked for."""
        async with self.connection() as connection:
            async with contextlib.aclosing(connection.iterate(query, values)) as records:
                async for record in records:
                    yield record

    def connection(self) -> "Connection":
        """The current task's connection; with `force_rollback`, everybody's."""
        if self._global_connection is not None:
            return self._global_connection
        task = self._current_task
        connection = self._connection_map.get(task)
        if connection is None:
            connection = self._connection_map[task] = Connection(self, self._backend)
            connection._owner = weakref.ref(task)
        return connection

    def _is_free(self) -> bool:
        """Whether a query of the current task would take a connection and give it back at once."""
        return self._global_connection is None and self._current_task not in self._connection_map

    def _forget(self, connection: "Connection") -> None:
        # Whoever released it may be another task: the loop closes generators in tasks of its own.
        owner = connection._owner()
        if owner is not None and self._connection_map.get(owner) is connection:
            del self._connection_map[owner]

    def transaction(self, *, force_rollback: bool = False, **kwargs: typing.Any) -> "Transaction":
        """A transaction: for `async with`, as a decorator, or to be awaited and ended by hand."""
        return Transaction(self.connection, force_rollback=force_rollback, **kwargs)

    @contextlib.contextmanager
    def force_rollback(self) -> typing.Iterator[None]:
        """Within it, `connect` and `disconnect` undo what is done between them."""
        before, self._force_rollback = self._force_rollback, True
        try:
            yield
        finally:
            self._force_rollback = before

    def _get_backend(self) -> str:
        known = self.SUPPORTED_BACKENDS
        place = known.get(self.url.scheme) or known.get(self.url.dialect)
        if place is None:
            raise KeyError(f"{self.url.dialect!r} is no kind of database; there are {', '.join(sorted(known))}")
        return place


class Connection:
    """A connection, acquired while somebody is within its `async with`."""

    def __init__(self, database: Database, backend: DatabaseBackend) -> None:
        self._database = database
        self._backend = backend
        # Made when somebody has to wait: most connections run one query.
        self._connection_lock: typing.Optional[asyncio.Lock] = None
        self._connection = backend.connection()
        self._connection_counter = 0
        self._transaction_lock: typing.Optional[asyncio.Lock] = None
        self._transaction_stack: typing.List[Transaction] = []
        # What each of them has begun: whoever ends one may be a task that does not know it.
        self._begun: typing.List[TransactionBackend] = []
        # The task whose connection it is.
        self._owner: typing.Callable[[], typing.Optional[asyncio.Task]] = lambda: None

    async def __aenter__(self) -> "Connection":
        lock = self._connection_lock
        if lock is None or not lock.locked():
            # Where it is acquired, nobody is about to release it.
            if not self._connection_counter:
                acquiring = self._connection.acquire()
                if acquiring is not DONE:
                    async with self._exclusively():
                        await acquiring
                        self._connection_counter = 1
                    return self
            self._connection_counter += 1
            return self
        async with lock:
            if not self._connection_counter:
                await self._connection.acquire()
            self._connection_counter += 1
        return self

    async def __aexit__(self, exc_type=None, exc_value=None, traceback=None) -> None:
        lock = self._connection_lock
        if lock is None or not lock.locked():
            self._connection_counter -= 1
            if self._connection_counter:
                return
            releasing = self._connection.release()
            if releasing is DONE:
                self._database._forget(self)
                return
            async with self._exclusively():
                try:
                    await releasing
                finally:
                    self._database._forget(self)
            return
        # A task that is cancelled while it waits here has to give back its share all the same.
        try:
            await lock.acquire()
        except asyncio.CancelledError:
            self._connection_counter -= 1
            raise
        try:
            self._connection_counter -= 1
            if not self._connection_counter:
                try:
                    await self._connection.release()
                finally:
                    self._database._forget(self)
        finally:
            lock.release()

    def _exclusively(self) -> asyncio.Lock:
        """For who acquires or releases it and has to wait."""
        if self._connection_lock is None:
            self._connection_lock = asyncio.Lock()
        return self._connection_lock

    async def fetch_all(self, query: _Query, values: _Values = None) -> typing.List[Record]:
        return await self._connection.fetch_all(self._build_query(query, values))

    async def fetch_one(self, query: _Query, values: _Values = None) -> typing.Optional[Record]:
        return await self._connection.fetch_one(self._build_query(query, values))

    async def fetch_val(self, query: _Query, values: _Values = None, column: typing.Any = 0) -> typing.Any:
        return await self._connection.fetch_val(self._build_query(query, values), column)

    async def execute(self, query: _Query, values: _Values = None) -> typing.Any:
        return await self._connection.execute(self._build_query(query, values))

    async def execute_many(self, query: _Query, values: list) -> None:
        many = getattr(self._connection, "execute_text_many", None)
        if many is not None and values and isinstance(query, str):
            await many(query, [one if one is None or isinstance(one, dict) else dict(one) for one in values])
            return
        await self._connection.execute_many([self._build_query(query, one) for one in values])

    async def iterate(self, query: _Query, values: _Values = None) -> typing.AsyncGenerator[typing.Any, None]:
        built = self._build_query(query, values)
        async with self.transaction() if self._connection.iterates_in_transaction else contextlib.nullcontext():
            # Closed here, and not whenever it is collected: the transaction ends after its rows.
            async with contextlib.aclosing(self._connection.iterate(built)) as records:
                async for record in records:
                    yield record

    def transaction(self, *, force_rollback: bool = False, **kwargs: typing.Any) -> "Transaction":
        return Transaction(lambda: self, force_rollback, **kwargs)

    def _transactions(self) -> asyncio.Lock:
        """For who begins or ends one."""
        if self._transaction_lock is None:
            self._transaction_lock = asyncio.Lock()
        return self._transaction_lock

    @property
    def raw_connection(self) -> typing.Any:
        """The driver's own connection, or what stands for it."""
        return self._connection.raw_connection

    @staticmethod
    def _build_query(query: _Query, values: _Values = None) -> typing.Any:
        if isinstance(query, str):
            return Text(query, values if values is None or isinstance(values, dict) else dict(values))
        if not hasattr(query, "compile"):
            raise TypeError(f"a query is SQL in text, or an expression of SQLAlchemy's, and not {type(query).__name__!r}")
        return query.values(**values) if values else query


_CallableType = typing.TypeVar("_CallableType", bound=typing.Callable)


class Transaction:
    """A transaction of a connection, or a savepoint where there is one already."""

    def __init__(
        self, connection_callable: typing.Callable[[], Connection], force_rollback: bool, **kwargs: typing.Any
    ) -> None:
        self._connection_callable = connection_callable
        self._force_rollback = force_rollback
        self._extra_options = kwargs

    @property
    def _connection(self) -> Connection:
        return self._connection_callable()

    @property
    def _transaction(self) -> typing.Optional[TransactionBackend]:
        transactions = _ACTIVE_TRANSACTIONS.get()
        return None if transactions is None else transactions.get(self)

    @_transaction.setter
    def _transaction(self, transaction: typing.Optional[TransactionBackend]) -> None:
        transactions = _ACTIVE_TRANSACTIONS.get()
        # A new dictionary: the one that there is may be seen by other tasks.
        transactions = weakref.WeakKeyDictionary() if transactions is None else transactions.copy()
        if transaction is None:
            transactions.pop(self, None)
        else:
            transactions[self] = transaction
        _ACTIVE_TRANSACTIONS.set(transactions)

    async def __aenter__(self) -> "Transaction":
        await self.start()
        return self

    async def __aexit__(self, exc_type=None, exc_value=None, traceback=None) -> None:
        if exc_type is not None or self._force_rollback:
            await self.rollback()
        else:
            await self.commit()

    def __await__(self) -> typing.Generator[None, None, "Transaction"]:
        return self.start().__await__()

    def __call__(self, func: _CallableType) -> _CallableType:
        @functools.wraps(func)
        async def within(*args: typing.Any, **kwargs: typing.Any) -> typing.Any:
            async with self:
                return await func(*args, **kwargs)

        return within  # type: ignore[return-value]

    async def start(self) -> "Transaction":
        connection = self._connection
        transaction = connection._connection.transaction()
        self._transaction = transaction
        try:
            async with connection._transactions():
                is_root = not connection._transaction_stack
                await connection.__aenter__()
                try:
                    await transaction.start(is_root=is_root, extra_options=self._extra_options)
                except BaseException:
                    await connection.__aexit__()
                    raise
                connection._transaction_stack.append(self)
                connection._begun.append(transaction)
        except BaseException:
            self._transaction = None
            raise
        return self

    async def commit(self) -> None:
        await self._end("commit")

    async def rollback(self) -> None:
        await self._end("rollback")

    async def _end(self, how: str) -> None:
        connection = self._connection
        async with connection._transactions():
            assert connection._transaction_stack[-1] is self, "a transaction within this one is not ended yet"
            connection._transaction_stack.pop()
            transaction = connection._begun.pop()
            # Whatever becomes of it, it is over, and the connection is given back.
            try:
                await getattr(transaction, how)()
            finally:
                self._transaction = None
                await connection.__aexit__()


class _EmptyNetloc(str):
    # It counts as there, so that a URL keeps its `//`.
    def __bool__(self) -> bool:
        return True


class DatabaseURL:
    """A URL and its parts: `dialect+driver://username:password@hostname:port/database?options`."""

    def __init__(self, url: typing.Union[str, "DatabaseURL"]) -> None:
        if isinstance(url, DatabaseURL):
            self._url: str = url._url
        elif isinstance(url, str):
            self._url = url
        else:
            raise TypeError(f"Invalid type for DatabaseURL. Expected str or DatabaseURL, got {type(url)}")

    @functools.cached_property
    def components(self) -> SplitResult:
        return urlsplit(self._url)

    @property
    def scheme(self) -> str:
        return self.components.scheme

    @property
    def dialect(self) -> str:
        return self.scheme.partition("+")[0]

    @property
    def driver(self) -> str:
        return self.scheme.partition("+")[2]

    @property
    def userinfo(self) -> typing.Optional[bytes]:
        username, password = self.components.username, self.components.password
        if not username:
            return None
        return (f"{username}:{password}" if password else username).encode()

    @property
    def username(self) -> typing.Optional[str]:
        username = self.components.username
        return None if username is None else unquote(username)

    @property
    def password(self) -> typing.Optional[str]:
        password = self.components.password
        return None if password is None else unquote(password)

    @property
    def hostname(self) -> typing.Optional[str]:
        return self.components.hostname or self.options.get("host") or self.options.get("unix_sock")

    @property
    def port(self) -> typing.Optional[int]:
        return self.components.port

    @property
    def netloc(self) -> typing.Optional[str]:
        return self.components.netloc

    @property
    def database(self) -> str:
        return unquote(self.components.path.removeprefix("/"))

    @functools.cached_property
    def options(self) -> dict:
        return dict(parse_qsl(self.components.query))

    def replace(self, **kwargs: typing.Any) -> "DatabaseURL":
        """The same URL with other parts; `driver=None` takes the driver away."""
        if not kwargs.keys().isdisjoint(("username", "password", "hostname", "port")):
            parts = self.components
            # A host that the options name stays there.
            host = kwargs.pop("hostname", parts.hostname) or ""
            port = kwargs.pop("port", parts.port)
            username = kwargs.pop("username", parts.username)
            password = kwargs.pop("password", parts.password)
            netloc = host if port is None else f"{host}:{port}"
            if username is not None:
                netloc = (f"{username}@" if password is None else f"{username}:{password}@") + netloc
            kwargs["netloc"] = netloc
        if "database" in kwargs:
            kwargs["path"] = "/" + kwargs.pop("database")
        if "dialect" in kwargs or "driver" in kwargs:
            dialect, driver = kwargs.pop("dialect", self.dialect), kwargs.pop("driver", self.driver)
            kwargs["scheme"] = f"{dialect}+{driver}" if driver else dialect
        if not kwargs.get("netloc", self.netloc):
            kwargs["netloc"] = _EmptyNetloc()
        return type(self)(self.components._replace(**kwargs).geturl())

    @property
    def obscure_password(self) -> str:
        return self.replace(password="********")._url if self.password else self._url

    def __str__(self) -> str:
        return self._url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.obscure_password!r})"

    def __eq__(self, other: typing.Any) -> bool:
        return str(self) == str(other)
