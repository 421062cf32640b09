"""The format of an index: what is written is read, whatever else is read is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.journal.frames import (
    MAGIC,
    Birth,
    Damaged,
    Flag,
    Frame,
    Mark,
    read_birth,
    read_frames,
    write_birth,
    write_frame,
)

NUMBERS = st.integers(0, 2**63)
MARKS = st.builds(Mark, st.text(max_size=20), NUMBERS, NUMBERS)
FIRM = write_frame(Frame(0, 1, 2))


def frames_of(index, start=0):
    """The frames, without where they end."""
    return [frame for frame, _ in read_frames(index, start)]


@given(st.text(), st.none() | st.text(), st.none() | st.floats(0, 1e9), st.text())
def test_a_birth_is_read_as_it_was_written(key, content_type, ttl, tag):
    """Whatever the key."""
    birth = Birth(key, content_type, ttl, tag)
    first = write_birth(birth)
    assert read_birth(first + b"more") == (birth, len(first))


@given(
    st.integers(0, 2**31),
    st.integers(0, 2**32 - 1),
    st.sampled_from([Flag(0), Flag.CLOSED, Flag.LOOSE | Flag.CLOSED]),
    st.lists(MARKS, max_size=3),
)
def test_a_frame_is_read_as_it_was_written(size, crc, flags, marks):
    """With its flags and marks."""
    frame = Frame(0, size, crc, flags, tuple(marks))
    assert frames_of(write_frame(frame)) == [frame]


@given(st.binary(max_size=200))
def test_anything_else_is_no_frame(data):
    """Nothing is raised but what is meant for it."""
    assert read_birth(data) is None
    assert frames_of(data) == []


def test_a_first_frame_of_a_later_version_is_none():
    """It says things that are not known here."""
    first = write_birth(Birth("key", None, None, "tag"))
    assert read_birth(first.replace(b'"tag"', b'"gat"')) is None


def test_a_gap_is_damage():
    """Also where every frame is whole."""
    with pytest.raises(Damaged, match="gap"):
        frames_of(FIRM + FIRM)


@pytest.mark.parametrize(
    ("behind", "damaged"),
    [(b"", False), (FIRM, True), (write_frame(Frame(1, 1, 2, Flag.LOOSE)), False)],
    ids=["nothing", "a firm frame", "a loose frame"],
)
def test_what_stands_behind_decides(behind, damaged):
    """A broken frame is the torn end, but for one that was safe when the next one was written."""
    index = MAGIC + bytes(30) + behind
    if damaged:
        with pytest.raises(Damaged, match="byte 0"):
            frames_of(index)
    else:
        assert frames_of(index) == []


@given(st.text(max_size=20), st.lists(MARKS, max_size=3))
def test_a_place_in_the_order_is_read_as_it_was_written(order, marks):
    """Before the marks."""
    (frame,) = frames_of(write_frame(Frame(0, 1, 2, Flag.CLOSED, tuple(marks), order)))
    assert (frame.order, frame.marks) == (order, tuple(marks))
    assert frame.flags & Flag.CLOSED
