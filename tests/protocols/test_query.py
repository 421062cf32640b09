"""The query: few names, each once, decoded once."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.errors import BadRequest
from filepipe.protocols.query import MAX_NAMES, lone_value, parse_query


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("", {}),
        ("&", {}),
        ("a", {"a": ""}),
        ("a=", {"a": ""}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a=1&&b=2&", {"a": "1", "b": "2"}),
        ("a=b=c", {"a": "b=c"}),
        ("a=x+y", {"a": "x+y"}),
        ("a=x%20y%26", {"a": "x y&"}),
        ("%61=%2541", {"a": "%41"}),
        ("a=é%C3%A9", {"a": "éé"}),
    ],
)
def test_query_is_read(query: str, values: dict[str, str]) -> None:
    """Names and values are decoded once, and a plus sign is no space."""
    assert values == parse_query(query)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("a=1&a=2", "twice"),
        ("a&%61", "twice"),
        ("=1", "without a name"),
        ("a=%", "percent sign"),
        ("a=%g0", "percent sign"),
        ("a=%ff", "UTF-8"),
        ("a=\udcff", "UTF-8"),
        ("&".join(f"n{i}" for i in range(MAX_NAMES + 1)), "more than 32"),
    ],
)
def test_ambiguous_query_refused(query: str, text: str) -> None:
    """What could be read in two ways, or not at all, is refused."""
    with pytest.raises(BadRequest, match=text):
        parse_query(query)


def test_as_many_names_as_allowed() -> None:
    """The limit itself is fine."""
    assert len(parse_query("&".join(f"n{i}" for i in range(MAX_NAMES)))) == MAX_NAMES


@given(st.text())
def test_any_query_is_read_or_refused(query: str) -> None:
    """No query makes the parser fail in another way, and none is without bounds."""
    with contextlib.suppress(BadRequest):
        assert len(parse_query(query)) <= MAX_NAMES


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("", None),
        ("wait", None),
        ("wait=", ""),
        ("wait=5", "5"),
        ("a=1&a=2&%&wait=5&wait=6", "5"),
        ("await=5", None),
        ("wait=%35", "%35"),
    ],
)
def test_a_lone_value(query: str, value: str | None) -> None:
    """The first one counts, whatever stands around it."""
    assert lone_value(query, "wait") == value
