"""Sizes and durations as people write them: "256M", "1.5 GiB", "30s", "5 minutes"."""

from __future__ import annotations

import re
from typing import Final

import humanfriendly

# The largest file that a 64-bit offset can address.
MAX_SIZE: Final = 2**63 - 1
# Well below what any timer counts in 64 bits.
MAX_DURATION: Final = 100 * 52 * 7 * 24 * 3600.0

# humanfriendly looks only at the first letter of a unit ("5 bananas" are five bytes to it) and
# cuts fractions of a byte off, so what it may see is decided here.
_SIZE = re.compile(
    r"[0-9]{1,19}(?:[ \t]*(?:b|bytes?))?"
    r"|[0-9]{1,19}(?:\.[0-9]{1,9})?[ \t]*"
    r"(?:[kmgtp]i?b?|(?:kilo|mega|giga|tera|peta|kibi|mebi|gibi|tebi|pebi)bytes?)",
    re.IGNORECASE,
)
_DURATION = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?[ \t]*[A-Za-z]*")


def parse_size(text: str) -> int:
    """Bytes; K, M, G, T and P are powers of 1024; raises ValueError with one sentence."""
    trimmed = text.strip()
    if not _SIZE.fullmatch(trimmed):
        raise ValueError(f"{text!r} is not a size such as 1048576, 256M or 1.5GiB")
    size = int(humanfriendly.parse_size(trimmed, binary=True))
    if size > MAX_SIZE:
        raise ValueError(f"{text!r} is more than a file can hold")
    return size


def parse_duration(text: str) -> float:
    """Seconds; a plain number means seconds; raises ValueError with one sentence."""
    trimmed = text.strip()
    if not _DURATION.fullmatch(trimmed):
        raise _no_duration(text)
    try:
        seconds = float(humanfriendly.parse_timespan(trimmed))
    except humanfriendly.InvalidTimespan:
        raise _no_duration(text) from None
    if seconds > MAX_DURATION:
        raise ValueError(f"{text!r} is more than a hundred years")
    return seconds


def _no_duration(text: str) -> ValueError:
    return ValueError(f"{text!r} is not a duration such as 30, 30s, 5m or 1.5h")


def format_size(size: int) -> str:
    """Bytes for people, such as "1.5 GiB"."""
    return str(humanfriendly.format_size(size, binary=True))


def format_duration(seconds: float) -> str:
    """Seconds for people, in two units at most, such as "1 hour and 5 minutes"."""
    return str(humanfriendly.format_timespan(seconds, max_units=2))
