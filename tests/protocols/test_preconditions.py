"""Preconditions: entity tags compared as RFC 9110 says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.protocols.preconditions import if_range_holds, matches

TAG = '"x1"'


@pytest.mark.parametrize(
    "header",
    [TAG, f" {TAG} ", "*", " * ", f'"a", {TAG}', f'"a",{TAG},"b"', f",, {TAG}", '"a,b" , "x1"'],
)
def test_named_tag_matches_both_ways(header: str) -> None:
    """A strong tag in a list, or the star, matches weakly and strongly."""
    assert matches(header, TAG, weak=True)
    assert matches(header, TAG, weak=False)


@pytest.mark.parametrize(
    "header",
    ["", ",", '"x2"', '"X1"', "x1", '"a" "x1"', '"a, "x1"', '""', '"*"', '"x1', 'w/"x1"', "*, *"],
)
def test_other_tag_does_not_match(header: str) -> None:
    """Another tag matches nothing, and neither does a list that cannot be read that far."""
    assert not matches(header, TAG, weak=True)
    assert not matches(header, TAG, weak=False)


@pytest.mark.parametrize("header", ['W/"x1"', '"a", W/"x1"'])
def test_weak_tag_matches_weakly_only(header: str) -> None:
    """A weak tag is good enough for If-None-Match and not for If-Match."""
    assert matches(header, TAG, weak=True)
    assert not matches(header, TAG, weak=False)


def test_weak_object_never_matches_strongly() -> None:
    """Two weak tags are not strongly equal."""
    assert matches('W/"x1"', 'W/"x1"', weak=True)
    assert matches('"x1"', 'W/"x1"', weak=True)
    assert not matches('W/"x1"', 'W/"x1"', weak=False)
    assert not matches('"x1"', 'W/"x1"', weak=False)


@given(st.text(), st.booleans())
def test_any_header_is_compared(header: str, weak: bool) -> None:
    """No header makes the comparison fail, and a match shows the tag or a star."""
    if matches(header, TAG, weak=weak):
        assert TAG in header or header.strip(" \t") == "*"


@pytest.mark.parametrize("header", [None, TAG, f" {TAG} "])
def test_if_range_holds(header: str | None) -> None:
    """Nothing, or the very tag, lets the range be obeyed."""
    assert if_range_holds(header, TAG)


@pytest.mark.parametrize(
    "header", ["", '"x2"', 'W/"x1"', "*", f'{TAG}, "b"', "Wed, 21 Oct 2015 07:28:00 GMT"]
)
def test_if_range_does_not_hold(header: str) -> None:
    """Another tag, a weak one, a list and a date ask for the whole."""
    assert not if_range_holds(header, TAG)


def test_if_range_never_holds_for_weak_object() -> None:
    """A weak tag cannot promise equal bytes."""
    assert not if_range_holds('W/"x1"', 'W/"x1"')
