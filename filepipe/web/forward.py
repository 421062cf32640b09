"""X-Forward-Url: an upload goes on to another server while it is stored.

The target is fed by a reader of the channel, so however slow or dead it is, neither the upload nor
another reader waits for it (specification of file-pipe, section 8, and its defects 3, 8 and 9).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import yarl

from filepipe.channels.channel import Channel, Reader
from filepipe.errors import FilepipeError, Forbidden, ForwardFailed
from filepipe.protocols.forwarding import ForwardRules

CONNECT_TIMEOUT = 10.0


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
        # encoded: a presigned URL must arrive as it was signed
        target = yarl.URL(url, encoded=True)
        gate = Gate(self._rules, target.raw_host or "")
        try:
            with Reader(channel) as reader:
                status, reason = await self._put(channel, reader, target, gate)
        except FilepipeError as error:
            raise ForwardFailed(f"forward failed: {error}") from error
        except TimeoutError as error:
            raise ForwardFailed("forward failed: the target stalled") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if gate.refused:
                raise Forbidden("forwarding to this target is not allowed") from error
            raise ForwardFailed(f"forward failed: {_reason(error)}") from error
        if not 200 <= status < 300:
            raise ForwardFailed(f"forward failed: {status} {reason}")

    async def _put(
        self, channel: Channel, reader: Reader, target: yarl.URL, gate: Gate
    ) -> tuple[int, str]:
        async with asyncio.timeout(None) as stalled:
            loop = asyncio.get_running_loop()

            async def body() -> AsyncIterator[bytes]:
                while chunk := await reader.read():
                    stalled.reschedule(loop.time() + self._stall)
                    yield chunk
                    stalled.reschedule(None)
                stalled.reschedule(loop.time() + self._stall)

            async with (
                _session(gate) as session,
                session.put(
                    target, data=body(), headers=_headers(channel), allow_redirects=False
                ) as response,
            ):
                return response.status, response.reason or ""


class Gate:
    """Makes the sockets of one forward.

    The address of the very connect is checked, whatever a name resolved to before.
    """

    def __init__(self, rules: ForwardRules, host: str) -> None:
        self._rules = rules
        self._host = host
        self.refused = False

    def socket(self, address: Any) -> socket.socket:
        """A socket for `address`, one of getaddrinfo's tuples. Raises OSError if not allowed."""
        family, kind, proto, _, sockaddr = address
        if not self._rules.allows_address(self._host, sockaddr[0]):
            self.refused = True
            raise OSError("not allowed")
        return socket.socket(family, kind, proto)


def _session(gate: Gate) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(socket_factory=gate.socket, limit=1),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
        skip_auto_headers=("User-Agent", "Accept-Encoding"),
        trust_env=False,
        auto_decompress=False,
    )


def _headers(channel: Channel) -> dict[str, str]:
    meta = channel.meta
    headers = {"Content-Type": meta.content_type or "application/octet-stream"}
    if meta.length is not None:
        headers["Content-Length"] = str(meta.length)
    if meta.content_encoding is not None:
        headers["Content-Encoding"] = meta.content_encoding
    return headers


def _reason(error: Exception) -> str:
    """A word on the failure that names neither the URL nor what the target said."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return "the target cannot be reached"
    if isinstance(error, (aiohttp.InvalidURL, ValueError)):
        return "the target's URL cannot be used"
    return "the target broke the connection"
