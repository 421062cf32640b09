"""Servers that an upload is forwarded to: real sockets, as good or bad as a test wants them."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.conftest import read_all

CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(slots=True)
class Received:
    """One request as it came over the wire; `whole` if its body came to its proper end."""

    line: str
    headers: dict[str, str]
    body: bytes = b""
    whole: bool = False

    @classmethod
    def begin(cls, sock: socket.socket) -> tuple[Received, bytes]:
        """Read the head; also what came behind it."""
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = sock.recv(65536)
            if not chunk:
                raise ConnectionError(f"half a head: {data!r}")
            data += chunk
        head, _, rest = data.partition(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        pairs = [field.partition(": ") for field in fields]
        return cls(line, {name.lower(): value for name, _, value in pairs}), rest

    def take(self, data: bytes) -> None:
        """Look at all that is there of the body."""
        length = self.headers.get("content-length")
        if length is not None:
            self.body, self.whole = data, len(data) == int(length)
            return
        assert self.headers["transfer-encoding"] == "chunked"
        body = bytearray()
        while data:
            size, mark, rest = data.partition(b"\r\n")
            if not mark or (number := int(size, 16)) == 0:
                self.whole = bool(mark) and rest == b"\r\n"
                break
            body += rest[:number]
            data = rest[number + 2 :]
        self.body = bytes(body)


Behaviour = Callable[[socket.socket, Received, bytes], None]


@dataclass
class Target:
    """A server on a loopback address that treats each connection the same way.

    `received` holds the requests; `connections` counts who came, also without a request.
    """

    behaviour: Behaviour
    host: str = "127.0.0.1"
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    def __enter__(self) -> Target:
        self._server = socket.create_server((self.host, 0))
        self.port = self._server.getsockname()[1]
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def url(self, path: str = "/there", host: str | None = None) -> str:
        """Its URL, under another name of the same address if wanted."""
        return f"http://{host or self.host}:{self.port}{path}"

    def header(self, path: str = "/there", host: str | None = None) -> str:
        """The header that sends an upload here."""
        return f"X-Forward-Url: {self.url(path, host)}"

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._server.accept()
                self.connections += 1
                self._threads.append(threading.Thread(target=self._talk, args=(sock,)))
                self._threads[-1].start()

    def _talk(self, sock: socket.socket) -> None:
        sock.settimeout(30)
        with sock, contextlib.suppress(ConnectionError):
            received, rest = Received.begin(sock)
            self.received.append(received)
            self.behaviour(sock, received, rest)


def accepting(answer: bytes = CREATED) -> Behaviour:
    """Take the whole body, then give the answer, and nothing after it."""

    def behave(sock: socket.socket, received: Received, rest: bytes) -> None:
        received.take(rest)
        while not received.whole:
            chunk = sock.recv(1 << 20)
            if not chunk:
                return
            rest += chunk
            received.take(rest)
        with contextlib.suppress(OSError):  # the daemon need not listen to the end
            sock.sendall(answer)
            sock.shutdown(socket.SHUT_WR)
        read_all(sock)

    return behave


def answering_early(answer: bytes) -> Behaviour:
    """Give the answer to the head alone, and read on."""

    def behave(sock: socket.socket, received: Received, rest: bytes) -> None:
        sock.sendall(answer)
        received.take(rest + read_all(sock))

    return behave


def leaving(sock: socket.socket, received: Received, rest: bytes) -> None:
    """Close without an answer."""


class Stuck:
    """Read nothing, answer nothing, until `release` is set."""

    def __init__(self) -> None:
        self.release = threading.Event()

    def __call__(self, sock: socket.socket, received: Received, rest: bytes) -> None:
        assert self.release.wait(30)
