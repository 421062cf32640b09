"""The narrator: what is said is written, in order, at once, and all of it before the end."""

from __future__ import annotations

import asyncio

import pytest

from filepipe.web.narrator import Narrator
from filepipe.web.stall import Watch


class Answer:
    """Keeps what is written; fails when its peer is `gone`, and waits while it is `full`."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.gone = False
        self.full = False

    async def write(self, data: bytes) -> None:
        if self.full:
            await asyncio.Event().wait()
        if self.gone:
            raise ConnectionResetError
        await asyncio.sleep(0)
        self.written.append(data.decode())

    async def until(self, count: int) -> list[str]:
        """So many lines, when they are there."""
        async with asyncio.timeout(10):
            while len(self.written) < count:
                await asyncio.sleep(0.001)
        return self.written


def remind(seconds: float) -> str:
    """A line of its own kind."""
    return f"{seconds:.0f} seconds"


def patience() -> Watch:
    """More than a test needs."""
    return Watch(10.0, "took")


async def test_each_line_is_written_at_once() -> None:
    """Not only at the end; and the end waits for the last one."""
    answer, narrator = Answer(), Narrator(0.0, remind, patience)
    narrator.say("before")
    async with narrator.telling(answer):  # type: ignore[arg-type]
        assert await answer.until(1) == ["before\n"]
        narrator.say("one")
        assert await answer.until(2) == ["before\n", "one\n"]
        narrator.say("two")
        narrator.say("three")
    assert answer.written == ["before\n", "one\n", "two\n", "three\n"]


async def test_all_is_written_after_a_failure() -> None:
    """What is said last tells why."""
    answer, narrator = Answer(), Narrator(0.0, remind, patience)

    async def fail() -> None:
        async with narrator.telling(answer):  # type: ignore[arg-type]
            narrator.say("why")
            raise ValueError("it")

    with pytest.raises(ValueError, match="it"):
        await fail()
    assert answer.written == ["why\n"]


async def test_nobody_listens_any_more() -> None:
    """That is not the narrator's trouble."""
    answer, narrator = Answer(), Narrator(0.0, remind, patience)
    async with narrator.telling(answer):  # type: ignore[arg-type]
        answer.gone = True
        narrator.say("one")
        await asyncio.sleep(0.01)
        narrator.say("two")
    assert answer.written == []


async def test_nobody_takes_anything_any_more() -> None:
    """Then it does not wait for ever, and what it tells of is not disturbed."""
    answer, narrator = Answer(), Narrator(0.0, remind, lambda: Watch(0.05, "took"))
    answer.full = True
    async with narrator.telling(answer):  # type: ignore[arg-type]
        narrator.say("one")
        await asyncio.sleep(0.2)
        narrator.say("two")
    assert answer.written == []


async def test_reminders() -> None:
    """One after each time in which nothing was said, until there is nothing to wait for."""
    answer, narrator = Answer(), Narrator(0.01, remind, patience)
    async with narrator.telling(answer):  # type: ignore[arg-type]
        narrator.say("one")
        assert await answer.until(3) == ["one\n", "0 seconds\n", "0 seconds\n"]
        narrator.stop_reminding()
        await asyncio.sleep(0.03)
        said = len(answer.written)
        await asyncio.sleep(0.03)
        assert len(answer.written) == said
        narrator.say("two")
    assert answer.written[said:] == ["two\n"]


async def test_one_piece() -> None:
    """For who reads no answer before its end."""
    narrator = Narrator(0.01, remind, patience)
    assert narrator.collected() == ""
    narrator.say("one")
    narrator.say("two")
    assert narrator.collected() == "one\ntwo\n"
    assert narrator.collected() == ""
