"""Pauses and their end."""

from filepipe.client.backoff import LAST_CEILING, Backoff


class Clock:
    """A time that moves by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _longest(low: float, high: float) -> float:
    return high


def test_pauses_double_up_to_a_ceiling() -> None:
    """Each failure in a row waits up to twice as long, within reason."""
    backoff = Backoff(1000, clock=Clock(), spread=_longest)
    pauses = [backoff.pause() for _ in range(7)]
    assert pauses == [0.25, 0.5, 1.0, 2.0, 4.0, LAST_CEILING, LAST_CEILING]


def test_pauses_are_spread() -> None:
    """Not all clients of a server that was away come back at once."""
    asked = []
    backoff = Backoff(1000, clock=Clock(), spread=lambda low, high: asked.append((low, high)) or 0)
    backoff.pause()
    assert asked == [(0.0, 0.25)]


def test_window_ends() -> None:
    """The time without progress counts, not the number of attempts."""
    clock = Clock()
    backoff = Backoff(10, clock=clock, spread=_longest)
    assert backoff.left() == 10
    assert backoff.pause() == 0.25
    clock.now += 9.9
    assert round(backoff.pause() or 0, 6) == 0.1
    clock.now += 0.1
    assert backoff.left() == 0
    assert backoff.pause() is None


def test_progress_begins_anew() -> None:
    """After progress there is a whole window again, and short pauses."""
    clock = Clock()
    backoff = Backoff(10, clock=clock, spread=_longest)
    backoff.pause()
    backoff.pause()
    clock.now += 9
    backoff.progress()
    assert backoff.left() == 10
    clock.now += 9
    assert backoff.pause() == 0.25


def test_no_window() -> None:
    """A window of 0 allows no second attempt."""
    assert Backoff(0, clock=Clock()).pause() is None
