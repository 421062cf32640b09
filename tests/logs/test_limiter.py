"""The limit on warnings of one kind."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import structlog

from filepipe.logs.limiter import KIND, LogLimiter

LOGGER = SimpleNamespace(name="test")


class Clock:
    """A clock that stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_ten_of_a_kind_pass_in_a_second_and_the_rest_is_counted() -> None:
    """The first line of the next second says how many were left out."""
    clock = Clock()
    limiter = LogLimiter(clock=clock)
    assert [limiter.admit("a") for _ in range(25)] == [0] * 10 + [None] * 15
    clock.now += 1
    assert [limiter.admit("a") for _ in range(3)] == [15, 0, 0]


def test_each_kind_has_its_own_limit() -> None:
    """A flood of one kind hides no other."""
    limiter = LogLimiter(rate=1, clock=Clock())
    assert [limiter.admit(kind) for kind in "aab"] == [0, None, 0]


def test_it_never_remembers_more_than_so_many_kinds() -> None:
    """A kind that somebody can make up must not become a leak."""
    limiter = LogLimiter(clock=Clock())
    for number in range(5000):
        limiter.admit(number)
    assert len(limiter._windows) == 256


def test_only_warnings_and_worse_are_limited() -> None:
    """An access line is never left out."""
    limiter = LogLimiter(rate=1, clock=Clock())
    for method in ("debug", "info", "info"):
        assert limiter(LOGGER, method, {"event": "e"}) == {"event": "e"}
    limiter(LOGGER, "warning", {"event": "e"})
    for method in ("warning", "error", "exception", "critical"):
        with pytest.raises(structlog.DropEvent):
            limiter(LOGGER, method, {"event": "e"})


def test_a_kind_may_be_given_where_the_text_varies() -> None:
    """The name of the kind is for the limiter alone."""
    limiter = LogLimiter(rate=1, clock=Clock())
    assert limiter(LOGGER, "error", {"event": "1", KIND: "k"}) == {"event": "1"}
    with pytest.raises(structlog.DropEvent):
        limiter(LOGGER, "error", {"event": "2", KIND: "k"})


def test_the_count_is_a_field_of_the_line() -> None:
    """`suppressed` appears only where something was left out."""
    clock = Clock()
    limiter = LogLimiter(rate=1, clock=clock)
    limiter(LOGGER, "error", {"event": "e"})
    with pytest.raises(structlog.DropEvent):
        limiter(LOGGER, "error", {"event": "e"})
    clock.now += 1
    assert limiter(LOGGER, "error", {"event": "e"}) == {"event": "e", "suppressed": 1}
