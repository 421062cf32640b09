"""How far an upload in parts is."""

import asyncio
import contextlib

import pytest

from filepipe.client import part_meter
from filepipe.client.errors import Interrupted
from filepipe.client.part_meter import Meter, Tally


class Heard:
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.said: list[object] = []

    def begin(self, total: int | None, done: int) -> None:
        self.said.append((total, done))

    def advance(self, count: int) -> None:
        self.said.append(count)

    def note(self, text: str) -> None:
        self.said.append(text)


def test_two_parts_at_once() -> None:
    """What is stored and what is on its way add up; what is lost is taken back."""
    heard = Heard()
    tally = Tally(100, heard)
    tally.stored(10)
    tally.show()
    with Meter(tally, 30) as one:
        one.advance(30)
        with contextlib.suppress(LookupError), Meter(tally, 30) as two:
            two.advance(20)
            raise LookupError
    tally.stored(30)
    tally.show()
    assert heard.said == [(100, 10), 30, 20, (100, 40), (100, 40)]
    assert (tally.done, tally.sent) == (40, 50)


def test_one_sentence_until_something_moves() -> None:
    """Senders that fail together do not fill the terminal."""
    heard = Heard()
    tally = Tally(100, heard)
    tally.note("a")
    tally.note("b")
    tally.stored(1)
    tally.note("c")
    assert heard.said == ["a", "c"]


async def test_nobody_takes_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is an interruption."""
    monkeypatch.setattr(part_meter, "TAKE_SECONDS", 0.01)
    with pytest.raises(Interrupted, match="silent"), Meter(Tally(9, None), 9) as meter:
        async with meter.patience():
            await asyncio.sleep(20)


async def test_the_answer_may_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the last byte the server has its own work to do."""
    monkeypatch.setattr(part_meter, "TAKE_SECONDS", 0.05)
    with Meter(Tally(9, None), 9) as meter:
        async with meter.patience():
            meter.advance(9)
            await asyncio.sleep(0.2)
