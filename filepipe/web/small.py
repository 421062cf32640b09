"""Small plain transfers of the protocol `auto`, at the counter of the doorman.

The answers are those of `filepipe.web.auto`; a test compares them.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from filepipe.channels.channel import Channel, Kind, Metadata, Reader, Writer
from filepipe.channels.state import State
from filepipe.errors import FilepipeError, NotFound
from filepipe.keys import Key, is_reserved, parse_key
from filepipe.protocols.authority import check_host
from filepipe.protocols.media import clean_content_type, multipart_boundary
from filepipe.protocols.plain import PlainRequest
from filepipe.web import access_log, refusals
from filepipe.web.context import Context
from filepipe.web.doorman import MAX_BODY, Answer, Carried
from filepipe.web.routes import pipes
from filepipe.web.small_messages import SmallMessages


class SmallTransfers:
    """The counter of one `auto` listener; `scheme` of its URLs, `loopback_only` as for `Entry`."""

    def __init__(
        self, context: Context, dialect: pipes.Dialect, scheme: str, *, loopback_only: bool
    ) -> None:
        self._context = context
        self._dialect = dialect
        self._scheme = scheme
        self._loopback_only = loopback_only
        self._messages = SmallMessages(context, loopback_only=loopback_only)

    def put(self, request: PlainRequest) -> Answer | None:
        """Store a body that memory has room for."""
        if (key := self._key(request)) is None:
            return None
        context = self._context
        size = len(request.body)
        if multipart_boundary(request.content_type) is not None or not self._fits(size):
            return None
        context.pumps.check_length(size)
        channel = context.service.directory.claim(key, Kind.PIPE, self._dialect.retention)
        _at_once(self._store(channel, request))
        statistics = context.service.statistics
        statistics.bytes_in += size
        statistics.transfers["in", "finished"] += 1
        base = context.rules.public_url or f"{self._scheme}://{request.host}"
        headers, text = pipes.receipt(channel, base, "")
        return Answer(200, {**headers, "Content-Type": "text/plain; charset=utf-8"}, text.encode())

    async def post(self, request: PlainRequest) -> Answer | None:
        """A message for a channel; a rendezvous is met elsewhere."""
        key = self._messages.channel(request)
        return None if key is None else await self._messages.produce(request, key)

    async def get(self, request: PlainRequest) -> Answer | Carried | None:
        """Wait for the key, then give what is whole and small."""
        if (key := self._key(request)) is None:
            channel_key = self._messages.channel(request)
            return None if channel_key is None else await self._messages.consume(channel_key)
        service = self._context.service
        channel = await service.directory.wait(key, self._context.rules.wait)
        if channel is None:
            raise NotFound("key not found")
        if channel.kind is not Kind.PIPE or channel.state is not State.FINISHED:
            return None
        if channel.size > MAX_BODY:
            return None
        with Reader(channel) as reader:
            channel.was_read()
            body = b""
            while chunk := await reader.read():
                body += chunk
        service.statistics.bytes_out += len(body)
        service.statistics.transfers["out", "finished"] += 1
        headers = pipes.describe(channel, self._dialect)
        if body:  # of nothing there is no type, unless it was given one
            headers.setdefault("Content-Type", "application/octet-stream")
        return Answer(200, headers, body)

    def refuse(self, error: FilepipeError) -> Answer:
        """The sentence, as `refusals.answer` gives it."""
        headers = {**refusals.headers_of(error), "Content-Type": "text/plain; charset=utf-8"}
        return Answer(error.status, headers, f"{error}\n".encode(), last=refusals.closes(error))

    def begin(self) -> str:
        """A new request id."""
        return access_log.next_request_id()

    def record(
        self, request: PlainRequest, request_id: str, remote: str, status: int, size: int,
        started: float,
    ) -> None:  # fmt: skip
        """Write the line in the log."""
        access_log.record_plain(
            self._context.service.statistics, request, request_id, remote, status, size, started
        )

    def _key(self, request: PlainRequest) -> Key | None:
        """The key; None where the name is not a key's."""
        check_host(request.host, True, self._loopback_only)
        key = parse_key(request.path)
        return None if is_reserved(key) else key

    def _fits(self, size: int) -> bool:
        """Whether storing `size` bytes cannot wait for a disk."""
        return (
            size <= self._context.rules.spill_threshold
            and self._context.service.accountant.memory.fits(size)
        )

    async def _store(self, channel: Channel, request: PlainRequest) -> None:
        async with Writer(channel) as writer:
            meta = Metadata(
                length=len(request.body), content_type=clean_content_type(request.content_type)
            )
            await channel.publish(self._context.service.storage, meta)
            if request.body:
                await writer.write((request.body,))


def _at_once(work: Coroutine[Any, Any, None]) -> None:
    """Run what never waits to its end, without a task."""
    try:
        work.send(None)
    except StopIteration:
        return
    work.close()
    raise RuntimeError("storing a small body in memory waited")
