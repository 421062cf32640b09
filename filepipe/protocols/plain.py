"""The plain request: the few lines that curl and its like send for a small transfer.

Rule 1: this is a strict part of HTTP/1.1, not a second parser. What is not wholly and exactly in it
        (another header, a repeated one, a query, an escape, a body that is not all there) is
        somebody else's to judge, and `parse_plain` says so by None.
Rule 2: what is in it means the same to every parser there is (RFC 9112, sections 2 to 6).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MAX_HEAD: Final = 2048
"""Bytes of a head that is looked at."""

_SEGMENT = r"[A-Za-z0-9_~][A-Za-z0-9._~-]*+"
_HEAD = re.compile(
    rf"(?P<method>PUT|GET|POST) (?P<path>/{_SEGMENT}(?>(?:/{_SEGMENT})*)) HTTP/1\.1"
    r"(?P<fields>(?>(?:\r\n[A-Za-z-]++:[ -~]*+)+))"
)
_KNOWN: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "host",
        "user-agent",
    }
)
_LENGTH = re.compile(r"0|[1-9][0-9]{0,9}")


@dataclass(slots=True)
class PlainRequest:
    """A PUT, POST or GET of a path without escapes; `missing` bytes of the body are to come.

    `committed` once what it asks for cannot be begun anew.
    """

    method: str
    path: str
    host: str
    content_type: str | None
    close: bool
    body: bytes
    missing: int
    committed: bool = False


def parse_plain(data: bytes, max_body: int) -> PlainRequest | None:
    """Read `data` as one plain request with a body of at most `max_body` bytes.

    None if it is anything else, or has bytes beyond its end.
    """
    head, end, body = data.partition(b"\r\n\r\n")
    if not end or len(head) > MAX_HEAD or not head.isascii():
        return None
    found = _HEAD.fullmatch(head.decode("ascii"))
    if found is None:
        return None
    fields = _fields(found["fields"])
    if fields is None or "host" not in fields:
        return None
    missing = _length(found["method"], fields.get("content-length"), max_body)
    connection = fields.get("connection", "keep-alive").lower()
    if missing is None or len(body) > missing or connection not in ("close", "keep-alive"):
        return None
    return PlainRequest(
        found["method"],
        found["path"],
        fields["host"],
        fields.get("content-type"),
        connection == "close",
        body,
        missing - len(body),
    )


def _fields(text: str) -> dict[str, str] | None:
    fields: dict[str, str] = {}
    for line in text.split("\r\n")[1:]:
        name, _, value = line.partition(":")
        name = name.lower()
        if name not in _KNOWN or name in fields:
            return None
        fields[name] = value.strip(" ")
    return fields


def _length(method: str, text: str | None, max_body: int) -> int | None:
    """The body's length; None where it takes more than this grammar to tell."""
    if method == "GET":
        return 0 if text is None else None
    if text is None or _LENGTH.fullmatch(text) is None:
        return None
    length = int(text)
    return length if length <= max_body else None
