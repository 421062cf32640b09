"""The other ends of a transfer, as raw sockets that behave exactly as badly as they are told."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import random
import socket
import ssl
import struct
from collections.abc import Iterable
from typing import Any

from tests.conftest import Daemon, curl, read_all

MIB = 1024 * 1024


def body_of(size: int, seed: int = 0) -> bytes:
    """Bytes that no part of the daemon can have guessed; the same for the same arguments."""
    return random.Random(seed).randbytes(size)


def sha(data: bytes) -> str:
    """What two bodies are compared by, so that a failed test prints no megabytes."""
    return hashlib.sha256(data).hexdigest()


def request(
    daemon: Daemon,
    listener: int,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """One request on a connection of its own: status, fields and body of its answer."""
    host, _, port = daemon.addresses[listener].rpartition(":")
    line = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=30)
    try:
        line.request(method, path, body, headers or {})
        answer = line.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        line.close()


class Peer:
    """One connection."""

    def __init__(
        self,
        daemon: Daemon,
        listener: int = 0,
        receive_buffer: int | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        host, _, port = daemon.addresses[listener].rpartition(":")
        host = host.strip("[]")
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(30)
        try:
            self.sock.connect((host, int(port)))
        except OSError:  # the daemon may have been killed
            self.sock.close()
            raise
        if tls is not None:
            self.sock = tls.wrap_socket(self.sock)

    def ask(self, lines: Iterable[str]) -> None:
        """Send the head of a request."""
        try:
            self.sock.sendall("\r\n".join((*lines, "", "")).encode())
        except OSError:
            self.sock.close()
            raise

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exc: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Close in the ordinary way: a FIN, and a reset for whatever still arrives."""
        self.sock.close()

    def reset(self) -> None:
        """Close by a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.leave()

    def half_close(self) -> None:
        """A FIN only: nothing more is sent, the answer is still read."""
        self.sock.shutdown(socket.SHUT_WR)


class Upload(Peer):
    """A PUT whose body is sent piece by piece; without `length` it goes in chunks."""

    method = "PUT"

    def __init__(
        self,
        daemon: Daemon,
        path: str,
        length: int | None = None,
        *headers: str,
        version: str = "1.1",
        listener: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(daemon, listener, tls=tls)
        self._chunked = length is None
        framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        line = f"{self.method} {path} HTTP/{version}"
        lines = (line, "Host: localhost", "Connection: close", framing, *headers)
        self.ask(lines)

    def send(self, data: bytes) -> None:
        """The next piece of the body."""
        if self._chunked:
            data = b"%x\r\n%s\r\n" % (len(data), data)
        self.sock.sendall(data)

    def finish(self, data: bytes = b"") -> bytes:
        """The last piece; returns everything that the daemon answers."""
        if data:
            self.send(data)
        if self._chunked:
            self.sock.sendall(b"0\r\n\r\n")
        return self.answer()

    def answer(self) -> bytes:
        """Everything that the daemon answers until it closes."""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            return read_all(self.sock)
        return b""


class Offer(Upload):
    """The same by POST: somebody has to be there who takes it."""

    method = "POST"


class Download(Peer):
    """A GET whose body is taken piece by piece; with `receive_buffer` the kernel holds little."""

    def __init__(
        self,
        daemon: Daemon,
        path: str,
        *headers: str,
        version: str = "1.1",
        listener: int = 0,
        receive_buffer: int | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(daemon, listener, receive_buffer, tls)
        lines = (f"GET {path} HTTP/{version}", "Host: localhost", *headers)
        self.ask(lines)
        self.response = http.client.HTTPResponse(self.sock, method="GET")

    def leave(self) -> None:
        """The same; http.client has a hold on the socket as well."""
        self.response.close()
        super().leave()

    def begin(self) -> int:
        """The head of the answer; returns the status."""
        self.response.begin()
        return self.response.status

    def take(self, size: int) -> bytes:
        """The next `size` bytes of the body."""
        data = b""
        while len(data) < size:
            chunk = self.response.read(size - len(data))
            assert chunk, f"the body ended after {len(data)} of {size} bytes"
            data += chunk
        return data

    def rest(self) -> bytes | None:
        """What is left of the body up to its proper end; None if it was cut before that."""
        try:
            return self.response.read()
        except (http.client.IncompleteRead, ConnectionError):
            return None


def put(
    daemon: Daemon, path: str, data: bytes, *arguments: str, chunked: bool = False
) -> tuple[int, str]:
    """Upload by curl; returns the status and the text of the answer."""
    source = daemon.folder / f"body-{sha(data)[:16]}"
    source.write_bytes(data)
    framing = ("--header", "Transfer-Encoding: chunked") if chunked else ()
    answer = curl(
        "--upload-file", str(source), *framing, "--write-out", "%{http_code}", *arguments,
        daemon.url(path),
    )  # fmt: skip
    text = answer.stdout.decode()
    return int(text[-3:]), text[:-3]


def key_of(daemon: Daemon, key: str) -> dict[str, Any] | None:
    """What /state says of a key."""
    return next((entry for entry in daemon.state()["keys"] if entry["key"] == key), None)


def stored(daemon: Daemon, key: str) -> int:
    """How many bytes there are under a key; -1 if it is free."""
    entry = key_of(daemon, key)
    return -1 if entry is None else int(entry["size"])


def readers(daemon: Daemon, key: str) -> int:
    """How many read a key now."""
    entry = key_of(daemon, key)
    return 0 if entry is None else int(entry["readers"])


def at_rest(daemon: Daemon) -> bool:
    """No key, nobody who waits, and not a byte in the ledger."""
    state = daemon.state()
    held = state["memory"]["used"] + state["disk"]["used"]
    return not (state["channels"] or state["waiting_readers"] or held)


def descriptors(daemon: Daemon) -> int:
    """How many descriptors the process has open."""
    return len(os.listdir(f"/proc/{daemon.pid}/fd"))
