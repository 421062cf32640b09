"""The protocol `streams` on the wire: what headers and queries mean.

Offsets are `WIDTH` digits, so that they sort as text. They count the bytes of the log.
Whatever is wrong is `BadRequest`, with one sentence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Final

from filepipe.errors import BadRequest
from filepipe.journal.frames import Mark
from filepipe.protocols.appending import wanted_mark
from filepipe.protocols.media import clean_content_type

WIDTH: Final = 20
OCTETS: Final = "application/octet-stream"
JSON: Final = "application/json"

LONGEST: Final = 256
"""Characters of a place in the order."""

CURSOR_EPOCH: Final = 1_728_432_000
CURSOR_SECONDS: Final = 20
CURSOR_JITTER: Final = 180
"""Intervals that a cursor is pushed on at most."""

_WHOLE = re.compile(r"0|[1-9][0-9]{0,15}")
_OFFSET = re.compile(r"[0-9]{1,20}")
_CURSOR = re.compile(r"[0-9]{1,15}")
_VISIBLE = re.compile(rf"[\x20-\x7e]{{1,{LONGEST}}}")
_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_FRACTION = re.compile(r"\.\d+")
_FORK: Final = ("Stream-Forked-From", "Stream-Fork-Offset", "Stream-Fork-Sub-Offset")
_MOST_SAFE: Final = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Creation:
    """What PUT asks for; `ttl` in seconds, `expires_at` in seconds since 1970."""

    content_type: str
    ttl: int | None
    expires_at: float | None
    closed: bool


@dataclass(frozen=True, slots=True)
class Addition:
    """What POST asks for."""

    content_type: str | None
    closes: bool
    order: str | None
    mark: Mark | None


class Live(Enum):
    """How a reader waits for what is not there yet."""

    NO = ""
    LONG_POLL = "long-poll"
    SSE = "sse"


@dataclass(frozen=True, slots=True)
class Reading:
    """What GET asks for; `start` None is the end. `wait` as it stands in the query."""

    start: int | None
    live: Live
    cursor: int | None
    wait: str | None


# -- what is asked


def read_creation(headers: Mapping[str, str]) -> Creation:
    """The headers of PUT."""
    if any(name in headers for name in _FORK):
        raise BadRequest("forks of a stream are not available in this version")
    ttl, moment = headers.get("Stream-TTL"), headers.get("Stream-Expires-At")
    if ttl is not None and moment is not None:
        raise BadRequest("Stream-TTL and Stream-Expires-At exclude each other")
    return Creation(
        _content_type(headers) or OCTETS,
        None if ttl is None else _number("Stream-TTL", ttl),
        None if moment is None else _moment(moment),
        _closes(headers),
    )


def read_addition(headers: Mapping[str, str]) -> Addition:
    """The headers of POST."""
    order = headers.get("Stream-Seq")
    if order is not None and not _VISIBLE.fullmatch(order):
        raise BadRequest(f"Stream-Seq is not 1 to {LONGEST} visible ASCII characters")
    return Addition(_content_type(headers), _closes(headers), order, wanted_mark(headers))


def read_reading(arguments: Mapping[str, str]) -> Reading:
    """The query of GET."""
    try:
        live = Live(arguments.get("live", ""))
    except ValueError:
        raise BadRequest("live is long-poll or sse") from None
    if "live" in arguments and live is Live.NO:
        raise BadRequest("live is long-poll or sse")
    offset = arguments.get("offset")
    if offset is None and live is not Live.NO:
        raise BadRequest("a live read needs an offset")
    start = None if offset == "now" else read_offset("-1" if offset is None else offset)
    cursor = arguments.get("cursor", "")
    # what another server gave out is nothing to compare with
    known = int(cursor) if cursor.isascii() and _CURSOR.fullmatch(cursor) else None
    return Reading(start, live, known, arguments.get("wait"))


def _closes(headers: Mapping[str, str]) -> bool:
    """Only `true` means anything."""
    return headers.get("Stream-Closed", "").strip(" \t").lower() == "true"


def _content_type(headers: Mapping[str, str]) -> str | None:
    value = headers.get("Content-Type")
    if value is None:
        return None
    clean = clean_content_type(value)
    if clean is None:
        raise BadRequest("Content-Type is not a media type")
    return clean


def _number(name: str, text: str) -> int:
    if not text.isascii() or not _WHOLE.fullmatch(text) or int(text) > _MOST_SAFE:
        raise BadRequest(f"{name} is not a whole number between 0 and 2^53-1")
    return int(text)


def _moment(text: str) -> float:
    wrong = BadRequest("Stream-Expires-At is not a moment such as 2030-01-31T12:00:00Z")
    if not _MOMENT.fullmatch(text):
        raise wrong
    try:
        plain = _FRACTION.sub(lambda fraction: fraction[0][:7].ljust(7, "0"), text)
        return datetime.fromisoformat(plain.upper()).timestamp()
    except (ValueError, OverflowError):
        raise wrong from None


# -- offsets, cursors, types


def write_offset(offset: int) -> str:
    """An offset as it is handed out."""
    return f"{offset:0{WIDTH}d}"


def read_offset(text: str) -> int:
    """An offset that was handed out, `-1` for the start; zeros in front do not matter."""
    if text == "-1":
        return 0
    if not text.isascii() or not _OFFSET.fullmatch(text):
        raise BadRequest("offset is neither -1, nor now, nor one that was handed out here")
    return int(text)


def cursor(now: float, known: int | None, jitter: int) -> int:
    """The cursor of an answer at `now`, seconds since 1970: above the one that is `known`.

    `jitter`, 1 to `CURSOR_JITTER`, is how far beyond that one, so that readers stay apart.
    """
    interval = int(now - CURSOR_EPOCH) // CURSOR_SECONDS
    return interval if known is None or known < interval else known + jitter


def essence(content_type: str | None) -> str:
    """A type without its parameters; what has none is bytes."""
    return (content_type or OCTETS).partition(";")[0].strip(" \t").lower()


def write_moment(seconds: float) -> str:
    """A moment as `Stream-Expires-At` has it."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z").replace(".000Z", "Z")
