"""X-Forward-Url: an upload goes on to another server while it is stored.

The target is fed by a reader of the channel, so however slow or dead it is, neither the upload nor
another reader waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus

import aiohttp
import yarl

from filepipe.channels.channel import Channel, Reader
from filepipe.errors import Forbidden, ForwardFailed
from filepipe.gate import Gate
from filepipe.protocols.forwarding import ForwardRules


class Forwarder:
    """Sends channels to the targets that the rules allow; `stall` in seconds."""

    def __init__(self, rules: ForwardRules, stall: float) -> None:
        self._rules = rules
        self._stall = stall

    def check(self, url: str) -> None:
        """Refuse a target before anything is stored. Raises `Forbidden` or `BadRequest`."""
        self._rules.check_url(url)

    async def forward(self, channel: Channel, url: str) -> None:
        """PUT the channel's bytes to `url`. Raises `ForwardFailed` or `Forbidden`.

        Content-Type and Content-Length are carried on, so that a presigned URL works.
        """
        gate = Gate(self._rules)
        try:
            with Reader(channel) as reader:
                await self._put(_Body(reader), url, gate)
        except TimeoutError as error:
            raise ForwardFailed("forward failed: the target stalled") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if gate.shut:
                raise Forbidden("forwarding to this target is not allowed") from error
            raise ForwardFailed(f"forward failed: {_reason(error)}") from error

    async def _put(self, body: _Body, url: str, gate: Gate) -> None:
        # encoded: a presigned URL must arrive as it was signed
        target = yarl.URL(url, encoded=True)
        gate.host = target.raw_host or ""
        headers = _headers(body.channel)
        async with asyncio.timeout(self._stall) as patience, gate.session() as session:
            chunks = body.chunks(patience, self._stall)
            async with session.put(
                target, data=chunks, headers=headers, allow_redirects=False
            ) as response:
                status = response.status
                whole = body.sent
        if not 200 <= status < 300:
            raise ForwardFailed(f"forward failed: {status} {_phrase(status)}".rstrip())
        if not whole:
            raise ForwardFailed("forward failed: the target answered before it had the whole body")


class _Body:
    """What the target is sent; `sent` once that is all, so that no answer is believed before."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._sent = 0
        self._ended = False

    @property
    def channel(self) -> Channel:
        """The channel whose bytes they are."""
        return self._reader.channel

    @property
    def sent(self) -> bool:
        """Whether the last byte was written, and the target can know that it was the last."""
        return self._ended or self._sent == self.channel.meta.length

    async def chunks(self, patience: asyncio.Timeout, stall: float) -> AsyncIterator[bytes]:
        """The bytes as they come; `patience` runs out only while it is the target's turn."""
        clock = asyncio.get_running_loop().time
        patience.reschedule(None)
        while chunk := await self._reader.read():
            patience.reschedule(clock() + stall)
            yield chunk
            patience.reschedule(None)
            self._sent += len(chunk)
        self._ended = True
        patience.reschedule(clock() + stall)


def _headers(channel: Channel) -> dict[str, str]:
    meta = channel.meta
    headers = {}
    if meta.length is not None:
        headers["Content-Length"] = str(meta.length)
    if meta.content_type is not None:
        headers["Content-Type"] = meta.content_type
    if meta.content_encoding is not None:
        headers["Content-Encoding"] = meta.content_encoding
    return headers


def _phrase(status: int) -> str:
    """The usual words for a status; those of the target are not repeated to anybody."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _reason(error: Exception) -> str:
    """A word on the failure that names neither the URL nor what the target said."""
    if isinstance(error, (aiohttp.ClientConnectorError, ValueError)):  # or not a usable URL at all
        return "the target cannot be reached"
    return "the target broke the connection"
