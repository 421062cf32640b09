"""A pipe whose sender may lose the connection and go on: PUT with Content-Range.

Rule 1: only a pipe that began so is resumable, and it stays volatile.
Rule 2: who goes on states where; bytes that are here already are dropped, a gap is refused.
Rule 3: the whole is there when its last byte is; a piece before that is answered with 202.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from aiohttp import web
from multidict import MultiMapping

from filepipe.channels.channel import Channel, Kind, Resumption, Writer
from filepipe.channels.state import State
from filepipe.errors import BadRequest, Busy, Conflict, WrongOffset
from filepipe.keys import Key
from filepipe.protocols import digest
from filepipe.protocols.content_range import Piece, parse_content_range
from filepipe.protocols.media import multipart_boundary
from filepipe.web.bodies import check_expectation, invite, length_of, metadata_of
from filepipe.web.context import Context
from filepipe.web.fields import joined
from filepipe.web.pumps import body_of
from filepipe.web.routes import pipes

TAKE_OVER = 5.0
"""Seconds that the sender before may take to let go."""


async def put(
    context: Context, request: web.BaseRequest, key: Key, dialect: pipes.Dialect
) -> Channel:
    """Take the piece that the body is; the channel is finished then if that was the last one.

    Raises `BadRequest`, `Busy`, `Conflict`, `PreconditionFailed`, `WrongOffset`, and as `pipes.put`
    does.
    """
    piece = _piece(request)
    context.pumps.check_length(piece.total or piece.stop)
    algorithm = digest.wanted(joined(request.headers, "Want-Repr-Digest"))
    check_expectation(request)
    channel = context.service.directory.present(key)
    if channel is not None and "If-None-Match" in request.headers:
        raise Conflict("key already exists")
    if channel is None:
        channel = _begin(context, key, dialect, piece)
        await _take(context, request, channel, piece, claimed=True)
    else:
        pipes.check_match(request, channel)
        _check_same(channel, piece)
        await _go_on(context, request, channel, piece)
    if algorithm is not None and channel.state is State.FINISHED:
        await pipes.digest_of(channel, algorithm)
    return channel


def may_give_up(context: Context, request: web.BaseRequest, key: Key) -> bool:
    """Whether it is an unfinished pipe's sender, who names the ETag, that wants to free its key."""
    channel = context.service.directory.find(key)
    if channel is None or channel.kind is not Kind.PIPE or channel.resumption is None:
        return False
    named = joined(request.headers, "If-Match")
    return channel.state is State.WRITING and named not in {None, "*"}


def _piece(request: web.BaseRequest) -> Piece:
    headers: MultiMapping[str] = request.headers
    if multipart_boundary(headers.get("Content-Type")) is not None:
        raise BadRequest("Content-Range is not supported with a form")
    if "X-Forward-Url" in headers:
        raise BadRequest("Content-Range is not supported with X-Forward-Url")
    if headers.get("If-None-Match", "*") != "*":
        raise BadRequest("Content-Range is not supported with If-None-Match, but for *")
    return parse_content_range(joined(headers, "Content-Range") or "", length_of(request))


def _begin(context: Context, key: Key, dialect: pipes.Dialect, piece: Piece) -> Channel:
    if piece.start > 0:
        raise WrongOffset(0, piece.start)
    channel = context.service.directory.claim(key, Kind.PIPE, dialect.retention)
    channel.resumption = Resumption(context.rules.resume_window)
    return channel


def _check_same(channel: Channel, piece: Piece) -> None:
    """Raise `Conflict` where the piece is not one of what is here, `WrongOffset` at a gap."""
    resumable = channel.kind is Kind.PIPE and channel.resumption is not None
    if not resumable or channel.state is State.CLAIMED or piece.total != channel.meta.length:
        raise Conflict("key already exists")
    # while somebody sends, who begins anew is another sender, and not the same one again
    if piece.start > channel.size or (channel.writing and piece.start == 0 < channel.size):
        raise WrongOffset(channel.size, piece.start)


async def _go_on(
    context: Context, request: web.BaseRequest, channel: Channel, piece: Piece
) -> None:
    try:
        async with asyncio.timeout(TAKE_OVER):
            await channel.take_over()
    except TimeoutError:
        raise Busy("another sender is at it, try again later") from None
    if channel.state is not State.FINISHED:
        await _take(context, request, channel, piece, claimed=False)
        return
    # its sender did not get our answer
    await invite(request)
    async for _chunk in context.pumps.body(request):
        pass


async def _take(
    context: Context,
    request: web.BaseRequest,
    channel: Channel,
    piece: Piece,
    *,
    claimed: bool,
) -> None:
    async with Writer(channel, last=piece.last) as writer:
        if claimed:
            meta = replace(metadata_of(request), length=piece.total)
            await channel.publish(context.service.storage, meta)
        await invite(request)
        known = channel.size - piece.start
        plain = known == 0 and request.content_length is not None
        body = None if plain else _cut_out(body_of(request), known, piece)
        await context.pumps.receive(request, writer, body)


async def _cut_out(body: AsyncIterator[bytes], known: int, piece: Piece) -> AsyncIterator[bytes]:
    """What of the piece is new: all but its first `known` bytes. Raises `BadRequest`."""
    size = None if piece.stop is None else piece.stop - piece.start
    got = 0
    async for chunk in body:
        fresh = chunk[max(0, known - got) :]
        got += len(chunk)
        if size is not None and got > size:
            raise BadRequest(f"Content-Range has {size} bytes, and the body more")
        if fresh:
            yield fresh
    if size is not None and got < size:
        raise BadRequest(f"Content-Range has {size} bytes, and the body {got}")
