"""What the client asks of aiohttp: its session, its sockets, and its errors in our words."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator, MutableSet
from contextlib import contextmanager
from typing import Any, Final

import aiohttp
from aiohttp.connector import Connection
from yarl import URL

from filepipe import __version__
from filepipe.client.address import without_secrets
from filepipe.client.errors import BadAddress, ClientError, Interrupted, Unreachable

# Who knows no 100 Continue must get the body all the same (RFC 9110, 10.1.1); curl waits as long.
CONTINUE_SECONDS: Final = 1.0
# A POST is invited when somebody is there to take it. What is sent before lies in the buffers of
# the way, and progress would count it; so we wait longer than a server waits of its own accord.
MEETING_SECONDS: Final = 75.0

# A peer that vanished without a word is noticed in two minutes, an idle pipe stays open.
_KEEPALIVE: Final = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))


def open_session(
    connect_timeout: float, timeout: float | None, transports: MutableSet[asyncio.Transport]
) -> aiohttp.ClientSession:
    """Open a session that passes bytes as they are and has no deadline for a whole transfer.

    What it talks over is added to `transports`: closing the session alone would leave those open
    whose peers do not take what is still to be sent.
    """

    class Noted(_Request):
        async def send(self, conn: Connection) -> aiohttp.ClientResponse:
            if conn.transport is not None:
                transports.add(conn.transport)
            return await super().send(conn)

    return aiohttp.ClientSession(
        # A connection used twice may have died between: not worth it for a few large bodies.
        connector=aiohttp.TCPConnector(socket_factory=_socket, force_close=True, limit=0),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout, sock_read=timeout),
        headers={
            "User-Agent": f"filepipe/{__version__}",
            # A proxy on the way must not compress: then no offset and no ETag would be true.
            "Accept-Encoding": "identity",
        },
        request_class=Noted,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=True,
        auto_decompress=False,
        read_bufsize=512 * 1024,
    )


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made


class _Request(aiohttp.ClientRequest):
    """A request that does not wait for 100 Continue for ever, as aiohttp's own does."""

    async def write_bytes(self, *args: Any, **options: Any) -> None:
        invited: asyncio.Future[bool] | None = getattr(self, "_continue", None)
        if invited is not None:
            patience = MEETING_SECONDS if self.method == "POST" else CONTINUE_SECONDS
            timer = self.loop.call_later(patience, _set, invited)
            invited.add_done_callback(lambda _: timer.cancel())
        await super().write_bytes(*args, **options)


def _set(invited: asyncio.Future[bool]) -> None:
    if not invited.done():
        invited.set_result(True)


@contextmanager
def our_errors(url: URL) -> Iterator[None]:
    """Turn what aiohttp raises for a request into `Unreachable`, `Interrupted` or `BadAddress`."""
    try:
        yield
    except aiohttp.InvalidURL:
        raise BadAddress("the URL is not one like http://host:3000") from None
    except (aiohttp.ClientError, TimeoutError, ssl.SSLError, ConnectionError) as error:
        raise _translated(error, url) from error


def _translated(error: BaseException, url: URL) -> ClientError:
    where = without_secrets(url).origin()
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return Unreachable(f"cannot reach {where}: {_reason(error)}")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return Unreachable(f"the proxy does not lead to {where}: it answered {error.status}")
    if isinstance(error, aiohttp.ClientResponseError):
        return Unreachable(f"{where} does not speak HTTP")
    if isinstance(error, TimeoutError):
        return Interrupted("the server was silent for too long", 0)
    return Interrupted("the connection broke", 0)


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no connection in time"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not trusted ({error.certificate_error})"
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, socket.gaierror):
        return cause.strerror or "no such host"
    if isinstance(cause, ssl.SSLError):  # its number is one of OpenSSL's
        return f"TLS failed: {(cause.reason or str(cause)).replace('_', ' ').lower()}"
    number = getattr(cause, "errno", None)
    return os.strerror(number) if number else str(cause)
