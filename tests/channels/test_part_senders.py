"""One sender for each part, and none that is dead."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from filepipe.channels import part_senders
from filepipe.channels.part_senders import PartSenders
from filepipe.channels.upload_placing import Placed, Placing
from filepipe.errors import Broken, Busy, Gone
from filepipe.storage.interface import Draft
from filepipe.testing import turns


async def _comes(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def _hangs(first: bytes = b"x") -> AsyncIterator[bytes]:
    yield first
    await asyncio.sleep(60)
    yield b"never"


async def _take(senders: PartSenders, body: AsyncIterator[bytes], number: int = 0) -> bytes:
    async with senders.sending(number, body) as heard:
        return b"".join([chunk async for chunk in heard])


async def test_one_after_the_other() -> None:
    """Each gets what it sent, and then nobody is there."""
    senders = PartSenders()
    for body in (b"one", b"two"):
        assert await _take(senders, _comes(body, body)) == 2 * body
        assert not senders
    await senders.wait()


async def test_the_second_one_is_refused() -> None:
    """Of the same part; another part has its own."""
    senders = PartSenders()
    first = asyncio.create_task(_take(senders, _hangs()))
    await asyncio.sleep(0)
    with pytest.raises(Busy, match="part 0 is being sent already"):
        await _take(senders, _comes(b"y"))
    assert await _take(senders, _comes(b"y"), 1) == b"y"
    first.cancel()
    await asyncio.wait({first})
    assert await _take(senders, _comes(b"y")) == b"y"


@pytest.mark.parametrize("body", [_hangs(), _hangs(b"")], ids=["in the middle", "at once"])
async def test_a_silent_one_is_ended(
    monkeypatch: pytest.MonkeyPatch, body: AsyncIterator[bytes]
) -> None:
    """By whoever comes for the same part, who may send when that one has let go."""
    monkeypatch.setattr(part_senders, "SILENT", 0.05)
    senders = PartSenders()
    first = asyncio.create_task(_take(senders, body))
    await asyncio.sleep(0.1)
    with pytest.raises(Busy):
        await _take(senders, _comes(b"y"))
    with pytest.raises(Broken, match="another sender sends this part"):
        await first
    assert await _take(senders, _comes(b"y")) == b"y"


async def test_whoever_is_busy_storing_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow disk is no dead line."""
    monkeypatch.setattr(part_senders, "SILENT", 0.02)
    senders = PartSenders()

    async def store() -> None:
        async with senders.sending(0, _comes(b"x")) as heard:
            async for _ in heard:
                await asyncio.sleep(0.2)
            await asyncio.sleep(0.2)

    first = asyncio.create_task(store())
    for _ in range(3):
        await asyncio.sleep(0.1)
        with pytest.raises(Busy):
            await _take(senders, _comes(b"y"))
    await first


async def test_everybody_is_ended() -> None:
    """Those who are there, and those who come, with the reason."""
    senders = PartSenders()
    first = asyncio.create_task(_take(senders, _hangs()))
    await asyncio.sleep(0)
    senders.end(Gone("it was cancelled"))
    await senders.wait()
    for sending in (first, _take(senders, _comes(b"y"))):
        with pytest.raises(Gone, match="it was cancelled"):
            await sending


class _Places:
    """A body that the kernel writes; its sender says something when `placed` is told so."""

    placed: Placed

    async def __aiter__(self) -> AsyncIterator[bytes]:
        raise AssertionError("it is placed")
        yield b""

    def can_place(self, size: int) -> bool:
        return size == 9

    async def place(self, placed: Placed) -> bool:
        self.placed = placed
        await asyncio.Event().wait()
        return True


async def test_a_silent_one_whose_bytes_the_kernel_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is known by what reaches the file; one that speaks is not ended."""
    monkeypatch.setattr(part_senders, "SILENT", 0.05)
    senders, body = PartSenders(), _Places()

    async def take() -> None:
        async with senders.sending(0, body) as heard:
            assert isinstance(heard, Placing)
            assert heard.can_place(9)
            await heard.place(Placed(cast(Draft, None), -1, 0, 9))

    first = asyncio.create_task(take())
    await asyncio.sleep(0.15)
    body.placed.reached(body.placed.position)
    with pytest.raises(Busy):
        await _take(senders, _comes(b"y"))
    await turns()
    assert not first.done()
    await asyncio.sleep(0.15)
    with pytest.raises(Busy):
        await _take(senders, _comes(b"y"))
    with pytest.raises(Broken, match="another sender"):
        await first
