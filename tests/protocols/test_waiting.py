"""Waiting and retention: queries are orders, preferences are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.errors import BadRequest
from filepipe.protocols.waiting import wanted_retention, wanted_wait

DEFAULT, MAXIMUM = 60.0, 3600.0


@pytest.mark.parametrize(
    ("query", "prefer", "seconds"),
    [
        (None, None, DEFAULT),
        ("5", None, 5.0),
        ("0", None, 0.0),
        ("1h", None, MAXIMUM),
        ("1.5m", None, 90.0),
        ("5", "wait=7", 5.0),
        (None, "wait=7", 7.0),
        (None, "Wait = 7", 7.0),
        (None, 'wait="7"', 7.0),
        (None, "respond-async, wait=7; x=y", 7.0),
        (None, 'a="b, wait=1", wait=7', 7.0),
        (None, "wait=7, wait=8", 7.0),
        (None, "wait=99999", MAXIMUM),
        (None, "wait=" + "9" * 5000, MAXIMUM),
    ],
)
def test_wait_is_read(query: str | None, prefer: str | None, seconds: float) -> None:
    """The query beats the preference, which is clamped; the default is last."""
    assert seconds == wanted_wait(query, prefer, DEFAULT, MAXIMUM)


@pytest.mark.parametrize(
    "prefer",
    [
        "",
        ",",
        "wait",
        "wait=",
        "wait=-1",
        "wait=1.5",
        "wait=5s",
        'wait="7',
        "await=7",
        "wait7",
        "respond-async",
        "wait=x, wait=8",
        "x; wait=7",
        'x="wait=7',
    ],
)
def test_unusable_preference_is_ignored(prefer: str) -> None:
    """A preference that cannot be read changes nothing."""
    assert wanted_wait(None, prefer, DEFAULT, MAXIMUM) == DEFAULT


@pytest.mark.parametrize("text", ["", "x", "-1", "nan", "inf", "1e1", "5 apples"])
def test_malformed_query_refused(text: str) -> None:
    """A query that is no duration is refused, by its name."""
    with pytest.raises(BadRequest, match=r"^wait is not a duration"):
        wanted_wait(text, None, DEFAULT, MAXIMUM)
    with pytest.raises(BadRequest, match=r"^max-age is not a duration"):
        wanted_retention(text, DEFAULT, MAXIMUM)


@pytest.mark.parametrize("text", ["3601", "2h", "1000 years"])
def test_query_over_the_maximum_refused(text: str) -> None:
    """A query for more than the limit is refused; within a hundred years the limit is named."""
    with pytest.raises(BadRequest, match=r"^wait "):
        wanted_wait(text, None, DEFAULT, MAXIMUM)
    with pytest.raises(BadRequest, match=r"^max-age "):
        wanted_retention(text, DEFAULT, MAXIMUM)


def test_maximum_is_named() -> None:
    """The refusal says how much is possible."""
    with pytest.raises(BadRequest, match=r"^wait exceeds the maximum of 1 hour$"):
        wanted_wait("2h", None, DEFAULT, MAXIMUM)


def test_retention_is_read() -> None:
    """The query, or else the default."""
    assert wanted_retention(None, DEFAULT, MAXIMUM) == DEFAULT
    assert wanted_retention("10m", DEFAULT, MAXIMUM) == 600.0


@given(st.text())
def test_any_preference_stays_within_limits(prefer: str) -> None:
    """No preference fails or exceeds the maximum."""
    assert 0 <= wanted_wait(None, "wait=" + prefer, DEFAULT, MAXIMUM) <= MAXIMUM
    assert 0 <= wanted_wait(None, prefer, DEFAULT, MAXIMUM) <= MAXIMUM
