"""Byte ranges (RFC 9110, section 14): what was asked, what that means here, how to say so."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from filepipe.errors import RangeNotSatisfiable

# Largest integer that every client can hold, JavaScript's too; as the last position of a range
# it means "to the end, wherever that will be" (RFC 8673, section 2).
GROWING_END: Final = 9007199254740991

# 19 digits hold every offset of a 64-bit file.
_SPEC = re.compile(r"([0-9]{0,19})-([0-9]{0,19})")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """One range as asked: `first` to `last` inclusive, or the last `suffix` bytes."""

    first: int | None
    last: int | None
    suffix: int | None


def parse_range(header: str | None) -> ByteRange | None:
    """Return the one range that a Range header asks for, None if the whole object answers it.

    The whole answers an absent header, another unit (RFC 9110, 14.2) and several ranges. A byte
    range that cannot be read raises `RangeNotSatisfiable`.
    """
    if header is None:
        return None
    unit, _, specs = header.partition("=")
    if unit.strip(" \t").lower() != "bytes":
        return None
    wanted = [_parse_spec(spec) for part in specs.split(",") if (spec := part.strip(" \t"))]
    if not wanted:
        raise _malformed()
    return wanted[0] if len(wanted) == 1 else None


def _parse_spec(spec: str) -> ByteRange:
    found = _SPEC.fullmatch(spec)
    if found is None or spec == "-":
        raise _malformed()
    left, right = found.groups()
    if not left:
        return ByteRange(None, None, int(right))
    first = int(left)
    last = int(right) if right else None
    if last is not None and last < first:
        raise _malformed()
    return ByteRange(first, last, None)


def _malformed() -> RangeNotSatisfiable:
    return RangeNotSatisfiable("Range is malformed", None)


def resolve(wanted: ByteRange, length: int) -> tuple[int, int]:
    """Start, and stop exclusive, within an object of `length` bytes; never empty."""
    if wanted.first is None:
        start, stop = max(0, length - (wanted.suffix or 0)), length
    else:
        start = wanted.first
        stop = length if wanted.last is None else min(length, wanted.last + 1)
    if start >= stop:
        raise RangeNotSatisfiable(f"range lies outside the {length} bytes of the object", length)
    return start, stop


def content_range(start: int, stop: int | None, length: int | None) -> str:
    """Content-Range of the bytes from `start` to `stop` exclusive; `length` None if unknown.

    With an unknown length, `stop` None (or from `GROWING_END` on) means that the end is not
    known either.
    """
    if length is None and (stop is None or stop >= GROWING_END):
        return f"bytes {start}-{GROWING_END}/*"
    assert stop is not None, "only an object of unknown length has no end"
    return f"bytes {start}-{stop - 1}/{'*' if length is None else length}"


def unsatisfied(length: int) -> str:
    """Content-Range of a 416 for an object of `length` bytes."""
    return f"bytes */{length}"
