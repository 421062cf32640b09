"""The protocol `piping` by every way it is reached, and its parties, line by line."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import re
import socket
import ssl
import struct
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

import pytest

from tests.conftest import Daemon, curl_command
from tests.scenarios.peers import at_rest

PLAIN, TLS, AUTO = range(3)
LISTENERS = (
    "--listen", "127.0.0.1:0=piping",
    "--listen", "https://127.0.0.1:0=piping",
    "--listen", "127.0.0.1:0",
)  # fmt: skip

WAITING = "[INFO] Waiting for {} receiver(s)..."
CONNECTED = "[INFO] A receiver was connected."
BEFORE = "[INFO] {} receiver(s) has/have been connected."
START = "[INFO] Start sending to {} receiver(s)!"
ABORTED = "[INFO] A receiver aborted."
SENT = "[INFO] Sent successfully!"
RECEIVED = "[INFO] All receiver(s) was/were received successfully."
ALL_ABORTED = "[INFO] All receiver(s) was/were aborted halfway."
FAILED = "[ERROR] Failed to send."

OURS = {"x-content-type-options", "x-request-id", "server", "date"}
"""Names of headers that every answer of ours may have beside those of the original."""

PIECE = 1 << 16
"""Bytes of a body that are sent at once."""

_numbers = itertools.count(1)


def fresh_path() -> str:
    """A path that no other test has used."""
    return f"/path-{next(_numbers)}"


@dataclass(frozen=True, slots=True)
class Way:
    """A listener, a version of HTTP, and what stands before the paths there."""

    listener: int
    version: str
    base: str = ""


WAYS = {
    "1.1": Way(PLAIN, "1.1"),
    "1.0": Way(PLAIN, "1.0"),
    "1.1-tls": Way(TLS, "1.1"),
    "1.0-tls": Way(TLS, "1.0"),
    "prefix": Way(AUTO, "1.1", "/-/piping"),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Message
    body: bytes

    @property
    def names(self) -> list[str]:
        """The names of its headers, in lower case, in order."""
        return sorted(name.lower() for name in self.headers)

    def assert_refused(self, text: str, status: int = 400) -> None:
        """A refusal of piping: its one line, and what goes with it."""
        assert (self.status, self.body.decode()) == (status, text + "\n")
        assert self.headers["Content-Type"] == "text/plain"
        assert self.headers["Access-Control-Allow-Origin"] == "*"
        assert self.headers["Content-Length"] == str(len(self.body))


class Party:
    """One connection, with one request on it at a time."""

    def __init__(self, sock: socket.socket, method: str) -> None:
        self.sock = sock
        self._method = method
        self._response: http.client.HTTPResponse | None = None

    @property
    def response(self) -> http.client.HTTPResponse:
        """The answer, of which the head has been read."""
        if self._response is None:
            self._response = http.client.HTTPResponse(self.sock, method=self._method)
            self._response.begin()
        return self._response

    @property
    def status(self) -> int:
        """The answer's."""
        return self.response.status

    @property
    def headers(self) -> Message:
        """The answer's."""
        return self.response.headers

    def line(self) -> str:
        """The next line of the answer's body."""
        line = self.response.readline()
        assert line.endswith(b"\n"), line
        return line.decode()[:-1]

    def lines(self) -> list[str]:
        """What is left of it, after which it must end well."""
        rest = self.rest()
        assert rest is not None
        return rest.decode().splitlines()

    def broken_lines(self) -> list[str]:
        """What is left of it, after which it must not end well."""
        with pytest.raises(http.client.IncompleteRead) as caught:
            self.response.read()
        return caught.value.partial.decode().splitlines()

    def silent(self) -> bool:
        """Whether for a moment nothing comes."""
        self.sock.settimeout(0.05)
        try:
            return not self.sock.recv(1)
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(20)

    def take(self, size: int) -> bytes:
        """The next bytes of the answer's body, exactly so many."""
        data = b""
        while len(data) < size:
            chunk = self.response.read(size - len(data))
            assert chunk, f"the body ended after {len(data)} of {size} bytes"
            data += chunk
        return data

    def rest(self) -> bytes | None:
        """What is left of the answer up to its proper end; None if it was cut before that."""
        try:
            return self.response.read()
        except (http.client.IncompleteRead, ConnectionError, ssl.SSLError):
            return None

    def answer(self) -> Answer:
        """The whole of it, which must end well."""
        body = self.rest()
        assert body is not None
        return Answer(self.status, self.headers, body)

    def again(self, request: bytes, method: str) -> None:
        """The next request on the same connection."""
        assert self.response.isclosed()
        self._method = method
        self._response = None
        self.sock.sendall(request)

    def half_close(self) -> None:
        """Send nothing more, but read on."""
        self.sock.shutdown(socket.SHUT_WR)

    def leave(self) -> None:
        """Close in the ordinary way."""
        if self._response is not None:
            self._response.close()
        self.sock.close()

    def reset(self) -> None:
        """Close by a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.leave()


class Sender(Party):
    """A sender whose body the test sends."""

    def __init__(self, sock: socket.socket, method: str, *, chunked: bool) -> None:
        super().__init__(sock, method)
        self._chunked = chunked

    def send(self, data: bytes) -> None:
        """The next piece of the body."""
        if self._chunked:
            data = b"%x\r\n%s\r\n" % (len(data), data)
        self.sock.sendall(data)

    def finish(self) -> None:
        """The end of a chunked body."""
        assert self._chunked
        self.sock.sendall(b"0\r\n\r\n")


@dataclass(slots=True)
class Front:
    """A daemon, and the way on which it is asked; `leave` closes what was opened."""

    daemon: Daemon
    way: Way
    trust: ssl.SSLContext
    parties: list[Party] = field(default_factory=list)

    def by(self, way: str) -> Front:
        """The same daemon, another way."""
        return Front(self.daemon, WAYS[way], self.trust, self.parties)

    @property
    def old(self) -> bool:
        """Whether it speaks HTTP/1.0."""
        return self.way.version == "1.0"

    def request(self, method: str, path: str, *headers: str) -> bytes:
        """The head of a request."""
        line = f"{method} {self.way.base}{path} HTTP/{self.way.version}"
        host = (
            ()
            if any(header.lower().startswith("host:") for header in headers)
            else ("Host: localhost",)
        )
        return "\r\n".join((line, *host, *headers, "", "")).encode("utf-8", "surrogateescape")

    def connect(self, data: bytes = b"", receive_buffer: int | None = None) -> socket.socket:
        """A connection on which `data` has been sent."""
        host, _, port = self.daemon.addresses[self.way.listener].rpartition(":")
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(20)
        sock.connect((host, int(port)))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.way.listener == TLS:
            sock = self.trust.wrap_socket(
                sock, server_hostname="127.0.0.1", suppress_ragged_eofs=False
            )
        if data:
            sock.sendall(data)
        return sock

    def _keep(self, party: Any) -> Any:
        self.parties.append(party)
        return party

    def begin(self, request: bytes, method: str = "POST") -> Party:
        """Whatever these bytes are."""
        party: Party = self._keep(Party(self.connect(request), method))
        return party

    def ask(self, method: str, path: str, *headers: str, body: bytes = b"") -> Answer:
        """One exchange."""
        length = (f"Content-Length: {len(body)}",) if body else ()
        return self.begin(self.request(method, path, *length, *headers) + body, method).answer()

    def open(
        self, path: str, length: int | None, *headers: str, method: str = "POST", first: bytes = b""
    ) -> Sender:
        """A sender; chunked without `length`. `first` of its body goes out with the head."""
        framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        sock = self.connect(self.request(method, path, framing, *headers) + first)
        sender: Sender = self._keep(Sender(sock, method, chunked=length is None))
        return sender

    def send(self, path: str, data: bytes, *headers: str, method: str = "POST") -> Sender:
        """A sender who has sent all of it."""
        return self.open(path, len(data), *headers, method=method, first=data)

    @contextlib.contextmanager
    def sending(
        self, path: str, data: bytes, *headers: str, method: str = "POST", chunked: bool = False
    ) -> Iterator[Sender]:
        """A sender who sends all of it in the background, when its answer has begun.

        What is left of the answer may be read after the block: Python's TLS has no two hands.
        """
        length = None if chunked else len(data)
        sender = self.open(path, length, *headers, method=method)
        assert self.old or sender.status == 200

        def send() -> None:
            for start in range(0, len(data), PIECE):
                sender.send(data[start : start + PIECE])
            if chunked:
                sender.finish()

        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(send)
            yield sender
            done.result(20)

    def receive(self, path: str, *headers: str, receive_buffer: int | None = None) -> Party:
        """A receiver."""
        sock = self.connect(self.request("GET", path, *headers), receive_buffer)
        party: Party = self._keep(Party(sock, "GET"))
        return party

    def url(self, path: str) -> str:
        """The URL of a path, on whichever listener this is."""
        scheme = "https" if self.way.listener == TLS else "http"
        return f"{scheme}://{self.daemon.addresses[self.way.listener]}{self.way.base}{path}"

    def curl(self, *arguments: str, path: str) -> list[str]:
        """The command line of a real curl."""
        version = "--http1.0" if self.old else "--http1.1"
        return curl_command("--insecure", version, "--max-time", "20", *arguments, self.url(path))

    def waiting(self) -> int:
        """How many receivers wait for a sender."""
        return int(self.daemon.state()["waiting_readers"])

    def present(self) -> int:
        """How many paths have a sender."""
        return len(self.daemon.state()["keys"])

    def gone(self) -> int:
        """How many have left before they were answered."""
        with urllib.request.urlopen(self.daemon.url("/metrics"), timeout=10) as answer:
            found = re.search(rb'filepipe_responses_total{status="499"} (\d+)', answer.read())
        return int(found[1]) if found else 0

    def at_rest(self) -> bool:
        """Nobody is there and nothing is held."""
        return at_rest(self.daemon)

    def leave(self) -> None:
        """Close every connection that was opened."""
        for party in self.parties:
            party.leave()


def form(*parts: bytes, boundary: bytes = b"b") -> bytes:
    """The body of a form; each part is its head and its body, with an empty line between."""
    lines = b"".join(b"--%s\r\n%s\r\n" % (boundary, part) for part in parts)
    return lines + b"--%s--\r\n" % boundary


FORM = "Content-Type: multipart/form-data; boundary=b"
