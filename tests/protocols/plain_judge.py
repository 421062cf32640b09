"""The judge of what is plain: aiohttp's parser, which serves everything else."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final
from unittest.mock import Mock

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser

from filepipe.protocols.plain import PlainRequest, parse_plain

MAX_BODY: Final = 4096
NEXT: Final = b"GET /next HTTP/1.1\r\nHost: other\r\n\r\n"

_LOOP = Mock(spec=asyncio.AbstractEventLoop)  # the parser wants one and asks nothing of it


@dataclass(frozen=True)
class Seen:
    """One request as aiohttp's parser sees it."""

    method: str
    path: str
    host: str
    content_type: str | None
    close: bool
    body: bytes
    whole: bool
    special: bool
    """Whether it asks for more than a method, a path and a body: chunks, codings, an upgrade."""


def see(data: bytes) -> list[Seen] | None:
    """What aiohttp reads in `data`; None if it refuses it."""
    protocol = BaseProtocol(_LOOP)
    parser = HttpRequestParser(
        protocol, _LOOP, 2**16, max_line_size=8190, max_field_size=8190, auto_decompress=False
    )
    protocol._parser = parser
    try:
        messages, upgraded, tail = parser.feed_data(data)
    except HttpProcessingError:
        return None
    seen = []
    for message, payload in messages:
        headers = message.headers
        body = payload.read_nowait()
        special = message.chunked or message.upgrade or bool(message.compression)
        seen.append(
            Seen(
                message.method, message.path, headers["Host"], headers.get("Content-Type"),
                message.should_close, body, payload.is_eof(), special or upgraded or bool(tail),
            )
        )  # fmt: skip
    return seen


def assert_agreed(data: bytes) -> PlainRequest | None:
    """What `parse_plain` takes, aiohttp takes in the same meaning, and ends at the same byte."""
    found = parse_plain(data, MAX_BODY)
    if found is None:
        return None
    assert found.missing >= 0
    assert len(found.body) + found.missing <= MAX_BODY
    rest = b"x" * found.missing
    whole = Seen(
        found.method, found.path, found.host, found.content_type,
        found.close, found.body + rest, True, False,
    )  # fmt: skip
    assert see(data + rest) == [whole]
    if found.missing:
        (short,) = see(data + rest[1:]) or [whole]
        assert not short.whole
    if not found.close:
        after = see(data + rest + NEXT)
        assert after is not None
        assert after[0] == whole
        assert [request.path for request in after[1:]] == ["/next"]
    assert parse_plain(data + rest + b"\0", MAX_BODY) is None
    return found
