"""Segments of a draft that grows: every byte in one, and enough of them."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.errors import StorageFailed
from filepipe_backends import s3_segments as segments
from filepipe_backends.s3_notes import Notes
from filepipe_backends.s3_segments import SMALLEST, segment, segment_at, segments_of

TIB = 1024**4
MOST = 10_000


def test_they_follow_each_other() -> None:
    """Without a gap; each fits one request of the server, and all of them hold 5 TiB."""
    found = [segment(number) for number in range(MOST)]
    assert [part.number for part in found] == list(range(MOST))
    assert found[0].start == 0
    assert all(one.end == two.start for one, two in itertools.pairwise(found))
    assert all(SMALLEST <= part.end - part.start <= 5 * 1024**3 for part in found)
    assert found[-1].end >= 5 * TIB


@given(st.integers(0, 5 * TIB))
def test_each_byte_is_in_its_segment(offset: int) -> None:
    """The one that is found has it."""
    found = segment_at(offset)
    assert found.start <= offset < found.end
    assert segment(found.number) == found


@given(st.integers(0, 3 * 10**9))
def test_the_segments_of_a_size(size: int) -> None:
    """As many as there are bytes for; the last one is begun."""
    found = segments_of(size)
    assert [part.number for part in found] == list(range(len(found)))
    if size:
        assert found[-1].start < size <= found[-1].end
    else:
        assert found == []


def test_bytes_go_to_their_files(tmp_path: Path) -> None:
    """What crosses an end is divided; what is not there is nothing."""
    notes = Notes(tmp_path)
    segments.store(notes, "a", SMALLEST - 3, memoryview(b"abcdef"))
    segments.flush(notes, "a", 0)
    segments.flush(notes, "a", 7)
    assert notes.segments("a") == [0, 1]
    first, second = (notes.segment("a", number) for number in (0, 1))
    assert segments.fetch(first, SMALLEST - 3, 9) == b"abc"
    assert segments.fetch(second, 0, 2) == b"de"
    assert segments.fetch(notes.segment("a", 2), 0, 2) == b""


def test_going_on_from_an_end(tmp_path: Path) -> None:
    """What is behind it goes; what is before it has to be there, or has been sent."""
    notes = Notes(tmp_path)
    segments.store(notes, "a", 0, memoryview(bytes(2 * SMALLEST + 9)))
    segments.cut(notes, "a", 2 * SMALLEST + 3, settled=True)
    assert notes.segments("a") == [0, 1, 2]
    segments.cut(notes, "a", 2 * SMALLEST, settled=True)
    assert notes.segments("a") == [0, 1]
    segments.cut(notes, "a", SMALLEST + 1, settled=False)
    assert notes.segments("a") == [1]
    with pytest.raises(StorageFailed):
        segments.cut(notes, "a", SMALLEST - 1, settled=True)
    segments.store(notes, "a", 0, memoryview(b"short"))
    with pytest.raises(StorageFailed):
        segments.cut(notes, "a", 6, settled=True)
