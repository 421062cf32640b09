"""What a request wants of a log: the query of `?append` and `?follow`, where a reader begins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from filepipe.errors import BadRequest
from filepipe.journal.frames import Mark
from filepipe.sizes import parse_duration

EVENTS: Final = "text/event-stream"

PRODUCER: Final = ("Producer-Id", "Producer-Epoch", "Producer-Seq")
"""The headers of a record that may come again, all of them or none."""

_NAME: Final = 256
"""Characters of a producer's name at most."""

_OFFSET = re.compile(r"[0-9]{1,19}")
_COUNT = re.compile(r"[0-9]{1,15}")
_DURABILITY: Final = {"sync": True, "async": False}


@dataclass(frozen=True, slots=True)
class Append:
    """What the query of `?append` says.

    `offset` is where the log has to end. `ttl` are the seconds that a new log lives after its last
    byte, None where the query does not say.
    """

    offset: int | None
    close: bool
    durable: bool
    ttl: float | None


def wanted_append(arguments: Mapping[str, str]) -> Append:
    """Read the query. Raises `BadRequest`."""
    for name in ("append", "close"):
        if arguments.get(name):
            raise BadRequest(f"{name} takes no value")
    durability = arguments.get("durability", "sync")
    if durability not in _DURABILITY:
        raise BadRequest("durability is sync or async")
    offset = arguments.get("offset")
    return Append(
        None if offset is None else read_offset(offset),
        "close" in arguments,
        _DURABILITY[durability],
        _ttl(arguments.get("ttl")),
    )


def _ttl(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        seconds = parse_duration(text)
    except ValueError:
        seconds = 0.0
    if seconds == 0:
        raise BadRequest("ttl is not a duration such as 30, 30s, 5m or 1.5h")
    return seconds


def read_offset(text: str, name: str = "offset") -> int:
    """A number of bytes. Raises `BadRequest`."""
    if not text.isascii() or _OFFSET.fullmatch(text) is None:
        raise BadRequest(f"{name} is not a number of bytes")
    return int(text)


def wanted_mark(headers: Mapping[str, str]) -> Mark | None:
    """Which record of which producer the body is, if that is said. Raises `BadRequest`."""
    name, epoch, number = (headers.get(each) for each in PRODUCER)
    if name is None or epoch is None or number is None:
        if any(each in headers for each in PRODUCER):
            raise BadRequest(f"{', '.join(PRODUCER)} come together, or not at all")
        return None
    if not name.isprintable() or not 0 < len(name) <= _NAME:
        raise BadRequest("Producer-Id is empty, too long or cannot be read")
    return Mark(name, _number(epoch, PRODUCER[1]), _number(number, PRODUCER[2]))


def _number(text: str, name: str) -> int:
    if not text.isascii() or _COUNT.fullmatch(text) is None:
        raise BadRequest(f"{name} is not a number from 0 on")
    return int(text)


def wanted_start(arguments: Mapping[str, str], last_event_id: str | None, end: int) -> int | None:
    """Where a reader of a log that ends at `end` begins; None where he does not say.

    An event that he has seen beats the query, which his program repeats as it was. `now` is the
    end. Raises `BadRequest`.
    """
    if arguments.get("follow"):
        raise BadRequest("follow takes no value")
    text = arguments.get("offset")
    if last_event_id:
        start = read_offset(last_event_id, "Last-Event-ID")
    elif text is None:
        return None
    else:
        start = end if text == "now" else read_offset(text)
    if start > end:
        raise BadRequest(f"offset {start} is behind the end of the log, {end}")
    return start


def wants_events(accept: str | None) -> bool:
    """Whether the reader asks for Server-Sent Events."""
    return accept is not None and EVENTS in accept.lower()
