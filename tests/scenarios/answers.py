"""What a daemon answered, taken apart: by curl, or from the bytes of a raw connection."""

from __future__ import annotations

import http.client
import io
import re
from dataclasses import dataclass
from email.message import Message

from tests.conftest import Daemon, curl

_HEAD = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) [^\r\n]*\r\n")


@dataclass(frozen=True)
class Answer:
    """One whole answer."""

    status: int
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        """The body of a refusal or a receipt."""
        return self.body.decode()

    def __getitem__(self, name: str) -> str | None:
        values = self.headers.get_all(name)
        assert values is None or len(values) == 1, f"{name} comes {len(values or ())} times"
        return None if values is None else values[0]


def parse(data: bytes) -> Answer:
    """The last answer in what curl shows with --include: those before it are 100s."""
    while True:
        found = _HEAD.match(data)
        assert found is not None, f"no answer: {data[:200]!r}"
        head, end, body = data.partition(b"\r\n\r\n")
        assert end, f"no whole head: {head[:200]!r}"
        if found[1] != b"100":
            fields = head.partition(b"\r\n")[2] + b"\r\n\r\n"
            headers = http.client.parse_headers(io.BytesIO(fields))
            return Answer(int(found[1]), headers, body)
        data = body


def ask(daemon: Daemon, path: str, *arguments: str, listener: int = 0) -> Answer:
    """Let curl ask; `arguments` are curl's own."""
    done = curl("--include", *arguments, daemon.url(path, listener))
    assert done.returncode == 0, done.stderr
    return parse(done.stdout)


def upload(daemon: Daemon, path: str, data: bytes, *arguments: str) -> Answer:
    """Let curl upload `data` with its length."""
    done = curl(
        "--include", "--request", "PUT", "--data-binary", "@-", "--header", "Content-Type:",
        *arguments, daemon.url(path), input=data,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return parse(done.stdout)


def talk(daemon: Daemon, data: bytes, listener: int = 0) -> Answer:
    """What the daemon answers to raw bytes until it closes; the body is as it was on the wire."""
    return parse(daemon.talk(data, listener))


def raw(line: str, *headers: str, body: bytes = b"") -> bytes:
    """A request as bytes; it closes the connection and names localhost unless it says else."""
    names = {header.partition(":")[0].lower() for header in headers}
    lines = [line, *headers]
    if "host" not in names:
        lines.insert(1, "Host: localhost")
    if "connection" not in names:
        lines.append("Connection: close")
    return "\r\n".join((*lines, "", "")).encode("utf-8", "surrogateescape") + body


def assert_refused(answer: Answer, status: int, *words: str) -> None:
    """A refusal: its status, and one plain sentence with `words` in it."""
    assert (answer.status, answer.body) == (status, answer.body)
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["X-Content-Type-Options"] == "nosniff"
    text = answer.text
    assert text.endswith("\n"), text
    assert text.count("\n") == 1, text
    assert len(text) < 200, text
    for word in words:
        assert word in text
