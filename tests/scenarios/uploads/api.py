"""A client of the uploads API that hides nothing: each call is one request, each reply is shown."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from http.client import HTTPMessage
from typing import Any

from tests.conftest import Daemon
from tests.scenarios.peers import request

KEY = "an-api-key-of-thirty-two-bytes-or-more"
SECRET = "a-jwt-secret-of-thirty-two-bytes-or-so"
LISTENERS = ("--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0=uploads")
ENVIRONMENT = {"API_KEY": KEY, "JWT_SECRET": SECRET, "CHUNK_SIZE_MB": "1"}

_numbers = itertools.count(1)


def fresh_name() -> str:
    """A file name that no other test has used."""
    return f"file-{next(_numbers)}.bin"


@dataclass(frozen=True)
class Reply:
    """One answer; `json` is its body read as JSON."""

    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """What it says; every answer but that of a content has it."""
        assert self.headers.get_content_type() == "application/json", (self.status, self.body)
        return json.loads(self.body)

    def refused(self, status: int, code: str | None = None) -> str:
        """The sentence of a refusal, which has the shape that clients know."""
        said = self.json
        assert (self.status, said["status"]) == (status, status), said
        assert isinstance(said["error"], str), said
        assert 0 < len(said["error"]) < 200, said
        assert "\n" not in said["error"]
        assert self.headers["X-Error-Code"] == said["code"]
        assert code in (None, said["code"]), said
        return str(said["error"])


@dataclass
class Made:
    """An upload that was begun: what init answered, and the bytes that belong in it."""

    api: Api
    answer: dict[str, Any]
    body: bytes

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.answer["file_id"])

    @property
    def size(self) -> int:
        """Of all its parts but the last."""
        return int(self.answer["chunk_size"])

    def token(self, number: int) -> str:
        """The token of a part."""
        return str(self.answer["parts"][number]["token"])

    def piece(self, number: int) -> bytes:
        """The bytes of a part."""
        return self.body[number * self.size : (number + 1) * self.size]

    def put(self, number: int, data: bytes | None = None, token: str | None = None) -> Reply:
        """Send a part."""
        bearer = {"Authorization": f"Bearer {token or self.token(number)}"}
        data = self.piece(number) if data is None else data
        return self.api.call("PUT", f"/upload/{self.id}/part/{number}", data, bearer)

    def put_all(self) -> None:
        """Send every part, the last one first."""
        for number in reversed(range(self.answer["total_parts"])):
            reply = self.put(number)
            assert reply.status == 200, reply

    def status(self, query: str = "") -> Any:
        """What is known of it."""
        reply = self.api.ask("GET", f"/upload/{self.id}/status{query}")
        assert reply.status == 200, reply
        return reply.json

    def complete(self) -> Reply:
        """Finish it."""
        return self.api.ask("POST", f"/upload/{self.id}/complete")

    def cancel(self) -> Reply:
        """Remove it."""
        return self.api.ask("DELETE", f"/upload/{self.id}")

    def content(self, **headers: str) -> Reply:
        """Its bytes."""
        return self.api.ask("GET", f"/upload/{self.id}/content", headers=headers)


@dataclass
class Api:
    """The API where it can be reached: a listener of a daemon, and the path below which it is."""

    daemon: Daemon
    listener: int = 1
    base: str = ""
    made: list[Made] = field(default_factory=list)

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """One request on a connection of its own, with no credential but those in `headers`."""
        path = self.base + path
        return Reply(*request(self.daemon, self.listener, method, path, body, headers))

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """The same with the API key."""
        return self.call(method, path, body, {"X-API-Key": KEY, **(headers or {})})

    def init(self, **fields: Any) -> Reply:
        """Begin an upload."""
        as_json = {"Content-Type": "application/json"}
        return self.ask("POST", "/upload/init", json.dumps(fields).encode(), as_json)

    def begin(self, body: bytes, filename: str | None = None, **fields: Any) -> Made:
        """Begin an upload of these bytes."""
        reply = self.init(filename=filename or fresh_name(), total_size=len(body), **fields)
        assert reply.status == 200, reply
        self.made.append(Made(self, reply.json, body))
        return self.made[-1]

    def upload(self, body: bytes, filename: str | None = None, **fields: Any) -> Made:
        """Bring a whole file there."""
        made = self.begin(body, filename, **fields)
        made.put_all()
        assert made.complete().status == 200
        return made

    def at(self, name: str) -> bytes:
        """The bytes of a finished file, as they are on the disk."""
        return (self.daemon.data_dir / "filepipe" / "uploads" / name).read_bytes()

    def names(self) -> set[str]:
        """The path of every file that can be seen among the finished ones."""
        root = self.daemon.data_dir / "filepipe" / "uploads"
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
