"""A protocol where it can be reached: a listener of a daemon, and the path below which it is."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Daemon, curl, read_until, start_curl
from tests.scenarios.answers import Answer, parse, raw
from tests.scenarios.peers import Download, Peer, Upload

_numbers = itertools.count(1)


class Post(Upload):
    """A POST whose body is sent piece by piece."""

    method = "POST"


@dataclass(frozen=True, slots=True)
class Mount:
    """A daemon whose first listener is `auto`, so that /state there is its own."""

    daemon: Daemon
    listener: int
    base: str = ""
    tls: bool = False

    def url(self, path: str) -> str:
        """The URL of a path."""
        return self.daemon.url(self.base + path, self.listener)

    def ask(
        self, method: str, path: str, *headers: str, body: bytes = b"", version: str = "1.1"
    ) -> Answer:
        """One request over a raw connection, until the daemon closes that."""
        data = raw(f"{method} {self.base}{path} HTTP/{version}", *headers, body=body)
        return parse(self.daemon.talk(data, self.listener))

    def give(self, method: str, path: str, body: bytes, *headers: str) -> Answer:
        """One request with a body."""
        return self.ask(method, path, f"Content-Length: {len(body)}", *headers, body=body)

    def curl(self, path: str, *arguments: str) -> Answer:
        """What curl makes of a request; it must be content with how the answer ended."""
        done = curl("--include", *arguments, self.url(path))
        assert done.returncode == 0, done
        return parse(done.stdout)

    def start_curl(self, path: str, *arguments: str) -> subprocess.Popen[bytes]:
        """The same in the background."""
        return start_curl("--include", *arguments, self.url(path))

    def sender(
        self, method: str, path: str, length: int | None, *headers: str, version: str = "1.1"
    ) -> Upload:
        """A request whose body the test sends piece by piece; chunked without `length`."""
        kind = Post if method == "POST" else Upload
        return kind(
            self.daemon, self.base + path, length, *headers, listener=self.listener, version=version
        )

    def receiver(
        self, path: str, *headers: str, version: str = "1.1", receive_buffer: int | None = None
    ) -> Download:
        """A GET whose answer the test takes piece by piece."""
        return Download(
            self.daemon, self.base + path, *headers,
            version=version, listener=self.listener, receive_buffer=receive_buffer,
            tls=trusting() if self.tls else None,
        )  # fmt: skip

    def heard(self) -> None:
        """Return when the daemon has taken note of everything that was sent to it before."""
        for _ in range(2):
            assert self.daemon.talk(b"GET /health HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200 ")

    def waiting(self, path: str) -> int:
        """How many wait under the key that a path names, on either side."""
        state = self.daemon.state()
        rows = [row for row in state["waiting_keys"] if row["key"] == path[1:]]
        busy = [row for row in state["keys"] if row["key"] == path[1:]]
        return sum(row["readers"] + row["writers"] for row in rows) + sum(
            row["waiting"] + row["writers_waiting"] for row in busy
        )


def trusting() -> ssl.SSLContext:
    """A client that takes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextlib.contextmanager
def sending(upload: Upload, data: bytes) -> Iterator[None]:
    """Send it meanwhile, however large it is; the daemon may refuse it."""

    def send() -> None:
        with contextlib.suppress(ConnectionError):
            upload.send(data)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def finished(process: subprocess.Popen[bytes]) -> Answer:
    """What curl got; it must be content with how the answer ended."""
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return parse(output)


def leave(peer: Peer) -> None:
    """Close, in the way of whatever it is."""
    peer.leave()


def status_of(sock: socket.socket) -> int:
    """Of the answer that comes next."""
    return int(read_until(sock, b"\r\n").split()[1])


def fresh(prefix: str) -> str:
    """A name that no other test has used."""
    return f"{prefix}-{next(_numbers)}"


def certificate(folder: Path) -> tuple[str, str]:
    """A new certificate for localhost and its key; skips where there is no openssl."""
    chain, key = str(folder / "chain.pem"), str(folder / "key.pem")
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-nodes", "-keyout", key, "-out", chain, "-days", "2", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
    ]  # fmt: skip
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return chain, key
