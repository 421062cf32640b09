"""Rendezvous: a sender waits for his receivers and hands over live, for every front that has it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from aiohttp import web

from filepipe.channels.channel import Metadata
from filepipe.channels.rendezvous import Rendezvous
from filepipe.errors import BadRequest, Broken, FilepipeError, NobodyCame
from filepipe.keys import Key
from filepipe.sizes import format_duration
from filepipe.web.bodies import check_expectation, is_form, metadata_of
from filepipe.web.context import Context
from filepipe.web.parcel import Bring


@contextlib.contextmanager
def offered(
    context: Context, request: web.BaseRequest, key: Key, number: int, *, forms: bool
) -> Iterator[Rendezvous]:
    """Take the key for a sender until the block ends; `forms` if of a form a part is meant.

    Raises `BadRequest` and what `Meetings.offer` raises; nothing of the body is read.
    """
    meta = offered_meta(context, request)
    if forms and is_form(request):  # who asks must not see the form's length and type
        meta = Metadata(labels=meta.labels)
    rendezvous = context.service.meetings.offer(key, number, meta)
    try:
        yield rendezvous
    except BaseException as error:
        if rendezvous.open:
            failure = error if isinstance(error, FilepipeError) else Broken("the sender left")
            rendezvous.break_off(failure)
        raise


def offered_meta(context: Context, request: web.BaseRequest) -> Metadata:
    """What a sender says of his body. Raises `BadRequest`, `ExpectationFailed` or `TooLarge`."""
    if "Content-Range" in request.headers:
        raise BadRequest("Content-Range is not supported here")
    context.pumps.check_length(request.content_length)
    check_expectation(request)
    return metadata_of(request)


async def hand_over(
    context: Context,
    request: web.BaseRequest,
    rendezvous: Rendezvous,
    wait: float,
    bring: Bring,
    on_full: Callable[[], None] | None = None,
) -> None:
    """Wait up to `wait` seconds for the receivers and give them what `bring` brings.

    `on_full` is called when all are there. Raises `NobodyCame`, `Broken` when not all of them got
    everything, and what ended it otherwise.
    """
    with context.handover.watch_departure(request) as departed:
        await _gathered(rendezvous, wait)
        if on_full is not None:
            on_full()
        departed.begin_reading()
        await context.handover.give(request, rendezvous, bring)


async def _gathered(rendezvous: Rendezvous, wait: float) -> None:
    try:
        async with asyncio.timeout(wait):
            await rendezvous.gathered()
    except TimeoutError:
        if rendezvous.closed:  # the last one came at the last moment, and counts on it
            return
        came, number = len(rendezvous.seats), rendezvous.number
        who = "nobody" if came == 0 else f"only {came} of {number} receivers"
        raise NobodyCame(f"{who} came within {format_duration(wait)}") from None
