"""A client of resumable uploads on raw sockets: it sees every byte, interim answers too."""

from __future__ import annotations

import http.client
import itertools
import json
import re
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from typing import Any

from tests.conftest import Daemon

PARTIAL = "application/partial-upload"
PROBLEMS = "https://iana.org/assignments/http-problem-types#"

_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) ([^\r\n]*)\r\n")
_numbers = itertools.count(1)


def fresh_key() -> str:
    """The path of a key that no other test has used."""
    return f"/resumable-{next(_numbers)}"


@dataclass(frozen=True)
class Reply:
    """One answer, with the interim answers before it."""

    status: int
    headers: Message
    body: bytes
    interim: tuple[tuple[int, Message], ...]

    def __getitem__(self, name: str) -> str | None:
        values = self.headers.get_all(name)
        assert values is None or len(values) == 1, f"{name} comes {len(values or ())} times"
        return None if values is None else values[0]

    @property
    def offset(self) -> int:
        """How far the upload is."""
        return int(self["Upload-Offset"] or -1)

    @property
    def location(self) -> str:
        """The upload's URL."""
        found = self["Location"]
        assert found is not None, self
        return found

    def problem(self, status: int, kind: str | None = None) -> Any:
        """What a refusal says, which has the shape of RFC 9457."""
        assert (self.status, self.body) == (status, self.body)
        assert self["Content-Type"] == "application/problem+json", self
        said = json.loads(self.body)
        assert said["type"] == ("about:blank" if kind is None else PROBLEMS + kind), said
        assert said["status"] == status
        assert said["code"] == self["X-Error-Code"]
        assert 0 < len(said["detail"]) < 200
        assert "Upload-Complete" in self.headers or "Upload-Incomplete" in self.headers
        return said


class Line:
    """A connection on which a request was begun."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._file = sock.makefile("rb")

    def send(self, data: bytes) -> None:
        """More of the body."""
        self.sock.sendall(data)

    def chunk(self, data: bytes) -> None:
        """More of a body in chunks; nothing ends it."""
        self.sock.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def head(self) -> tuple[int, Message]:
        """The next status line with its fields, also an interim one."""
        line = self._file.readline()
        found = _STATUS.match(line)
        assert found, f"no answer: {line!r}"
        return int(found[1]), http.client.parse_headers(self._file)

    def reply(self) -> Reply:
        """The answer, when it is there."""
        interim = []
        while (head := self.head())[0] < 200:
            interim.append(head)
        status, headers = head
        return Reply(status, headers, self._body(status, headers), tuple(interim))

    def _body(self, status: int, headers: Message) -> bytes:
        if status in (204, 304):
            return b""
        if headers["Transfer-Encoding"] == "chunked":
            return b"".join(self._chunks())
        length = headers["Content-Length"]
        return self._file.read(None if length is None else int(length))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._file.readline(), 16):
            yield self._file.read(size)
            assert self._file.readline() == b"\r\n"
        assert self._file.readline() == b"\r\n"

    def rest(self) -> bytes:
        """What comes until the end of the connection."""
        return self._file.read()

    def end(self) -> None:
        """Cut the line with a FIN; what was sent arrives."""
        self._file.close()
        self.sock.close()

    def reset(self) -> None:
        """Cut it with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.end()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()


@dataclass
class Client:
    """Speaks one version of the draft, None for one that names none."""

    daemon: Daemon
    version: int | None = 9

    def fields(
        self, complete: bool | None = None, offset: int | None = None, **others: str | int
    ) -> dict[str, str]:
        """The fields of a request, underscores standing for hyphens."""
        found = {name.replace("_", "-"): str(value) for name, value in others.items()}
        if self.version is not None:
            found["Upload-Draft-Interop-Version"] = str(self.version)
        if complete is not None and self.version == 3:
            found["Upload-Incomplete"] = "?0" if complete else "?1"
        elif complete is not None:
            found["Upload-Complete"] = "?1" if complete else "?0"
        if offset is not None:
            found["Upload-Offset"] = str(offset)
        return found

    def open(self, method: str, path: str, fields: dict[str, str], body: bytes = b"") -> Line:
        """Begin a request; its framing is the caller's."""
        fields = {"Host": "localhost", **fields}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {text}" for name, text in fields.items())]
        head = "\r\n".join((*lines, "", "")).encode("utf-8", "surrogateescape")
        return Line(self.daemon.connect(head + body))

    def ask(
        self, method: str, path: str, fields: dict[str, str], body: bytes | None = None
    ) -> Reply:
        """One whole request on a connection of its own; without a body it has none."""
        framing = {} if body is None else {"Content-Length": str(len(body))}
        with self.open(method, path, {**framing, **fields}, body or b"") as line:
            if method != "HEAD":
                return line.reply()
            status, headers = line.head()
            return Reply(status, headers, b"", ())

    def in_chunks(self, method: str, path: str, fields: dict[str, str], *chunks: bytes) -> Reply:
        """One whole request whose body says nothing of its length."""
        with self.open(method, path, {"Transfer-Encoding": "chunked", **fields}) as line:
            for chunk in (*chunks, b""):
                line.chunk(chunk)
            return line.reply()

    # -- what is done most

    def begin(self, body: bytes = b"", path: str | None = None, **fields: str | int) -> Reply:
        """Create an upload with the first bytes of it."""
        made = self.ask("PUT", path or fresh_key(), self.fields(complete=False, **fields), body)
        assert made.status == 201, made
        return made

    def append(
        self,
        location: str,
        offset: int,
        body: bytes,
        *,
        complete: bool = False,
        **fields: str | int,
    ) -> Reply:
        """Go on with it."""
        said = self.fields(complete, offset, **{"Content_Type": PARTIAL, **fields})
        return self.ask("PATCH", location, said, body)

    def look(self, location: str) -> Reply:
        """Ask how far it is."""
        return self.ask("HEAD", location, self.fields())

    def state(self, location: str) -> tuple[int, bool]:
        """Its offset, and whether it is complete."""
        found = self.look(location)
        assert found.status == 204, found
        if self.version == 3:
            return found.offset, found["Upload-Incomplete"] == "?0"
        return found.offset, found["Upload-Complete"] == "?1"


def get(daemon: Daemon, path: str, *fields: str) -> Reply:
    """What is under a key."""
    with Client(daemon).open("GET", path, dict(field.split(": ", 1) for field in fields)) as line:
        return line.reply()
