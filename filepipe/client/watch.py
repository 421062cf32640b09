"""A connection that died without a word is noticed by asking on another one.

TCP says nothing of a line that is cut silently, for minutes or for ever, and a pipe may be idle for
as long as it likes. So whoever transfers looks, over a fresh connection, whether the server has
what ours should have moved. Two looks in a row at which it is stuck are enough.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import Enum, auto
from typing import Final

from filepipe.client.errors import Interrupted, Refused, Unreachable

# Seconds between two looks, and those that one may take: a cut is noticed within 13.
BETWEEN: Final = 3.0
LOOK: Final = 5.0
# Who is idle is looked at more and more rarely.
IDLE_BETWEEN: Final = 30.0
# The first look of one who wants to know something soon.
SOON: Final = 0.05


class Sign(Enum):
    """What a look showed."""

    MOVES = auto()
    IDLE = auto()
    """There is nothing to move."""
    STUCK = auto()
    UNSURE = auto()
    """It is too early to say: look again soon."""


Look = Callable[[], Awaitable[Sign]]


@asynccontextmanager
async def watched(look: Look, hurry: asyncio.Event | None = None) -> AsyncIterator[None]:
    """Raise `Interrupted` in this block when the line is stuck.

    `hurry` asks for a look at once. A look without an answer shows what is stuck, one that is
    refused what is idle.
    """
    watcher: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(None) as life:
            watcher = asyncio.create_task(_watch(look, life, hurry or asyncio.Event()))
            yield
    except TimeoutError:
        if not life.expired():
            raise
        raise Interrupted("the line went silent", 0) from None
    finally:
        if watcher is not None:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)


async def _watch(look: Look, life: asyncio.Timeout, hurry: asyncio.Event) -> None:
    clock = asyncio.get_running_loop().time
    pause, soon, seldom = BETWEEN, SOON, BETWEEN
    stuck_since: float | None = None
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await hurry.wait()
        hurry.clear()
        began = clock()
        sign = await _looked(look)
        pause = max(0.0, BETWEEN - (clock() - began))
        if sign is not Sign.STUCK:
            stuck_since = None
        elif stuck_since is None:
            stuck_since = began
        elif began - stuck_since >= BETWEEN:
            break
        if sign is Sign.UNSURE:
            pause, soon = soon, min(2 * soon, BETWEEN)
        seldom = min(2 * seldom, IDLE_BETWEEN) if sign is Sign.IDLE else BETWEEN
        if sign is Sign.IDLE:
            pause = seldom
    life.reschedule(clock())


async def _looked(look: Look) -> Sign:
    try:
        async with asyncio.timeout(LOOK):
            return await look()
    except (Unreachable, Interrupted, TimeoutError):
        return Sign.STUCK
    except Refused:
        return Sign.IDLE
