"""Small messages at the counter of the doorman: both sides of `/channels/NAMESPACE/NAME`.

The answers are those of `filepipe.web.routes.httpipe`; a test compares them. A message is here
when its producer comes, so it goes to its consumer in one step.
"""

from __future__ import annotations

from filepipe.channels.channel import Metadata, Writer
from filepipe.channels.queue import unbegun
from filepipe.channels.rendezvous import Rendezvous, Seat
from filepipe.channels.state import State
from filepipe.errors import Broken, FilepipeError
from filepipe.keys import Key, parse_key
from filepipe.protocols.authority import check_host
from filepipe.protocols.httpipe import delivered_type, place_of
from filepipe.protocols.media import clean_content_type
from filepipe.protocols.plain import PlainRequest
from filepipe.web import access_log, refusals
from filepipe.web.context import Context
from filepipe.web.doorman import MAX_BODY, Answer, Carried
from filepipe.web.routes import httpipe, pipes


class SmallMessages:
    """Producers and consumers whose messages are small and whole."""

    def __init__(self, context: Context, *, loopback_only: bool) -> None:
        self._context = context
        self._loopback_only = loopback_only

    def channel(self, request: PlainRequest) -> Key | None:
        """The key of the channel that is meant; None where it is none."""
        check_host(request.host, True, self._loopback_only)
        key = parse_key(request.path)
        place = place_of(key)
        return None if place is None or place.name is None else key

    async def produce(self, request: PlainRequest, key: Key) -> Answer:
        """Give the body to the next consumer; return when it has it.

        Raises `NobodyCame`, `Broken`, and what `Queues.offer` raises.
        """
        context = self._context
        context.pumps.check_length(len(request.body))
        wait = context.rules.request_timeout
        meta = Metadata(
            length=len(request.body),
            content_type=delivered_type(clean_content_type(request.content_type)),
        )
        with context.service.queues.offer(key, meta) as offer:
            while True:
                rendezvous = await offer.pair(wait)
                if rendezvous is None:
                    raise httpipe.nobody("consumer", wait)
                # from here on the message may be delivered, so it is not begun anew
                request.committed = True
                try:
                    await self._give(rendezvous, meta, request.body)
                except Broken:
                    if not unbegun(rendezvous):
                        raise
                    request.committed = False
                    continue
                context.service.statistics.bytes_in += len(request.body)
                return Answer(200, dict(httpipe.HEADERS), b"")

    async def _give(self, rendezvous: Rendezvous, meta: Metadata, body: bytes) -> None:
        """Give the message. Raises `Broken` when the consumer left before it had everything."""
        with self._context.pumps.counted("in"):
            await rendezvous.start(self._context.service.windows, meta)
            async with Writer(rendezvous) as writer:
                if body:
                    await writer.write((body,))
            await rendezvous.settled()
            if not rendezvous.received:
                raise Broken("the receiver left before it had everything")

    async def consume(self, key: Key) -> Answer | Carried:
        """The next message; what is not small, or not whole yet, takes the seat elsewhere.

        Raises `NobodyCame`, `Broken`, and what `Queues.take` raises.
        """
        wait = self._context.rules.request_timeout
        seat = await self._context.service.queues.take(self, key, wait)
        if seat is None:
            raise httpipe.nobody("producer", wait)
        try:
            answer = await self._message(seat)
        except BaseException:
            seat.leave()
            raise
        return answer

    async def _message(self, seat: Seat) -> Answer | Carried:
        reader = await seat.started()
        rendezvous = seat.rendezvous
        if rendezvous.state is not State.FINISHED or rendezvous.size > MAX_BODY:
            return Carried(seat)
        body = b""
        while chunk := await reader.read():
            body += chunk
        rendezvous.touch()
        headers = pipes.describe(rendezvous, httpipe.DIALECT)
        return Answer(200, headers, body, on_flushed=lambda whole: self._end(seat, body, whole))

    def _end(self, seat: Seat, body: bytes, whole: bool) -> None:
        statistics = self._context.service.statistics
        statistics.transfers["out", "finished" if whole else "broken"] += 1
        if whole:
            statistics.bytes_out += len(body)
            seat.received()
        else:
            seat.leave()


class HttpipeCounter:
    """The counter of one `httpipe` listener; `loopback_only` as for `Entry`."""

    def __init__(self, context: Context, *, loopback_only: bool) -> None:
        self._context = context
        self._messages = SmallMessages(context, loopback_only=loopback_only)

    def put(self, request: PlainRequest) -> Answer | None:
        """The protocol has no PUT."""
        return None

    async def post(self, request: PlainRequest) -> Answer | None:
        """A producer."""
        key = self._messages.channel(request)
        return None if key is None else await self._messages.produce(request, key)

    async def get(self, request: PlainRequest) -> Answer | Carried | None:
        """A consumer."""
        key = self._messages.channel(request)
        return None if key is None else await self._messages.consume(key)

    def refuse(self, error: FilepipeError) -> Answer:
        """As the protocol answers: some statuses without a sentence."""
        headers = {**refusals.headers_of(error), "Content-Type": "text/plain; charset=utf-8"}
        text = "" if error.status in httpipe.EMPTY else str(error)
        return Answer(error.status, headers, text.encode(), last=refusals.closes(error))

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
