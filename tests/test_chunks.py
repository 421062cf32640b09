"""Parts: every byte is in exactly one, and old clients find their size."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.chunks import MOST_PARTS, plan
from filepipe.errors import TooLarge

MIB = 1 << 20


@given(st.integers(0, 10**12), st.integers(MIB, 10**9), st.booleans())
def test_each_byte_is_in_one_part(total: int, largest: int, balanced: bool) -> None:
    """The parts follow each other without a gap, and none is too large."""
    if -(-total // largest) > MOST_PARTS:
        return
    found = plan(total, largest, balanced=balanced)
    ends = [found.offset_of(n) + found.size_of(n) for n in range(found.count)]
    starts = [found.offset_of(n) for n in range(found.count)]
    assert [0, *ends][: found.count] == starts
    assert ([0, *ends])[-1] == total
    assert all(0 < found.size_of(n) <= largest for n in range(found.count))


@given(st.integers(1, 10**12), st.integers(10 * MIB, 10**9))
def test_balanced_parts_are_found_by_dividing(total: int, largest: int) -> None:
    """What an old client computes when it resumes is the size; only the last part may be small."""
    if -(-total // largest) > MOST_PARTS:
        return
    found = plan(total, largest, balanced=True)
    assert math.ceil(total / found.count) == found.chunk_size or total > 2**53
    assert -(-total // found.chunk_size) == found.count
    if found.count > 1:
        assert found.chunk_size >= 5 * MIB


@given(st.integers(0, 10**11), st.integers(1, 99 * MIB), st.booleans())
def test_parts_are_not_too_small(total: int, largest: int, balanced: bool) -> None:
    """Where a storage takes no small ones, only the last one is small."""
    if -(-total // max(largest, 5 * MIB)) > MOST_PARTS:
        return
    found = plan(total, largest, balanced=balanced, smallest=5 * MIB)
    assert found.count <= 1 or found.chunk_size >= 5 * MIB
    assert found.chunk_size <= max(largest, 5 * MIB)
    assert sum(map(found.size_of, range(found.count))) == total


def test_nothing_has_no_part() -> None:
    """The size of a part is told all the same."""
    assert (plan(0, 50, balanced=True).count, plan(0, 50, balanced=True).chunk_size) == (0, 50)


@pytest.mark.parametrize("number", [-1, 3])
def test_a_part_that_is_none(number: int) -> None:
    """Three parts are 0, 1 and 2."""
    with pytest.raises(IndexError):
        plan(120, 50, balanced=False).size_of(number)


def test_too_many() -> None:
    """One part more than there may be."""
    assert plan(MOST_PARTS * 50, 50, balanced=True).count == MOST_PARTS
    with pytest.raises(TooLarge):
        plan(MOST_PARTS * 50 + 1, 50, balanced=True)
