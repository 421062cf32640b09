"""A WebSocket that follows a log: what there is, an empty text, then message by message.

Rule 1: one cursor, one log. So nothing comes twice at the join, and nothing is missing.
Rule 2: nobody waits for a client who does not read; at the stall limit it is cut.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from functools import partial

from aiohttp import web

from filepipe.channels.channel import READ_SIZE
from filepipe.channels.follower import Follower
from filepipe.errors import BadRequest, FilepipeError, Stalled
from filepipe.protocols.fstream import BINARY, LARGE, SMALL, Messages, farewell
from filepipe.protocols.websocket import Op, frame
from filepipe.web.attendance import Seat, note_cut
from filepipe.web.context import Context
from filepipe.web.stall import Watch
from filepipe.web.websocket import WebSocket

SILENCE = 3.0
"""Seconds without a byte after which a ping is sent."""

MOST_HEARD = 64 * 1024
"""Bytes of a message of a client; all it can say is that it leaves."""


class FollowSocket:
    """One request. `original`: a client whose library knows text only, and reads it badly."""

    def __init__(
        self,
        context: Context,
        request: web.BaseRequest,
        follower: Follower,
        *,
        binary: bool,
        original: bool,
    ) -> None:
        self._context = context
        self._request = request
        self._follower = follower
        self._binary = binary
        self._original = original
        memory = context.service.accountant.memory
        self._fault: FilepipeError | None = None
        self._socket = WebSocket(request, memory, MOST_HEARD, (BINARY,), self._note_fault)
        self._life = asyncio.timeout(None)

    async def serve(self) -> web.StreamResponse:
        """Answer, send to the end of the log or of its session, close."""
        socket, follower = self._socket, self._follower
        await socket.open()
        failure: FilepipeError | None = None
        try:
            with self._context.pumps.counted("out"):
                async with self._heard():
                    await self._send()
        except Stalled:
            note_cut(self._request, follower)
            socket.abort()
            return socket.response
        except FilepipeError as error:
            failure = error
        except ConnectionError:
            return socket.response
        finally:
            socket.settle()
        with contextlib.suppress(Stalled), self._context.pumps.watch_follower() as stall:
            stall.begin()
            await socket.close(*farewell(failure, follower.offset))
        return socket.response

    async def _send(self) -> None:
        follower = self._follower
        join = follower.log.size
        messages = self._messages()
        with self._context.pumps.watch_follower() as stall:
            while follower.offset < join:
                data = await follower.read(min(READ_SIZE, join - follower.offset))
                if not data:
                    break
                await self._write(self._made(messages, data, last=follower.offset >= join), stall)
            await self._write([frame(Op.TEXT, b""), frame(Op.PING, b"")], stall)
            follower.by_record = True
            seat = None if self._original else self._seat(messages)
            while True:
                if seat is not None and not messages.holds:
                    await seat.attend(stall)
                if not (frames := await self._live(messages)):
                    break
                await self._write(frames, stall)

    def _messages(self) -> Messages:
        op: Op | None = None
        if self._binary or self._socket.subprotocol == BINARY:
            op = Op.BINARY
        elif self._original:
            op = Op.TEXT
        return Messages(SMALL if self._socket.subprotocol is None else LARGE, op)

    def _seat(self, messages: Messages) -> Seat:
        request, pumps = self._request, self._context.pumps
        count = partial(pumps.count_out, request)
        ping = frame(Op.PING, b"")
        return Seat(
            request,
            self._follower,
            messages.form,
            messages.of_records,
            count,
            silence=SILENCE,
            sign=ping,
        )

    async def _live(self, messages: Messages) -> list[bytes]:
        """What there is next, or a ping; nothing at the end."""
        follower = self._follower
        frames: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(SILENCE):
                data = await follower.read(READ_SIZE)
        except TimeoutError:
            return [frame(Op.PING, b"")]
        while data:
            frames += self._made(messages, data, last=follower.at_end_of_record)
            size += len(data)
            if size >= READ_SIZE or follower.offset >= follower.log.size:
                break
            data = await follower.read(READ_SIZE)
        return frames

    def _made(self, messages: Messages, data: bytes, *, last: bool) -> list[bytes]:
        if self._original:
            return list(messages.frames(data, last=last))
        return [messages.joined(data, last=last)]

    async def _write(self, frames: Sequence[bytes], stall: Watch) -> None:
        pumps = self._context.pumps
        for data in frames if self._original else [b"".join(frames)]:
            stall.begin()
            await self._socket.send(data)
            stall.end()
            pumps.count_out(self._request, len(data))

    @contextlib.asynccontextmanager
    async def _heard(self) -> AsyncIterator[None]:
        """Listen meanwhile; who says that it leaves, or talks nonsense, ends it."""
        listening = asyncio.create_task(self._listen())
        try:
            async with self._life:
                listening.add_done_callback(lambda task: self._leave())
                yield
        except TimeoutError:
            if not self._life.expired():
                raise
            if self._fault is not None:
                raise self._fault from None
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _listen(self) -> None:
        with contextlib.suppress(BadRequest):
            while isinstance(await self._socket.receive(), tuple):
                pass

    def _note_fault(self, fault: FilepipeError) -> None:
        self._fault = fault
        self._leave()

    def _leave(self) -> None:
        with contextlib.suppress(RuntimeError):  # it is over already
            self._life.reschedule(0.0)
