"""A client of tus that hides nothing: each call is one request, each reply is shown."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http.client import HTTPMessage
from pathlib import Path
from typing import Any

from tests.conftest import Daemon, start_curl
from tests.scenarios.peers import request

KEY = "an-api-key-of-thirty-two-bytes-or-more"
CHUNK = "application/offset+octet-stream"
LISTENERS = ("--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0=files")
ENVIRONMENT = {"API_KEY": KEY}
VERSION = {"Tus-Resumable": "1.0.0"}


def metadata(**values: str | bytes) -> dict[str, str]:
    """The field Upload-Metadata."""
    raw = {name: v.encode() if isinstance(v, str) else v for name, v in values.items()}
    text = ",".join(f"{name} {b64encode(value).decode()}" for name, value in raw.items())
    return {"Upload-Metadata": text}


def checksum(algorithm: str, data: bytes) -> dict[str, str]:
    """The field Upload-Checksum of a body."""
    digest = hashlib.new(algorithm, data).digest()
    return {"Upload-Checksum": f"{algorithm} {b64encode(digest).decode()}"}


class Follower:
    """A curl that follows a URL; what it has had is read as it comes."""

    def __init__(self, curl: subprocess.Popen[bytes]) -> None:
        assert curl.stdout is not None
        self.curl = curl
        self.read = curl.stdout.read
        self.readline = curl.stdout.readline

    def rest(self) -> bytes:
        """All that comes until the end, which is a good one."""
        data = self.read()
        assert self.curl.wait(20) == 0
        return data


@contextlib.contextmanager
def following(url: str, *arguments: str) -> Iterator[Follower]:
    """Follow a URL; the curl is gone at the end."""
    with start_curl("-N", *arguments, url) as curl:
        try:
            yield Follower(curl)
        finally:
            curl.kill()


@dataclass(frozen=True)
class Reply:
    """An answer, read to its end."""

    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def offset(self) -> int | None:
        """Upload-Offset."""
        text = self.headers["Upload-Offset"]
        return None if text is None else int(text)

    @property
    def left(self) -> float:
        """Seconds from the answer to Upload-Expires."""
        expires = parsedate_to_datetime(self.headers["Upload-Expires"])
        return (expires - parsedate_to_datetime(self.headers["Date"])).total_seconds()

    def done(self, status: int) -> Reply:
        """Itself, of which it is sure that all went well."""
        assert self.status == status, (self.status, self.body)
        assert self.headers["Tus-Resumable"] == "1.0.0"
        assert self.headers["Access-Control-Allow-Origin"] == "*"
        assert "Upload-Offset" in self.headers["Access-Control-Expose-Headers"]
        assert self.body == b""
        return self

    def refused(self, status: int, code: str) -> str:
        """The sentence of a refusal, which has the shape that clients know."""
        assert self.status == status, (self.status, self.body)
        assert self.headers["X-Error-Code"] == code
        assert self.headers["Access-Control-Allow-Origin"] == "*"
        assert (self.offset is not None) == (code == "wrong_offset")
        if not self.body:  # of a HEAD
            return ""
        assert self.headers.get_content_type() == "application/json", self.body
        said: dict[str, Any] = json.loads(self.body)
        assert (said["status"], said["code"]) == (status, code), said
        assert 0 < len(said["error"]) < 200, said
        assert "\n" not in said["error"]
        return str(said["error"])


@dataclass
class Upload:
    """One upload, by its URL."""

    wire: Wire
    path: str

    @property
    def id(self) -> str:
        """The last segment of its URL."""
        return self.path.rpartition("/")[2]

    def patch(self, data: bytes, offset: int, **headers: str) -> Reply:
        """Append a body."""
        fields = {"Content-Type": CHUNK, "Upload-Offset": str(offset)}
        return self.wire.ask("PATCH", self.path, data, {**fields, **_dashed(headers)})

    def head(self) -> Reply:
        """Ask how far it is."""
        return self.wire.ask("HEAD", self.path)

    def offset(self) -> int:
        """How far it is."""
        offset = self.head().done(200).offset
        assert offset is not None
        return offset

    def delete(self) -> Reply:
        """Remove it."""
        return self.wire.ask("DELETE", self.path)

    def get(self, **headers: str) -> Reply:
        """Read what is there."""
        return self.wire.call("GET", self.path, None, {"X-API-Key": KEY, **_dashed(headers)})

    def begin_patch(self, offset: int, length: int, **headers: str) -> socket.socket:
        """A raw connection on which the head of an append was sent, and none of its body."""
        fields = {
            **VERSION, "X-API-Key": KEY, "Content-Type": CHUNK, "Upload-Offset": str(offset),
            "Content-Length": str(length), **_dashed(headers),
        }  # fmt: skip
        return self.wire.begin("PATCH", self.path, fields)


def _dashed(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass
class Wire:
    """tus where it can be reached: a listener of a daemon, and the path of the collection."""

    daemon: Daemon
    listener: int = 0
    collection: str = "/files/"
    made: list[Upload] = field(default_factory=list)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, _, port = self.daemon.addresses[self.listener].rpartition(":")
        return host, int(port)

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """One request on a connection of its own, with no fields but those in `headers`."""
        return Reply(*request(self.daemon, self.listener, method, path, body, headers))

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """The same with the API key and the version."""
        return self.call(method, path, body, {"X-API-Key": KEY, **VERSION, **(headers or {})})

    def begin(self, method: str, path: str, fields: dict[str, str]) -> socket.socket:
        """A raw connection on which a head was sent."""
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        return self.daemon.connect("\r\n".join([*lines, "", ""]).encode(), self.listener)

    def post(self, body: bytes | None = None, **headers: str) -> Reply:
        """Ask for a new upload."""
        return self.ask("POST", self.collection, body, _dashed(headers))

    def create(self, length: int | None, body: bytes | None = None, **headers: str) -> Upload:
        """A new upload, of which it is sure that it was made."""
        fields = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
        if body is not None:
            fields["Content-Type"] = CHUNK
        reply = self.post(body, **fields, **headers).done(201)
        self.made.append(Upload(self, reply.headers["Location"]))
        return self.made[-1]

    def upload(self, data: bytes, **headers: str) -> Upload:
        """A whole upload."""
        upload = self.create(len(data), **headers)
        assert upload.patch(data, 0).done(204).offset == len(data)
        return upload

    @property
    def root(self) -> Path:
        """Where finished uploads are."""
        return self.daemon.data_dir / "filepipe" / "uploads"

    def names(self) -> set[str]:
        """The path of every file that can be seen among the finished ones."""
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}
