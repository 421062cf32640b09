"""Waiting in turns."""

import asyncio
import math

import pytest

from filepipe.client import turns
from filepipe.client.turns import Turns


class Clock:
    """A clock that the test moves; sleeping moves it too."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that stands still, and pauses that take no time."""
    made = Clock()
    monkeypatch.setattr(asyncio, "sleep", made.sleep)
    return made


async def test_none_is_one_turn(clock: Clock) -> None:
    """Without a time the server decides, and is asked once."""
    asked = Turns(None, clock=clock)
    assert asked.headers() == {}
    assert not await asked.another()


async def test_long_wait_is_several_turns(clock: Clock) -> None:
    """Each turn is short enough for a proxy, the last is what is left."""
    asked = Turns(70, clock=clock)
    heard = []
    while True:
        heard.append(asked.headers()["Prefer"])
        clock.now += float(heard[-1].removeprefix("wait="))
        if not await asked.another():
            break
    assert heard == ["wait=30", "wait=30", "wait=10"]


async def test_turns_may_be_longer(clock: Clock) -> None:
    """Where a turn that ends would hurt somebody."""
    assert Turns(7200, longest=math.inf, clock=clock).headers() == {"Prefer": "wait=7200"}


async def test_impatient_server_is_not_hammered(clock: Clock) -> None:
    """Who answers at once is asked again after a pause, until the time is over."""
    asked = Turns(5, clock=clock)
    times = []
    while True:
        asked.headers()
        times.append(clock.now - 100)
        if not await asked.another():
            break
    assert times == [0, 1, 2, 3, 4, 5]


async def test_part_of_a_second_is_waited_for(clock: Clock) -> None:
    """A preference counts whole seconds; less than one must not become none."""
    assert Turns(0.2, clock=clock).headers() == {"Prefer": "wait=1"}
    assert Turns(0, clock=clock).headers() == {"Prefer": "wait=0"}


def test_a_turn_is_shorter_than_proxies_wait() -> None:
    """The minute of nginx and many others."""
    assert turns.TURN < 60
