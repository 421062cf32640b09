"""The phases of going down, without a process and without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from filepipe.shutdown import Phase, Shutdown

FOREVER = 1e6


class Transfers:
    """So many transfers are under way."""

    def __init__(self, busy: int) -> None:
        self.busy = busy

    def __call__(self) -> int:
        return self.busy


async def to_drain(busy: Callable[[], int], drain_timeout: float = FOREVER) -> Shutdown:
    """One that got its first signal."""
    shutdown = Shutdown(busy, drain_timeout)
    shutdown.signal()
    await shutdown.asked()
    return shutdown


async def test_it_serves_until_the_first_signal() -> None:
    """Nothing happens without a signal."""
    shutdown = Shutdown(Transfers(0), FOREVER)
    asked = asyncio.create_task(shutdown.asked())
    await asyncio.sleep(0)
    assert not asked.done()
    assert shutdown.phase is Phase.RUNNING
    shutdown.signal()
    await asked
    assert shutdown.phase is Phase.DRAINING


async def test_idle_it_stops_at_once() -> None:
    """With nothing under way there is nothing to wait for."""
    shutdown = await to_drain(Transfers(0))
    assert await shutdown.drained() == 0
    assert shutdown.phase is Phase.STOPPING


async def test_it_stops_when_the_last_transfer_ends() -> None:
    """Draining lasts exactly as long as somebody is busy."""
    transfers = Transfers(2)
    shutdown = await to_drain(transfers)
    drained = asyncio.create_task(shutdown.drained())
    for busy in (2, 1):
        transfers.busy = busy
        done, _ = await asyncio.wait({drained}, timeout=0.12)
        assert not done
        assert shutdown.phase is Phase.DRAINING
    transfers.busy = 0
    assert await drained == 0
    assert shutdown.phase is Phase.STOPPING


async def test_the_deadline_ends_it() -> None:
    """What still runs then is counted, to be cut."""
    shutdown = await to_drain(Transfers(3), drain_timeout=0.1)
    assert await shutdown.drained() == 3
    assert shutdown.phase is Phase.STOPPING


@pytest.mark.parametrize("late", [False, True])
async def test_the_second_signal_ends_it(*, late: bool) -> None:
    """Whoever insists is obeyed, whether the draining has begun already or not."""
    shutdown = await to_drain(Transfers(3))
    if not late:
        shutdown.signal()
    drained = asyncio.create_task(shutdown.drained())
    await asyncio.sleep(0)
    if late:
        shutdown.signal()
    assert await drained == 3


async def test_two_signals_before_anybody_looked() -> None:
    """Signals that arrive together count as two."""
    shutdown = Shutdown(Transfers(1), FOREVER)
    shutdown.signal()
    shutdown.signal()
    await shutdown.asked()
    assert await shutdown.drained() == 1


async def test_a_third_signal_changes_nothing() -> None:
    """An impatient person does no harm."""
    shutdown = await to_drain(Transfers(1))
    shutdown.signal()
    assert await shutdown.drained() == 1
    shutdown.signal()
    assert shutdown.phase is Phase.STOPPING


async def test_whoever_asks_for_a_while_is_told_of_a_signal() -> None:
    """At once, also after it; without one the time passes."""
    shutdown = Shutdown(Transfers(0), FOREVER)
    assert not await shutdown.asked_within(0.001)
    asking = asyncio.create_task(shutdown.asked_within(FOREVER))
    await asyncio.sleep(0)
    shutdown.signal()
    assert await asking
    assert await shutdown.asked_within(FOREVER)
