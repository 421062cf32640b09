"""Key pipes: PUT, GET, HEAD and DELETE of a key, for every front that has them.

A front says by a `Dialect` how it differs; what happens is the same.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import web
from multidict import CIMultiDict, MultiMapping

from filepipe.channels.channel import Channel, Kind, Metadata, Reader, Writer
from filepipe.channels.log import Log
from filepipe.channels.rendezvous import Rendezvous, Seat
from filepipe.channels.retention import Retention
from filepipe.channels.state import State
from filepipe.errors import BadRequest, NotFound, PreconditionFailed
from filepipe.keys import Key, quote_key
from filepipe.protocols import digest
from filepipe.protocols.disposition import attachment, attachment_raw, clean_filename
from filepipe.protocols.media import (
    is_inert,
    multipart_boundary,
)
from filepipe.protocols.preconditions import matches
from filepipe.web.bodies import check_expectation, invite, metadata_of
from filepipe.web.context import Context
from filepipe.web.exchange import EXCHANGE
from filepipe.web.fields import joined
from filepipe.web.multipart import choose_part
from filepipe.web.ranges import wanted_span
from filepipe.web.user_content import DATA_HEADERS, refuse_service_worker

_LASTING = (Kind.PIPE, Kind.UPLOAD, Kind.LOG)
"""What is there to be asked for again, in part too."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a front's key pipes differ from another's.

    `names_from_key`: a download without a name of its own is called after its key (RFC 6266).
    `raw_names`: names are written as file-pipe writes them, without `filename*`.
    `saved`: a browser saves whatever it gets.
    `closes`: each connection carries one request.
    """

    retention: Retention
    names_from_key: bool
    raw_names: bool
    saved: bool = False
    closes: bool = False


async def put(context: Context, request: web.BaseRequest, key: Key, dialect: Dialect) -> Channel:
    """Take the body under `key`; return when its last byte is stored and forwarded.

    Raises what `Directory.claim`, `Storage.create`, `Pumps.receive` and `Forwarder.forward` raise.
    """
    headers = request.headers
    if "Content-Range" in headers:
        raise BadRequest("Content-Range is not supported here")
    if "If-Match" in headers:
        raise PreconditionFailed("an upload replaces no object, whatever If-Match names")
    context.pumps.check_length(request.content_length)
    algorithm = digest.wanted(joined(headers, "Want-Repr-Digest"))
    target = _forward_target(headers)
    if target is not None:
        context.forwarder.check(target)
    check_expectation(request)
    channel = context.service.directory.claim(key, Kind.PIPE, dialect.retention)
    async with contextlib.AsyncExitStack() as forwarding:
        async with Writer(channel) as writer:
            body = await _open(context, request, channel)
            if target is not None:
                task = await forwarding.enter_async_context(_forward(context, channel, target))
            await context.pumps.receive(request, writer, body)
        if algorithm is not None:  # before the forward is waited for: the bytes may go meanwhile
            await digest_of(channel, algorithm)
        if target is not None:
            await task
    return channel


def _forward_target(headers: MultiMapping[str]) -> str | None:
    targets = headers.getall("X-Forward-Url", [])
    if len(targets) > 1:
        raise BadRequest("X-Forward-Url stands there more than once")
    return targets[0] if targets else None


async def _open(
    context: Context, request: web.BaseRequest, channel: Channel
) -> AsyncIterator[bytes] | None:
    """Publish the channel with what is known of the body; ask for the body.

    Returns the part that is meant, None if it is the body as a whole.
    """
    headers = request.headers
    if multipart_boundary(headers.get("Content-Type")) is None:
        meta = metadata_of(request)
        await channel.publish(context.service.storage, meta)
        await invite(request)
        return None
    # a reader that waits must not see the form's length and type instead of the file's
    await invite(request)
    with context.pumps.watch_sender() as watch:
        watch.begin()
        part = await choose_part(request)
    meta = Metadata(content_type=part.content_type, filename=part.filename)
    await channel.publish(context.service.storage, meta)
    return part.body


@contextlib.asynccontextmanager
async def _forward(
    context: Context, channel: Channel, target: str
) -> AsyncIterator[asyncio.Task[None]]:
    """Forward beside the upload; on leaving, a forward that is still running is cut."""
    task = asyncio.create_task(context.forwarder.forward(channel, target))
    try:
        yield task
    finally:
        if not task.done():
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def get(
    context: Context,
    request: web.BaseRequest,
    key: Key,
    dialect: Dialect,
    wait: float,
    number: int | None = None,
) -> web.StreamResponse:
    """Send what is under `key`, live while it grows; wait up to `wait` seconds for a writer.

    The writer may be a sender at a rendezvous of `number` receivers, None for any. Raises
    `NotFound`, `Forbidden`, `PreconditionFailed`, `RangeNotSatisfiable` and what `Meetings.take`
    raises.
    """
    refuse_service_worker(request.headers)
    algorithm = digest.wanted(joined(request.headers, "Want-Repr-Digest"))
    found = await context.service.meetings.take(request, key, wait, number)
    if found is None:
        raise NotFound("key not found")
    if isinstance(found, Seat):
        rendezvous = found.rendezvous
        return await context.handover.take(
            request, found, lambda: _live_headers(rendezvous, dialect)
        )
    return await read(context, request, found, dialect, algorithm)


def _live_headers(rendezvous: Rendezvous, dialect: Dialect) -> CIMultiDict[str]:
    headers = CIMultiDict(describe(rendezvous, dialect))
    for label in rendezvous.meta.labels:
        headers.add("X-Piping", label)
    if dialect.closes:
        headers["Connection"] = "close"
    return headers


async def read(
    context: Context,
    request: web.BaseRequest,
    channel: Channel,
    dialect: Dialect,
    algorithm: str | None = None,
) -> web.StreamResponse:
    """Send a pipe's bytes, with a digest by `algorithm` if the whole is there. Raises as `get`."""
    with Reader(channel) as reader:
        if _unchanged(request, channel):
            return web.Response(status=304, headers=describe(channel, dialect))
        span = await wanted_span(request, channel)
        headers = await _headers(channel, dialect, algorithm)
        headers["X-Request-Id"] = request[EXCHANGE].id
        if span.content_range is not None:
            headers["Content-Range"] = span.content_range
        if dialect.closes:  # a head that goes out at once must say so itself
            headers["Connection"] = "close"
        reader.offset, reader.stop = span.start, span.stop
        channel.was_read()
        return await context.pumps.send(request, reader, span.status, headers)


async def head(
    context: Context, request: web.BaseRequest, key: Key, dialect: Dialect
) -> web.StreamResponse:
    """Say what is under `key`, reading none of it. Raises `NotFound` at once."""
    algorithm = digest.wanted(joined(request.headers, "Want-Repr-Digest"))
    channel = context.service.directory.find(key)
    if channel is None:
        raise NotFound("key not found")
    return await look(request, channel, dialect, algorithm)


async def look(
    request: web.BaseRequest, channel: Channel, dialect: Dialect, algorithm: str | None = None
) -> web.StreamResponse:
    """Say what a pipe is, as `read` would. Raises `PreconditionFailed`."""
    # no `Reader`: whoever only looks, however often, does not make the key last
    if _unchanged(request, channel):
        return web.Response(status=304, headers=describe(channel, dialect))
    if isinstance(channel, Log):
        channel.check()
    headers = await _headers(channel, dialect, algorithm)
    if channel.state is State.WRITING and channel.kind is not Kind.LOG:
        headers["Upload-Offset"] = str(channel.size)
    response = web.StreamResponse(headers=headers)
    response.content_length = channel.length
    if isinstance(channel, Rendezvous):
        for label in channel.meta.labels:
            response.headers.add("X-Piping", label)
    return response


async def delete(context: Context, request: web.BaseRequest, key: Key) -> None:
    """Free the key.

    Raises `NotFound`, `PreconditionFailed`, `StorageFailed`, and `Busy` of an upload.
    """
    directory = context.service.directory
    channel = directory.find(key)
    if channel is None:
        channel = directory.present(key)  # an upload may have it long before it can be read
        if channel is None or channel.kind is not Kind.UPLOAD:
            raise NotFound("key not found")
    check_match(request, channel)
    if channel.kind is Kind.UPLOAD:
        await context.offsets.delete(channel)
    elif isinstance(channel, Log):
        await context.service.logs.delete(channel)
    else:
        directory.delete(channel)


def check_match(request: web.BaseRequest, channel: Channel) -> None:
    """Raise `PreconditionFailed` where If-Match means another object."""
    if_match = joined(request.headers, "If-Match")
    if if_match is not None and not matches(if_match, channel.etag, weak=False):
        raise PreconditionFailed("another object is under this key")


def _unchanged(request: web.BaseRequest, channel: Channel) -> bool:
    """RFC 9110, 13.2.2. Raises `PreconditionFailed`."""
    check_match(request, channel)
    if_none_match = joined(request.headers, "If-None-Match")
    return if_none_match is not None and matches(if_none_match, channel.etag, weak=True)


async def _headers(channel: Channel, dialect: Dialect, algorithm: str | None) -> dict[str, str]:
    headers = describe(channel, dialect)
    if algorithm is not None and channel.state is State.FINISHED:
        raw = await digest_of(channel, algorithm)
        headers["Repr-Digest"] = digest.repr_digest(algorithm, raw)
    return headers


def describe(channel: Channel, dialect: Dialect) -> dict[str, str]:
    """The headers of a channel's bytes, but for their length and range."""
    headers = describe_body(channel.key, channel.meta, dialect)
    if channel.kind in _LASTING:  # of what is handed over once there is nothing to ask again
        headers |= {"ETag": channel.etag, "Accept-Ranges": "bytes"}
    if isinstance(channel, Log):
        headers |= end_of(channel, channel.size)
    return headers


def end_of(log: Log, end: int) -> dict[str, str]:
    """The headers that say where a log ends."""
    closed = {"Stream-Closed": "true"} if log.state is State.FINISHED else {}
    return {"Stream-Next-Offset": str(end), **closed}


def describe_body(key: Key, meta: Metadata, dialect: Dialect) -> dict[str, str]:
    """The headers of a body under `key`, but for its length."""
    headers = {**DATA_HEADERS}
    if meta.content_type is not None:
        headers["Content-Type"] = meta.content_type
    if meta.content_encoding is not None:
        headers["Content-Encoding"] = meta.content_encoding
    if (disposition := _disposition(key, meta, dialect)) is not None:
        headers["Content-Disposition"] = disposition
    return headers


def _disposition(key: Key, meta: Metadata, dialect: Dialect) -> str | None:
    """A browser shows only what cannot run there; everything else it saves."""
    name = meta.filename
    if dialect.raw_names and name is not None:
        return attachment_raw(name)
    if name is None and dialect.names_from_key:
        name = clean_filename(key.rstrip("/"))
    inline = is_inert(meta.content_type) and not dialect.saved
    if name is None and not dialect.saved and (inline or meta.content_type is None):
        return None
    return attachment(name, inline=inline)


async def digest_of(channel: Channel, algorithm: str) -> bytes:
    """The digest of a finished channel's bytes, remembered once it is known."""
    if algorithm not in channel.digests:
        hashing = digest.new_hash(algorithm)
        with Reader(channel) as reader:
            while chunk := await reader.read():
                await asyncio.to_thread(hashing.update, chunk)
        channel.digests[algorithm] = hashing.digest()
    return channel.digests[algorithm]


def receipt(channel: Channel, base: str, prefix: str) -> tuple[dict[str, str], str]:
    """Headers and text of the answer to an upload: one line, its URL below `base` and `prefix`."""
    headers = {"ETag": channel.etag, "Access-Control-Allow-Origin": "*", "Server": "filepipe"}
    return headers, f"{base.rstrip('/')}{prefix}/{quote_key(channel.key)}\n"


def digest_headers(channel: Channel, headers: MultiMapping[str]) -> dict[str, str]:
    """`Repr-Digest` for the answer to an upload that asked for it."""
    algorithm = digest.wanted(joined(headers, "Want-Repr-Digest"))
    if algorithm is None:
        return {}
    return {"Repr-Digest": digest.repr_digest(algorithm, channel.digests[algorithm])}
