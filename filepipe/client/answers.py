"""What the server answered, read once and made plain."""

from __future__ import annotations

import http
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filepipe.client.errors import Busy, NotThere, RangeRefused, Refused
from filepipe.protocols.disposition import parse_filename

# A refusal of ours is one short sentence; a proxy's may be a page, of which nobody wants more.
MAX_SENTENCE: Final = 500
# Nobody waits longer than an hour because a server says so.
MAX_PAUSE: Final = 3600

_CONTENT_RANGE = re.compile(r"bytes (?:([0-9]{1,19})-[0-9]{1,19}|\*)/([0-9]{1,19}|\*)")
_STRONG = re.compile(r'"[\x21\x23-\x7e\x80-\U0010ffff]*"')


@dataclass(frozen=True, slots=True)
class PutResult:
    """An upload that the server has whole: where to read it, and its bytes."""

    url: str
    size: int


@dataclass(frozen=True, slots=True)
class SendResult:
    """A body that its receivers have whole: its bytes, and the server's last line, if any."""

    size: int
    sentence: str


@dataclass(frozen=True, slots=True)
class GetResult:
    """A download that is whole: its bytes (those of an earlier run too), and what it was."""

    size: int
    path: Path | None
    etag: str | None
    filename: str | None
    content_type: str | None
    resumed: int


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is known about a key; `length` None while unknown, `offset` only while it grows."""

    length: int | None
    etag: str | None
    filename: str | None
    content_type: str | None
    offset: int | None


def metadata(headers: Mapping[str, str]) -> Metadata:
    """Read the headers of a HEAD."""
    return Metadata(
        length=whole_number(headers.get("Content-Length")),
        etag=strong_etag(headers),
        filename=parse_filename(headers.get("Content-Disposition")),
        content_type=headers.get("Content-Type"),
        offset=whole_number(headers.get("Upload-Offset")),
    )


def strong_etag(headers: Mapping[str, str]) -> str | None:
    """Return the ETag if it names one exact sequence of bytes (RFC 9110, 8.8.1), else None."""
    etag = headers.get("ETag", "")
    return etag if _STRONG.fullmatch(etag) else None


def whole_number(text: str | None) -> int | None:
    """Return a count of bytes, None for anything else."""
    return int(text) if text is not None and re.fullmatch("[0-9]{1,19}", text) else None


def content_range(header: str | None) -> tuple[int | None, int | None]:
    """Return the first position and the length of the whole, each None where it is not said."""
    found = _CONTENT_RANGE.fullmatch(header or "")
    if found is None:
        return None, None
    return whole_number(found[1]), whole_number(found[2])


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refused:
    """Make the error that an answer of 300 or more stands for."""
    error = _refusal(status, headers, _sentence(status, headers, body))
    error.retry_after = float(min(whole_number(headers.get("Retry-After")) or 0, MAX_PAUSE))
    return error


def _refusal(status: int, headers: Mapping[str, str], sentence: str) -> Refused:
    if status == 404:
        return NotThere(status, sentence)
    if status == 409:
        return Busy(status, sentence)
    if status == 416:
        length = content_range(headers.get("Content-Range"))[1]
        return RangeRefused(sentence, length, strong_etag(headers))
    return Refused(status, sentence)


def _sentence(status: int, headers: Mapping[str, str], body: bytes) -> str:
    if 300 <= status < 400 and "Location" in headers:
        return f"the server points to {printable(headers['Location'])}: use that address"
    kind = headers.get("Content-Type", "text/plain")
    if kind.startswith(("text/plain", "application/json")):
        text = _error_of(body) if kind.startswith("application/json") else body
        lines = printable(text.decode("utf-8", "replace")).splitlines()
        if lines and lines[0].strip():
            return lines[0].strip()
    try:
        return http.HTTPStatus(status).phrase.lower()
    except ValueError:
        return "the server refused without a reason"


def _error_of(body: bytes) -> bytes:
    """The sentence of a refusal that is JSON, b"" if there is none."""
    try:
        sentence = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return b""
    return sentence.encode("utf-8", "replace") if isinstance(sentence, str) else b""


def printable(text: str) -> str:
    """Drop what could steer a terminal, keep the ends of lines, and shorten."""
    kept = "".join(c for c in text[: 4 * MAX_SENTENCE] if c.isprintable() or c == "\n")
    return kept[:MAX_SENTENCE]
