"""A line that died without a word is noticed; an idle one is left alone."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from filepipe.client import watch
from filepipe.client.errors import Interrupted, Refused, Unreachable
from filepipe.client.watch import Sign, watched


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "BETWEEN", 0.02)
    monkeypatch.setattr(watch, "LOOK", 0.05)
    monkeypatch.setattr(watch, "SOON", 0.001)


async def _hang() -> Sign:
    await asyncio.sleep(60)
    return Sign.MOVES


async def _raise(error: Exception) -> Sign:
    raise error


async def _say(sign: Sign) -> Sign:
    return sign


@pytest.mark.parametrize(
    "look",
    [
        lambda: _say(Sign.STUCK),
        _hang,
        lambda: _raise(Unreachable("no")),
        lambda: _raise(Interrupted("no", 0)),
    ],
)
async def test_what_is_stuck_is_cut(look: Callable[[], Awaitable[Sign]]) -> None:
    """Also when nobody answers any more."""
    with pytest.raises(Interrupted, match="went silent"):
        async with asyncio.timeout(20), watched(look):
            await asyncio.sleep(60)


@pytest.mark.parametrize(
    "look",
    [
        lambda: _say(Sign.MOVES),
        lambda: _say(Sign.IDLE),
        lambda: _say(Sign.UNSURE),
        lambda: _raise(Refused(404, "no")),
    ],
)
async def test_what_is_not_is_left_alone(look: Callable[[], Awaitable[Sign]]) -> None:
    """Idle for as long as it likes."""
    async with watched(look):
        await asyncio.sleep(0.3)


async def test_once_is_not_enough() -> None:
    """A look that failed among others means nothing."""
    signs = [Sign.STUCK, Sign.MOVES] * 200
    seen = 0

    async def look() -> Sign:
        nonlocal seen
        seen += 1
        return signs.pop()

    async with watched(look):
        while seen < 6:
            await asyncio.sleep(0.01)


async def test_a_look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for it need not wait; but asking often does not make a line dead."""
    monkeypatch.setattr(watch, "BETWEEN", 30.0)
    hurry = asyncio.Event()
    looked = asyncio.Semaphore(0)

    async def look() -> Sign:
        looked.release()
        return Sign.STUCK

    async with asyncio.timeout(20), watched(look, hurry):
        for _ in range(5):
            hurry.set()
            await looked.acquire()


async def test_what_the_block_raises_comes_out() -> None:
    """Nothing of it is taken for a cut."""
    with pytest.raises(TimeoutError):
        async with watched(lambda: _say(Sign.MOVES)):
            raise TimeoutError
