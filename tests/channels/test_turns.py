"""Turns at an upload: one at a time, and whoever comes ends whoever is there."""

from __future__ import annotations

import asyncio

import pytest

from filepipe.channels import turns as turns_module
from filepipe.channels.turns import Turns
from filepipe.errors import Broken, Busy, Draining
from filepipe.testing import turns


async def stay(at: Turns, log: list[str], name: str) -> None:
    """Be there until somebody comes."""
    await at.take()
    try:
        async with at.endable():
            log.append(name)
            await asyncio.Event().wait()
    finally:
        at.release()


async def test_the_newest_wins() -> None:
    """Of those who wait only the last one begins; the others hear why not."""
    at, log = Turns(), list[str]()
    tasks = []
    for name in "abcd":
        tasks.append(asyncio.create_task(stay(at, log, name)))
        if name == "a":
            await turns()
    await turns()
    assert log == ["a", "d"]
    for task in tasks[:3]:
        with pytest.raises(Broken, match="another request"):
            await task
    at.end(Draining("down"))
    with pytest.raises(Draining):
        await tasks[3]
    assert not at.taken


async def test_who_does_not_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for that for ever, and the turn is not lost by it."""
    monkeypatch.setattr(turns_module, "TAKE_OVER", 0.01)
    at = Turns()
    await at.take()
    with pytest.raises(Busy):
        await at.take()
    at.release()
    await at.take()
    at.release()


async def test_a_timeout_of_somebody_else_is_theirs() -> None:
    """It is not taken for the end of the turn."""
    at = Turns()
    await at.take()
    with pytest.raises(TimeoutError):
        async with at.endable(), asyncio.timeout(0):
            await asyncio.Event().wait()
    at.release()
