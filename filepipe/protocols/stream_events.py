"""The Server-Sent Events of the protocol `streams`: `data`, and behind each one `control`."""

from __future__ import annotations

import base64
import json

from filepipe.protocols.streams import write_offset

TORN = 3
"""Bytes of a character that may be missing at the end of a block, at most."""


def text_event(text: str) -> bytes:
    """What was added, as text; every line's end becomes a line feed."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "".join(("event: data\n", *map(_data_line, lines), "\n")).encode()


def _data_line(line: str) -> str:
    # readers take one space away, so a line gets one only if it begins with its own
    return f"data: {line}\n" if line.startswith(" ") else f"data:{line}\n"


def bytes_event(data: bytes) -> bytes:
    """What was added, in base64."""
    return b"event: data\ndata:" + base64.b64encode(data) + b"\n\n"


def control_event(offset: int, cursor: int, *, up_to_date: bool, closed: bool) -> bytes:
    """Where whoever has everything up to here goes on, and whether there is more."""
    control: dict[str, object] = {"streamNextOffset": write_offset(offset)}
    if not closed:  # nobody comes again
        control["streamCursor"] = str(cursor)
    if up_to_date:
        control["upToDate"] = True
    if closed:
        control["streamClosed"] = True
    text = json.dumps(control, separators=(",", ":"))
    return f"event: control\ndata:{text}\n\n".encode()


def whole_characters(data: bytes) -> int:
    """How many bytes there are up to a character of UTF-8 that is cut off at the end."""
    for back in range(1, min(TORN, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) - back if back < length else len(data)
        if byte < 0x80:
            break
    return len(data)
