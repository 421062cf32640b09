"""Which bytes of a channel a GET means, also while it grows."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from filepipe.channels.channel import Channel
from filepipe.channels.state import State
from filepipe.errors import Broken
from filepipe.protocols.preconditions import if_range_holds
from filepipe.ranges import ByteRange, content_range, parse_range, resolve
from filepipe.web.fields import joined


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes `[start, stop)`; `stop` None means to an end that is not known yet."""

    status: int
    start: int
    stop: int | None
    content_range: str | None

    @classmethod
    def whole(cls, channel: Channel) -> Span:
        """All of it."""
        return cls(200, 0, channel.length, None)


async def wanted_span(request: web.BaseRequest, channel: Channel) -> Span:
    """What the Range header asks for, waiting until it can be said.

    Where the length is not known yet, an open range starts as soon as its first byte is reached
    and a closed one, or one from the end, waits for its end (RFC 8673). Raises
    `RangeNotSatisfiable`; `Broken` when the upload broke off meanwhile.
    """
    wanted = parse_range(joined(request.headers, "Range"))
    if wanted is None or not if_range_holds(joined(request.headers, "If-Range"), channel.etag):
        return Span.whole(channel)
    if channel.length is None:
        await _grown(channel, wanted)
    length = channel.length
    if length is not None:
        start, stop = resolve(wanted, length)
        return Span(206, start, stop, content_range(start, stop, length))
    assert wanted.first is not None
    end = None if wanted.last is None else wanted.last + 1
    return Span(206, wanted.first, end, content_range(wanted.first, end, None))


async def _grown(channel: Channel, wanted: ByteRange) -> None:
    while channel.state is State.WRITING:
        if wanted.first is not None:
            reached = wanted.first if wanted.last is None else wanted.last + 1
            if channel.size >= reached:
                return
        await channel.progress()
    if channel.state is State.BROKEN:
        raise Broken("the upload broke off")
