"""The window: what all have taken is let go, and the sender waits for the slowest."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filepipe.accountant import Budget
from filepipe.channels.window import HELD, RESERVE, Window, Windows
from filepipe.errors import OverBudget
from filepipe.testing import turns

KIB = 1024


@pytest.fixture
def budget() -> Budget:
    """Memory for a little more than two windows."""
    return Budget("memory", 2 * RESERVE + 100)


@pytest.fixture
async def window(budget: Budget):
    """An empty window, whose bytes are paid for as long as it is there."""
    window = await Windows(budget).create()
    assert budget.used == RESERVE
    yield window
    await window.discard()
    assert budget.used == 0


def held(window: Window) -> int:
    """Bytes that are in the window."""
    return sum(map(len, window._chunks))


async def test_a_receiver_reads_what_was_sent(window):
    """In order, in pieces of any size, and nothing beyond the end."""
    window.enter("a")
    await window.append([b"hello ", b"", b"world"])
    assert window.size == 11
    assert await window.read(0, 100) == b"hello "
    assert await window.read(2, 3) == b"llo"
    assert await window.read(6, 100) == b"world"
    assert await window.read(8, 2) == b"rl"
    assert await window.read(11, 100) == b""
    await window.finish()


async def test_a_chunk_is_not_copied(window):
    """A whole chunk goes to every receiver as the object that it is."""
    window.enter("a")
    window.enter("b")
    chunk = bytes(1000)
    await window.append([chunk])
    assert await window.read(0, 1000) is chunk
    assert await window.read(0, 2000) is chunk


async def test_what_everybody_took_is_let_go(window):
    """And nothing before that: another receiver may still want it."""
    window.enter("a")
    window.enter("b")
    await window.append([bytes(1000), bytes(1000)])
    window.took("a", 2000)
    assert held(window) == 2000
    window.took("b", 999)
    assert held(window) == 2000
    window.took("b", 1000)
    assert held(window) == 1000
    window.leave("b")
    assert held(window) == 0


async def test_the_slowest_sets_the_pace(window):
    """The sender waits while the slowest holds up too much, and no longer."""
    window.enter("slow")
    window.enter("quick")
    await window.append([b"x", bytes(HELD - 1)])
    waiting = asyncio.create_task(window.append([b"x"]))
    await turns()
    window.took("quick", HELD)
    await turns()
    assert not waiting.done()
    window.took("slow", 1)
    await asyncio.wait_for(waiting, 1)
    assert window.size == HELD + 1


async def test_who_leaves_holds_nobody_up(window):
    """The slowest that is there sets the pace; without anybody there is none."""
    window.enter("slow")
    window.enter("quick")
    await window.append([bytes(HELD)])
    window.took("quick", HELD)
    waiting = asyncio.create_task(window.append([bytes(HELD)]))
    await turns()
    assert not waiting.done()
    window.leave("slow")
    await asyncio.wait_for(waiting, 1)
    window.leave("slow")
    window.leave("quick")
    assert held(window) == 0
    await asyncio.wait_for(window.append([bytes(HELD), bytes(HELD)]), 1)
    await asyncio.wait_for(window.append([bytes(HELD)]), 1)


async def test_a_chunk_that_was_taken_in_part_counts_whole(window):
    """As long as its last byte is needed, all of it is in memory."""
    window.enter("a")
    await window.append([bytes(3 * HELD)])
    waiting = asyncio.create_task(window.append([b"x"]))
    window.took("a", 3 * HELD - 1)
    await turns()
    assert not waiting.done()
    window.took("a", 3 * HELD)
    await asyncio.wait_for(waiting, 1)


async def test_a_cancelled_sender(window):
    """What he was about to add is not there, and nothing waits for him."""
    window.enter("a")
    await window.append([bytes(HELD)])
    waiting = asyncio.create_task(window.append([b"x"]))
    await turns()
    waiting.cancel()
    await asyncio.wait([waiting])
    window.took("a", HELD)
    assert window.size == HELD
    await window.append([b"y"])
    assert await window.read(HELD, 10) == b"y"


@pytest.mark.parametrize(
    ("expected", "reserved"), [(None, RESERVE), (0, 0), (10, 10), (10**12, RESERVE)]
)
async def test_it_is_paid_for_when_it_is_made(budget, expected, reserved):
    """For a small body no more than it has; for a large one what is ever held of it."""
    windows = Windows(budget)
    window = await windows.create(expected)
    assert budget.used == reserved
    window.enter("a")
    await window.discard()
    await window.discard()
    assert budget.used == 0
    await windows.aclose()


async def test_a_full_memory_refuses(budget):
    """The newcomer is sent away, and nothing of it stays behind."""
    windows = Windows(budget)
    first, second = await windows.create(), await windows.create()
    with pytest.raises(OverBudget, match="memory quota exceeded"):
        await windows.create()
    await first.discard()
    third = await windows.create()
    await second.discard()
    await third.discard()
    assert budget.used == 0


@settings(max_examples=60)
@given(st.data())
def test_any_order(data):
    """Everybody gets every byte, and never more is held than is paid for."""
    asyncio.run(_any_order(data))


async def _any_order(data: st.DataObject) -> None:
    chunks = data.draw(st.lists(st.integers(1, 384 * KIB), max_size=6))
    window = await Windows(Budget("memory", None)).create()
    offsets = dict.fromkeys(range(data.draw(st.integers(1, 3))), 0)
    for who in offsets:
        window.enter(who)

    async def send() -> None:
        for number, size in enumerate(chunks):
            await window.append([bytes([number]) * size])

    sender = asyncio.create_task(send())
    sent = b"".join(bytes([number]) * size for number, size in enumerate(chunks))
    while offsets:
        await turns()
        assert held(window) <= RESERVE
        able = [who for who, offset in offsets.items() if offset < window.size]
        if not able:
            break
        who = data.draw(st.sampled_from(able))
        if data.draw(st.integers(0, 9)) == 0:
            window.leave(who)
            del offsets[who]
            continue
        window.took(who, offsets[who])
        block = await window.read(offsets[who], data.draw(st.sampled_from([20 * KIB, 128 * KIB])))
        assert block == sent[offsets[who] : offsets[who] + len(block)] != b""
        offsets[who] += len(block)
        window.took(who, offsets[who])
    await asyncio.wait_for(sender, 1)
    assert set(offsets.values()) <= {len(sent)}
