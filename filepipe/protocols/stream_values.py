"""Streams of JSON: one value a line in the log, arrays on the wire.

Values are kept as they were written, but for line ends between their tokens, which become spaces.
A line that somebody else appended and that is no JSON is shown as a string. An empty line is none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from filepipe.errors import BadRequest

_BLANK = re.compile(r"[ \t\n\r]*")
_LINE_ENDS: Final = str.maketrans("\r\n", "  ")


def _nothing(_: Any) -> None:
    """Values are looked for, not built."""


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_nothing, parse_int=_nothing, parse_float=_nothing, parse_constant=_refuse
)


def lines_of(body: bytes) -> bytes:
    """The values of a body, one a line: of an array its elements. b"" for an empty array.

    Raises `BadRequest` for what is not JSON (RFC 8259).
    """
    try:
        text = body.decode()
        start = _after_blank(text, 0)
        if text.startswith("[", start):
            spans = list(_elements(text, start + 1))
        else:
            spans = [(start, _end_of_value(text, start))]
            _check_end(text, spans[0][1])
    except RecursionError:
        raise BadRequest("the body is JSON that is nested too deeply") from None
    except (ValueError, StopIteration):
        raise BadRequest("the body is not JSON") from None
    lines = [text[first:last].translate(_LINE_ENDS) for first, last in spans]
    return "".join(f"{line}\n" for line in lines).encode()


def _elements(text: str, position: int) -> Iterator[tuple[int, int]]:
    position = _after_blank(text, position)
    if text.startswith("]", position):
        return _check_end(text, position + 1)
    while True:
        end = _end_of_value(text, position)
        yield position, end
        position = _after_blank(text, end)
        if text.startswith("]", position):
            return _check_end(text, position + 1)
        if not text.startswith(",", position):
            raise ValueError(position)
        position = _after_blank(text, position + 1)


def _end_of_value(text: str, position: int) -> int:
    return _DECODER.raw_decode(text, position)[1]


def _after_blank(text: str, position: int) -> int:
    found = _BLANK.match(text, position)
    assert found is not None  # it matches nothing, too
    return found.end()


def _check_end(text: str, position: int) -> None:
    if _after_blank(text, position) < len(text):
        raise ValueError(position)


def array_of(lines: bytes) -> bytes:
    """The values of whole lines, as an array."""
    return b"[" + b",".join(_value(line) for line in lines.split(b"\n") if line.strip()) + b"]"


def _value(line: bytes) -> bytes:
    line = line.strip(b" \t\r")
    try:
        text = line.decode()
        if _end_of_value(text, 0) == len(text):
            return line
    except (ValueError, RecursionError):
        pass
    return json.dumps(line.decode(errors="replace"), ensure_ascii=False).encode()
