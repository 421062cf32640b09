"""The protocol `file-pipe` where it is mounted, and what it answers, byte by byte."""

from __future__ import annotations

import itertools
import socket
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import Daemon, curl, read_until
from tests.scenarios.peers import Download, Upload, at_rest, key_of, readers, stored

PREFIX = "/-/file-pipe"
LISTENERS = ("--listen", "127.0.0.1:0=file-pipe", "--listen", "127.0.0.1:0")

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Answer:
    """A final answer; names of headers in lower case, the body as curl or the wire has it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def parse(cls, data: bytes) -> Answer:
        """Read what came over a connection that is closed now; interim answers are skipped."""
        head, mark, body = data.partition(b"\r\n\r\n")
        while head.startswith(b"HTTP/1.1 100 "):
            head, mark, body = body.partition(b"\r\n\r\n")
        assert mark, data
        first, *lines = head.decode().split("\r\n")
        pairs = [line.partition(":") for line in lines]
        names = [name.lower() for name, _, _ in pairs]
        assert len(names) == len(set(names)), f"a header stands there twice: {names}"
        values = [value.strip() for _, _, value in pairs]
        return cls(int(first.split()[1]), dict(zip(names, values, strict=True)), body)

    def assert_refusal(self, status: int, text: str) -> None:
        """The refusal as the specification has it: the text alone, as plain text."""
        assert (self.status, self.body.decode()) == (status, text)
        assert self.headers["content-type"] == "text/plain"
        assert self.headers["connection"] == "close"
        assert "date" in self.headers


@dataclass(frozen=True, slots=True)
class Front:
    """A daemon, and the listener and path below which it speaks file-pipe."""

    daemon: Daemon
    listener: int = 0
    base: str = ""

    def path(self, key: str) -> str:
        """The path of a key."""
        return f"{self.base}/{key}"

    def url(self, key: str) -> str:
        """The URL of a key."""
        return self.daemon.url(self.path(key), self.listener)

    def ask(self, method: str, path: str, *headers: str, body: bytes = b"") -> Answer:
        """One request over a raw connection, which the daemon must close."""
        lines = (f"{method} {self.base}{path} HTTP/1.1", "Host: localhost", *headers)
        data = "\r\n".join((*lines, "", "")).encode("utf-8", "surrogateescape") + body
        return Answer.parse(self.daemon.talk(data, self.listener))

    def put(self, key: str, data: bytes, *headers: str) -> Answer:
        """A whole upload over a raw connection."""
        length = f"Content-Length: {len(data)}"
        return self.ask("PUT", f"/{key}", length, *headers, body=data)

    def curl(self, key: str, *arguments: str) -> Answer:
        """What curl makes of a request; it must be content with how the answer ended."""
        done = curl("--include", *arguments, self.url(key))
        assert done.returncode == 0, done
        return Answer.parse(done.stdout)

    def upload(self, key: str, length: int | None, *headers: str) -> Upload:
        """A PUT that the test sends piece by piece; chunked without `length`."""
        return Upload(self.daemon, self.path(key), length, *headers, listener=self.listener)

    def download(self, key: str, *headers: str, version: str = "1.1") -> Download:
        """A GET that the test takes piece by piece."""
        return Download(
            self.daemon, self.path(key), *headers, version=version, listener=self.listener
        )

    def begin(self, head: str) -> socket.socket:
        """A connection on which a head has been sent, line by line, Host included."""
        lines = head.format(base=self.base).splitlines()
        data = "\r\n".join((lines[0], "Host: localhost", *lines[1:], "", ""))
        return self.daemon.connect(data.encode(), self.listener)

    def stored(self, key: str) -> int:
        """How many bytes there are under a key; -1 if it is free."""
        return stored(self.daemon, key)

    def state_of(self, key: str) -> str | None:
        """In which state the key is; None if it is free."""
        entry = key_of(self.daemon, key)
        return None if entry is None else str(entry["state"])

    def readers(self, key: str) -> int:
        """How many read the key."""
        return readers(self.daemon, key)

    def waiting(self) -> int:
        """How many wait for a key that nobody writes."""
        return int(self.daemon.state()["waiting_readers"])

    def at_rest(self) -> bool:
        """Nothing is held and nobody waits."""
        return at_rest(self.daemon)


def fresh_key() -> str:
    """A key that no other test has used."""
    return f"key-{next(_numbers)}"


def file_of(folder: Path, data: bytes, name: str = "body") -> str:
    """A file with these bytes, for curl."""
    path = folder / name
    path.write_bytes(data)
    return str(path)


def first_line(sock: socket.socket) -> str:
    """The status line of what arrives next."""
    return read_until(sock, b"\r\n").partition(b"\r\n")[0].decode()
