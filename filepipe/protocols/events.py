"""A log as Server-Sent Events: each has as its id the offset at which whoever has it goes on.

Text (`text/…`, JSON) goes out as it is, and neither a character nor a line's end is cut in two.
Everything else is base64, which `ENCODING` says. A carriage return becomes a line feed, as the
format has it; the ids count the bytes of the log all the same.
"""

from __future__ import annotations

import base64
import codecs
from typing import Final

ENCODING: Final = "stream-sse-data-encoding"
"""The header that says that the data are base64."""

HEARTBEAT: Final = b": still there\n\n"


def is_text(content_type: str | None) -> bool:
    """Whether bytes of this type go out as text."""
    if content_type is None:
        return False
    essence = content_type.partition(";")[0].strip().lower()
    return essence.startswith("text/") or essence == "application/json" or essence.endswith("+json")


class Events:
    """Makes events of bytes that begin at `offset`."""

    def __init__(self, offset: int, *, text: bool) -> None:
        self._end = offset
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace") if text else None
        self._held = ""

    def event(self, data: bytes, *, last: bool = False) -> bytes:
        """The event for the next bytes; b"" where they are kept for the next one."""
        self._end += len(data)
        if self._decoder is None:
            return _event(self._end, base64.b64encode(data).decode()) if data else b""
        text = self._held + self._decoder.decode(data, final=last)
        self._held = ""
        if text.endswith("\r") and not last:
            text, self._held = text[:-1], "\r"
        undecoded = 0 if last else len(self._decoder.getstate()[0])
        return _event(self._end - undecoded - len(self._held), text) if text else b""

    def end(self, name: str) -> bytes:
        """The last event: `closed` for ever, or `end` of a session."""
        return f"event: {name}\nid: {self._end}\ndata: {self._end}\n\n".encode()


def _event(end: int, text: str) -> bytes:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "".join((f"id: {end}\n", *(f"data: {line}\n" for line in lines), "\n")).encode()
