"""What we ask of aiohttp."""

import asyncio
import socket
import ssl
from types import SimpleNamespace

import aiohttp
import pytest
from yarl import URL

from filepipe import __version__
from filepipe.client import BadAddress, Interrupted, Unreachable, connection
from filepipe.client.connection import open_session, our_errors
from tests.client.raw_server import raw_server

HERE = URL("http://user:secret@h:3000/key?token=t")


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (aiohttp.InvalidURL("x"), BadAddress, "URL"),
        (aiohttp.ServerDisconnectedError(), Interrupted, "^the connection broke$"),
        (aiohttp.ClientPayloadError(), Interrupted, "^the connection broke$"),
        (ConnectionResetError(), Interrupted, "^the connection broke$"),
        (aiohttp.SocketTimeoutError(), Interrupted, "silent for too long"),
        (aiohttp.ConnectionTimeoutError(), Unreachable, "http://h:3000: no connection in time"),
    ],
)
def test_errors_are_ours(error: Exception, kind: type[Exception], sentence: str) -> None:
    """No exception of aiohttp leaves the client."""
    with pytest.raises(kind, match=sentence) as caught, our_errors(HERE):
        raise error
    assert "secret" not in str(caught.value)
    assert "token" not in str(caught.value)


def test_unknown_host_is_named() -> None:
    """A name that nobody knows is said to be one."""
    missing = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    about = SimpleNamespace(host="h", port=3000, ssl=True, is_ssl=True)
    error = aiohttp.ClientConnectorDNSError(about, missing)  # type: ignore[arg-type]
    with pytest.raises(Unreachable, match="h:3000: Name or service not known"), our_errors(HERE):
        raise error


def test_untrusted_certificate_is_named() -> None:
    """A certificate that is not trusted is the reason, not the network."""
    about = SimpleNamespace(host="h", port=3000, ssl=True, is_ssl=True)
    why = ssl.SSLCertVerificationError(1, "self-signed certificate")
    error = aiohttp.ClientConnectorCertificateError(about, why)  # type: ignore[arg-type]
    with pytest.raises(Unreachable, match="certificate is not trusted"), our_errors(HERE):
        raise error


async def test_a_server_without_tls_is_told_of() -> None:
    """What OpenSSL says of it, not what the number of its error means elsewhere."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with raw_server(refuse) as plain, open_session(10, None, set()) as session:
        url = URL(plain).with_scheme("https")
        with pytest.raises(Unreachable, match=r"TLS failed: .*version"), our_errors(url):
            await session.get(url)


def test_other_errors_pass() -> None:
    """What is not the network's stays what it is."""
    with pytest.raises(FileNotFoundError), our_errors(HERE):
        raise FileNotFoundError


async def test_what_a_request_carries() -> None:
    """The server learns who asks and that nobody may compress; the socket stays alive."""
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, open_session(10, None, set()) as session:
        await session.get(f"http://127.0.0.1:{port}/")
    head = heads[0].decode().lower()
    assert f"user-agent: filepipe/{__version__}" in head
    assert "accept-encoding: identity\r\n" in head


async def test_sockets_are_kept_alive() -> None:
    """A peer that vanished is noticed although the pipe is idle."""
    async with open_session(10, None, set()) as session:
        connector = session.connector
        assert isinstance(connector, aiohttp.TCPConnector)
        assert connector._socket_factory is not None
        address = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1))
        with connector._socket_factory(address) as made:
            assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60


async def _without_continue(method: str) -> bytes:
    """What of a body a server sees that never says 100, in the time of many short patiences."""
    arrived = b""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        await reader.readuntil(b"\r\n\r\n")
        try:
            async with asyncio.timeout(0.5):
                arrived = await reader.readexactly(4)
        except TimeoutError:
            pass
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with raw_server(listen) as url, open_session(10, None, set()) as session:
        await session.request(method, url, data=b"body", expect100=True)
    return arrived


async def test_a_post_waits_longer_for_its_invitation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody may be there to take it yet; a PUT is sent uninvited after a moment, a POST later."""
    monkeypatch.setattr(connection, "CONTINUE_SECONDS", 0.01)
    assert await _without_continue("PUT") == b"body"
    assert await _without_continue("POST") == b""
    monkeypatch.setattr(connection, "MEETING_SECONDS", 0.01)
    assert await _without_continue("POST") == b"body"
