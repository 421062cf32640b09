"""A WebSocket that appends: a message is a record, and its end is the end of a session.

Rule 1: whoever names the subprotocol is told how far its bytes are safe, and has to say that it has
        finished. Of others the end of the connection, between two messages, is their end.
Rule 2: every whole message that arrived is appended, also of a client that is gone meanwhile.
Rule 3: who may be a client that never reads is sent nothing while it appends: what it does not read
        makes its close a reset, which drops what is on its way.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

from filepipe.channels.log import Log
from filepipe.channels.log_session import Session
from filepipe.errors import Broken, Draining, FilepipeError, Stalled, Unprocessable
from filepipe.keys import Key
from filepipe.protocols.appending import Append
from filepipe.protocols.fstream import ACKNOWLEDGED, acknowledgement, farewell
from filepipe.protocols.websocket import Code
from filepipe.web.context import Context
from filepipe.web.exchange import EXCHANGE
from filepipe.web.pumps import interruptible
from filepipe.web.websocket import WebSocket

PING = 3.0
"""Seconds of silence after which a ping is sent."""

SILENCE = 60.0
"""Seconds after which a client that answers no ping is lost, if it named the subprotocol."""

PATIENCE = 30.0
"""Seconds in which a client has to take what it is told at the end."""

STATUS = 101


class Appender:
    """One request, from `serve` on for one log. `quiet`: the client may be one that never reads."""

    _log: Log

    def __init__(
        self, context: Context, request: web.BaseRequest, wish: Append, *, quiet: bool
    ) -> None:
        self._context = context
        self._request = request
        self._wish = wish
        self._quiet = quiet
        self._told = -1
        """The offset that the client was told last."""
        memory = context.service.accountant.memory
        most = context.rules.max_message
        self._socket = WebSocket(request, memory, most, (ACKNOWLEDGED,), self._fault)

    async def serve(self, key: Key) -> web.StreamResponse:
        """Answer, append to the log under `key`, close. Raises `FilepipeError` for a refusal.

        A client that is gone, which ends this task, leaves messages that have still to be read.
        """
        task = asyncio.create_task(self._serve(key))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait({task})
            if not task.cancelled() and task.exception() is None:
                self._request[EXCHANGE].delivered = STATUS
            raise

    async def _serve(self, key: Key) -> web.StreamResponse:
        socket = self._socket
        ttl = self._wish.ttl or self._context.rules.log_ttl
        # from here to the session nothing is awaited, so that who waited for the log sees that
        self._log = await self._context.service.logs.enter(key, None, ttl)
        failure: FilepipeError | None = None
        session = Session(self._log, at=self._wish.offset, durable=self._wish.durable)
        try:
            async with session:
                self._told = session.end
                await self._open(session.end)
                with self._context.pumps.counted("in"):
                    await self._append(session)
        except FilepipeError as error:
            if not socket.is_open:
                raise
            failure = error
        finally:
            socket.settle()
        await self._log.settle()
        end = min(session.end, self._log.size)
        try:
            async with asyncio.timeout(PATIENCE):
                await self._part(failure, end)
        except TimeoutError:
            socket.abort()
        return socket.response

    async def _part(self, failure: FilepipeError | None, end: int) -> None:
        if self._socket.subprotocol is not None and end != self._told:
            with contextlib.suppress(ConnectionError):
                await self._socket.tell(acknowledgement(end))
        await self._socket.close(*farewell(failure, end))

    async def _open(self, end: int) -> None:
        headers = [("Stream-Next-Offset", str(end))]
        if not self._wish.durable:
            headers.append(("Stream-Durability", "async"))
        await self._socket.open(headers)

    async def _append(self, session: Session) -> None:
        async with interruptible(self._log), self._beside():
            while (data := await self._next()) is not None:
                self._context.pumps.note_in(self._request, len(data))
                if data:
                    await session.write((data,))
                else:
                    self._told = -1
                    self._log.wake()
            if self._wish.close:
                await session.close()
            await session.flush()

    async def _next(self) -> bytes | None:
        """The next message; None at the end. Raises `Broken` where the client did not finish."""
        socket = self._socket
        told = socket.subprotocol is not None
        received = await socket.receive()
        if isinstance(received, tuple):
            data, is_text = received
            if is_text and told:
                _check_text(data)
            return data
        if received is None:
            finished = not (told or socket.was_cut)
        else:
            finished = received in (0, Code.OK) or (not told and received == Code.GOING_AWAY)
        if not finished:
            raise Broken("the appender left before it had finished")
        return None

    @contextlib.asynccontextmanager
    async def _beside(self) -> AsyncIterator[None]:
        """Tell the client how far it has come, and see that it is there, meanwhile."""
        tasks = []
        if self._socket.subprotocol is not None:
            tasks.append(asyncio.create_task(self._acknowledge()))
        if not self._quiet:
            tasks.append(asyncio.create_task(self._ping()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _acknowledge(self) -> None:
        log = self._log
        while True:
            while log.size == self._told and not log.draining:
                await log.progress()
            if log.size != self._told:
                self._told = log.size
                await self._socket.tell(acknowledgement(self._told))
            elif log.draining:  # it can go on elsewhere, or later
                self._fault(Draining("server is shutting down"))
                return

    async def _ping(self) -> None:
        socket, log = self._socket, self._log
        while True:
            await asyncio.sleep(PING)
            silence = asyncio.get_running_loop().time() - socket.heard
            if silence < PING:
                continue
            # what waits for our disk is not read, and so not heard
            if socket.subprotocol and silence > SILENCE and log.tip == log.size:
                self._fault(Stalled(f"the appender gave no sign of life for {SILENCE:g} seconds"))
            await socket.ping()

    def _fault(self, error: FilepipeError) -> None:
        if self._log.interrupt is not None:
            self._log.interrupt(error)


def _check_text(data: bytes) -> None:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise Unprocessable("the text is not valid UTF-8, send it as binary") from error
