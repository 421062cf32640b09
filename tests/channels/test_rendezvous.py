"""A rendezvous: it gathers, it starts with those who are there, it is over once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from filepipe.accountant import Budget
from filepipe.channels.channel import Kind, Metadata, Writer
from filepipe.channels.rendezvous import Happening, Rendezvous
from filepipe.channels.window import Windows
from filepipe.errors import Broken, Draining, Gone
from filepipe.keys import Key
from filepipe.testing import turns

LIMIT = 1024 * 1024


class Host:
    """Who keeps the rendezvous: forgets it at its end, and discards its bytes."""

    def __init__(self) -> None:
        self.budget = Budget("memory", LIMIT)
        self.windows = Windows(self.budget)
        self.over: list[Rendezvous] = []
        self.discards: list[asyncio.Task[None]] = []

    def changed(self, channel) -> None:
        if channel.ended is not None and not channel.forgotten:
            channel.forget()

    def waste(self, blob) -> None:
        self.discards.append(asyncio.ensure_future(blob.discard()))

    def meet(self, number: int) -> Rendezvous:
        return Rendezvous(Key("key"), Kind.RENDEZVOUS, number, self, self.over.append)


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    """At the end nothing of what it kept is held."""
    host = Host()
    yield host
    await asyncio.gather(*host.discards)
    assert host.budget.used == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def send(host: Host, rendezvous: Rendezvous, *chunks: bytes) -> None:
    """The sender's side, from the gathering to the last byte."""
    await rendezvous.gathered()
    await rendezvous.start(host.windows, Metadata())
    async with Writer(rendezvous) as writer:
        for chunk in chunks:
            await writer.write([chunk])


async def receive(seat) -> bytes:
    """The receiver's side; leaves with everything, or with an exception."""
    with seat:
        reader = await seat.started()
        data = b""
        while chunk := await reader.read():
            data += chunk
        seat.received()
    return data


async def test_everybody_gets_everything(host):
    """Two receivers, whoever came first, and then it is over, once."""
    rendezvous = host.meet(2)
    tasks = [asyncio.create_task(receive(rendezvous.sit(None)))]
    tasks.append(asyncio.create_task(send(host, rendezvous, b"hello ", b"world")))
    await turns()
    assert not rendezvous.closed
    tasks.append(asyncio.create_task(receive(rendezvous.sit(None))))
    assert rendezvous.closed
    assert await asyncio.gather(*tasks) == [b"hello world", None, b"hello world"]
    assert (rendezvous.received, rendezvous.aborted) == (2, 0)
    assert host.over == [rendezvous]


async def test_a_seat_is_free_again_until_all_are_taken(host):
    """Who leaves while it gathers is no abort; his seat can be taken once more."""
    rendezvous = host.meet(2)
    told = []
    rendezvous.on_happening = told.append
    first = rendezvous.sit("first")
    first.leave()
    first.leave()
    assert (rendezvous.seats, rendezvous.aborted, rendezvous.closed) == ([], 0, False)
    seats = [rendezvous.sit(n) for n in range(2)]
    assert [seat.guest for seat in rendezvous.seats] == [0, 1]
    assert told == [Happening.CONNECTED] * 3
    for seat in seats:
        seat.leave()
    assert host.over == [rendezvous]


async def test_a_sender_who_waits_is_told(host):
    """Whatever ends it, although nobody knows it any more then."""
    rendezvous = host.meet(1)
    waiting = asyncio.create_task(rendezvous.gathered())
    await turns()
    rendezvous.break_off(Draining("server is shutting down"))
    with pytest.raises(Draining):
        await waiting
    assert host.over == [rendezvous]


@pytest.mark.parametrize("started", [False, True])
async def test_what_was_broken_off_was_not_deserted(host, started):
    """The receiver leaves because of it, and so it is over."""
    rendezvous = host.meet(1)
    seat = rendezvous.sit(None)
    if started:
        await rendezvous.start(host.windows, Metadata())
    rendezvous.break_off(Gone("the channel was removed"))
    with pytest.raises(Gone):
        await seat.started()
    seat.leave()
    assert not rendezvous.deserted
    assert host.over == [rendezvous]


async def test_a_first_byte_that_nobody_took(host):
    """A sender who waits for that reads no more of his body."""
    rendezvous = host.meet(1)
    seat = rendezvous.sit(None)
    await rendezvous.start(host.windows, Metadata())
    waiting = asyncio.create_task(rendezvous.tried())
    await turns()
    assert not waiting.done()
    seat.leave()
    with pytest.raises(Broken):
        await waiting
    assert rendezvous.deserted
