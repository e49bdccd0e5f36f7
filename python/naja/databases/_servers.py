"""Connections to servers on an event loop: opened, lent, cleaned, closed.

A `Session` is one connection, whose `link` speaks on the wire; a `Pool` lends sessions, one user at a time. What was
left in the middle is cleaned before anybody else has it, or closed.
"""

import asyncio
import collections
import inspect
import logging
import os
import typing
import weakref

from naja import _tls

logger = logging.getLogger("databases")

# What `link.condition` adds up.
OPEN, BUSY, IN_TRANSACTION, TRACES = 1, 2, 4, 8

# How long a statement that is to end may take for it, before the connection is given up.
_PATIENCE_S = 10.0

# How long `disconnect` waits for connections that somebody has.
_PATIENCE_AT_END_S = 60.0

_SSL_REQUEST = bytes((0, 0, 0, 8, 4, 210, 22, 47))

# Counts forks: the connections of a parent are none of its child's.
_forks = 0


def _forked():
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_forked)


class Target:
    """How one server is connected to."""

    def __init__(
        self, make_link, encryption: _tls.Encryption, timeout_s: typing.Optional[float], password: typing.Any
    ) -> None:
        # Makes a link and its options for a loop, a mode of encryption and a password.
        self._make_link = make_link
        self._encryption = encryption
        self._timeout_s = timeout_s
        # Or a function that gives it, or a coroutine of it.
        self._password = password

    async def open(self) -> "Session":
        """Connects and logs in."""
        return await asyncio.wait_for(self._open(), self._timeout_s)

    async def _open(self) -> "Session":
        mode = self._encryption.mode
        if mode != "allow":
            return await self._open_as(mode)
        try:
            return await self._open_as("disable")
        except Exception as error:
            # The server lets nobody in without encryption.
            if getattr(error, "sqlstate", getattr(error, "pgcode", None)) != "28000":
                raise
            return await self._open_as("require")

    async def _open_as(self, mode: str) -> "Session":
        loop = asyncio.get_running_loop()
        password = self._password() if callable(self._password) else self._password
        if inspect.isawaitable(password):
            password = await password
        link, options = self._make_link(loop, mode, password)
        transport = opened = None
        try:
            if options.path is not None:
                transport, _ = await loop.create_unix_connection(lambda: link, options.path)
            else:
                transport, _ = await loop.create_connection(lambda: link, *options.address)
            encrypted = await link.opened() == "tls"
            if encrypted:
                opened = link.opened()
                context, host = self._encryption.context, options.address[0]
                transport = await loop.start_tls(transport, link, context, server_hostname=host)
                certificate = transport.get_extra_info("ssl_object").getpeercert(True)
                link.encrypted(transport, _tls.end_point(certificate))
                await opened
        except BaseException:
            if opened is not None:
                # Nobody waits for it any more.
                opened.cancel()
            link.abort()
            if transport is not None:
                transport.abort()
            raise
        return Session(link, self, options, self._encryption.context if encrypted else None)


class Session:
    """One connection."""

    __slots__ = ("link", "target", "options", "context", "cancelling", "idle_since", "stands", "__weakref__")

    def __init__(self, link, target, options, context) -> None:
        self.link = link
        self.target = target
        self.options = options
        self.context = context
        # The task that asks the server to end a statement.
        self.cancelling: typing.Optional[asyncio.Task] = None
        self.idle_since = 0.0
        # What stands for the driver's connection.
        self.stands: typing.Any = None

    def cancel(self, future: asyncio.Future) -> None:
        """Nobody waits for this statement any more: where it runs, the server is asked to end it."""
        link = self.link
        if link.cancel(future) and self.cancelling is None and link.condition & OPEN:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                # The loop is over, and nobody will look at the answer.
                link.abort()
                return
            self.cancelling = loop.create_task(self._cancel())

    async def cancelled(self) -> None:
        """Waits until what was to end has ended: a statement that is sent before may be ended in its place."""
        while (task := self.cancelling) is not None:
            await asyncio.wait((task,))
            if self.cancelling is task:
                self.cancelling = None

    async def _cancel(self) -> None:
        link = self.link
        try:
            await asyncio.wait_for(self._ask_to_cancel(), _PATIENCE_S)
            await asyncio.wait_for(link.idle(), _PATIENCE_S)
        except (Exception, asyncio.CancelledError) as error:
            # Nobody knows what it is doing: it is nobody's any more.
            logger.debug("A connection was given up, since its statement could not be cancelled: %s", error)
            link.abort()
        finally:
            self.cancelling = None

    async def _ask_to_cancel(self) -> None:
        message = self.link.cancelling
        if message is None:
            return
        if isinstance(message, str):
            # A statement, for which another connection logs in.
            other = await self.target.open()
            try:
                await other.link.script(message)
            finally:
                other.link.close()
            return
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        make = lambda: _OneMessage(message, self.context is not None, ended)  # noqa: E731
        if self.options.path is not None:
            transport, protocol = await loop.create_unix_connection(make, self.options.path)
        else:
            transport, protocol = await loop.create_connection(make, *self.options.address)
        try:
            if self.context is not None:
                await protocol.agreed
                host = self.options.address[0]
                transport = await loop.start_tls(transport, protocol, self.context, server_hostname=host)
                transport.write(message)
            # The server closes when it has taken note.
            await ended
        finally:
            transport.abort()

    async def done(self, future: asyncio.Future, timeout_s: typing.Optional[float] = None) -> typing.Any:
        """What a request gives; whoever is cancelled takes its statement along."""
        if timeout_s is not None:
            return await self._done_in_time(future, timeout_s)
        try:
            return await future
        except (asyncio.CancelledError, GeneratorExit):
            self.cancel(future)
            raise

    def forget(self, future: asyncio.Future, cursor: int) -> None:
        """Lets go of a result in its middle."""
        if not future.done():
            # The server goes on: ending it would end the transaction.
            self.link.cancel(future)
            future.cancel()
        if self.link.condition & OPEN:
            self.link.close_cursor(cursor)

    async def _done_in_time(self, future, timeout_s):
        def expire():
            if not future.done():
                self.cancel(future)
                future.set_exception(asyncio.TimeoutError())

        timer = asyncio.get_running_loop().call_later(timeout_s, expire)
        try:
            return await future
        except (asyncio.CancelledError, GeneratorExit):
            self.cancel(future)
            raise
        finally:
            timer.cancel()


class _OneMessage(asyncio.Protocol):
    """Sends one message and sees the end."""

    def __init__(self, message, is_encrypted, ended):
        self._message = message
        self._is_encrypted = is_encrypted
        self._ended = ended
        self.agreed = ended.get_loop().create_future()

    def connection_made(self, transport):
        transport.write(_SSL_REQUEST if self._is_encrypted else self._message)

    def data_received(self, data):
        if not self.agreed.done():
            if data == b"S":
                self.agreed.set_result(None)
            else:
                self.agreed.set_exception(ConnectionError("the server does not offer TLS"))

    def connection_lost(self, error):
        if not self._ended.done():
            self._ended.set_result(None)
        if not self.agreed.done():
            self.agreed.set_exception(ConnectionError("the server closed the connection"))
            # It is not always waited for.
            self.agreed.exception()


class Pool:
    """Sessions of one database on one event loop."""

    def __init__(
        self,
        target: Target,
        *,
        min_size: int,
        max_size: int,
        reset: typing.List[str],
        make_error,
        stand_for,
        max_queries: int = 50000,
        max_idle_s: float = 300.0,
        setup=None,
        init=None,
    ) -> None:
        if max_size <= 0:
            raise ValueError("max_size is expected to be greater than zero")
        if min_size < 0:
            raise ValueError("min_size is expected to be greater or equal to zero")
        if min_size > max_size:
            raise ValueError("min_size is greater than max_size")
        self._target = target
        self._min_size, self._max_size = min_size, max_size
        # What sets a session back for its next user.
        self._reset = reset
        self._make_error = make_error
        # Makes what stands for the driver's connection.
        self._stand_for = stand_for
        self._max_queries, self._max_idle_s = max_queries, max_idle_s
        self._setup, self._init = setup, init
        self._loop: typing.Any = None
        self._fork = _forks
        # The last that came back goes first.
        self._idle: typing.List[Session] = []
        # Sessions that there are, and those that are being opened.
        self._count = 0
        self._all: typing.Any = weakref.WeakSet()
        self._waiters: typing.Deque[asyncio.Future] = collections.deque()
        self._cleaning: typing.Set[asyncio.Task] = set()
        self._is_closing = False
        self._all_closed: typing.Optional[asyncio.Future] = None
        self._sweep: typing.Optional[asyncio.TimerHandle] = None

    async def open(self) -> None:
        """Opens as many sessions as there are to be at least; what is wrong with the address is seen here."""
        self._loop = asyncio.get_running_loop()
        opened = [await self._opened()]
        others = (self._opened() for _ in range(self._min_size - 1))
        opened += await asyncio.gather(*others, return_exceptions=True)
        wrong = [one for one in opened if isinstance(one, BaseException)]
        for session in opened:
            if isinstance(session, Session):
                if wrong:
                    self._drop(session)
                else:
                    self.release(session)
        if wrong:
            raise wrong[0]

    async def _opened(self) -> Session:
        self._count += 1
        try:
            session = await self._target.open()
            self._all.add(session)
            if self._init is not None:
                await self._init(self.stand(session))
        except BaseException:
            self._gone()
            raise
        return session

    def take(self) -> typing.Optional[Session]:
        """A session that is there and ready, without waiting."""
        while self._idle:
            session = self._idle.pop()
            # It may be busy with being set back, which comes before whatever it is asked.
            if session.link.condition & OPEN and self._is_ours():
                return session
            self._drop(session)
        return None

    def _is_ours(self) -> bool:
        if self._fork != _forks:
            raise self._make_error(
                "misuse", "", "this pool belongs to the process that this one was forked from; connect again", {}
            )
        if asyncio.get_running_loop() is not self._loop:
            raise self._make_error("misuse", "", "this pool belongs to another event loop", {})
        return True

    async def acquire(self) -> Session:
        self._is_ours()
        while True:
            if self._is_closing:
                raise self._make_error("misuse", "", "pool is closing", {})
            session = self.take()
            if session is None and self._count < self._max_size:
                session = await self._opened()
            if session is None:
                waiter = self._loop.create_future()
                self._waiters.append(waiter)
                try:
                    session = await waiter
                except BaseException:
                    self._give_up(waiter)
                    raise
                if session is None:
                    continue
            if self._setup is not None:
                try:
                    await self._setup(self.stand(session))
                except BaseException:
                    self.release(session)
                    raise
            return session

    def _give_up(self, waiter: asyncio.Future) -> None:
        if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            session = waiter.result()
            if session is not None:
                self.release(session)
            else:
                self._wake(None)
        else:
            with_it = self._waiters
            if waiter in with_it:
                with_it.remove(waiter)

    def stand(self, session: Session) -> typing.Any:
        """What stands for the driver's connection; the same for a session at all times."""
        if session.stands is None:
            session.stands = self._stand_for(session)
        return session.stands

    @property
    def has_setup(self) -> bool:
        return self._setup is not None

    def release(self, session: Session) -> None:
        """Takes a session back. It is cleaned, or closed, before anybody else has it; nobody waits for that."""
        condition = session.link.condition
        if not condition & OPEN:
            self._drop(session)
        elif condition & BUSY or session.cancelling is not None:
            task = self._loop.create_task(self._clean(session))
            self._cleaning.add(task)
            task.add_done_callback(self._cleaning.discard)
        else:
            self._hand_on(session, condition)

    async def _clean(self, session: Session) -> None:
        try:
            await session.cancelled()
            await asyncio.wait_for(session.link.idle(), _PATIENCE_S)
        except (Exception, asyncio.CancelledError):
            session.link.abort()
        condition = session.link.condition
        if condition & OPEN:
            self._hand_on(session, condition)
        else:
            self._drop(session)

    def _hand_on(self, session: Session, condition: int) -> None:
        if self._is_closing or (self._max_queries and session.link.requests >= self._max_queries):
            self._drop(session)
            return
        if condition & (IN_TRANSACTION | (TRACES if self._reset else 0)):
            undo = ["ROLLBACK"] if condition & IN_TRANSACTION else []
            session.link.reset(";".join(undo + self._reset))
        if not self._wake(session):
            session.idle_since = self._loop.time()
            self._idle.append(session)
            if self._sweep is None and self._max_idle_s and len(self._idle) > self._min_size:
                self._sweep = self._loop.call_later(self._max_idle_s, self._close_unused)

    def _wake(self, session: typing.Optional[Session]) -> bool:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(session)
                return True
        return False

    def _drop(self, session: Session) -> None:
        session.link.close()
        self._gone()

    def _gone(self) -> None:
        self._count -= 1
        if self._is_closing:
            if not self._count and self._all_closed is not None and not self._all_closed.done():
                self._all_closed.set_result(None)
        else:
            # There is room for another.
            self._wake(None)

    def _close_unused(self) -> None:
        self._sweep = None
        until = self._loop.time() - self._max_idle_s
        # The longest unused come first.
        while len(self._idle) > self._min_size and self._idle[0].idle_since <= until:
            self._drop(self._idle.pop(0))
        if len(self._idle) > self._min_size:
            self._sweep = self._loop.call_later(self._max_idle_s, self._close_unused)

    async def close(self) -> None:
        """Closes every session, and waits for those that are in use."""
        self._is_closing = True
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        idle, self._idle = self._idle, []
        if self._fork != _forks:
            return
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(self._make_error("misuse", "", "pool is closing", {}))
        self._waiters.clear()
        for session in idle:
            self._drop(session)
        if self._count:
            self._all_closed = self._loop.create_future()
            try:
                await asyncio.wait_for(self._all_closed, _PATIENCE_AT_END_S)
            except asyncio.TimeoutError:
                logger.warning("%d connections were not given back before `disconnect`, and are given up", self._count)
                for session in list(self._all):
                    session.link.abort()
