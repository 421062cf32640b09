"""When a key goes: arithmetic on moments, for both kinds of retention."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.channels.retention import Retention, Usage

AUTO = Retention(60.0)
FILE_PIPE = Retention(30.0, after_first_read=5.0)


@pytest.mark.parametrize(
    ("ended", "first_read", "last_left", "readers", "deadline"),
    [
        pytest.param(None, None, None, 0, None, id="nobody-yet"),
        pytest.param(None, 90.0, 95.0, 0, None, id="growing-and-read-before"),
        pytest.param(None, 90.0, None, 1, None, id="growing-and-read"),
        pytest.param(100.0, None, None, 0, 160.0, id="never-read"),
        pytest.param(100.0, 90.0, 95.0, 0, 160.0, id="left-before-the-end"),
        pytest.param(100.0, 90.0, 100.0, 0, 160.0, id="left-at-the-end"),
        pytest.param(100.0, 90.0, 130.0, 0, 190.0, id="left-after-the-end"),
        pytest.param(100.0, 150.0, 400.0, 0, 460.0, id="left-long-after-the-end"),
        pytest.param(100.0, 90.0, None, 1, None, id="first-reader-still-there"),
        pytest.param(100.0, 90.0, 130.0, 2, None, id="others-still-there"),
        pytest.param(100.0, None, 130.0, 0, 190.0, id="only-looked-at"),
    ],
)
def test_auto(ended, first_read, last_left, readers, deadline):
    """60 s after the end or after the last reader left, whichever is later; never under one."""
    assert AUTO.deadline(Usage(ended, first_read, last_left, readers)) == deadline


@pytest.mark.parametrize(
    ("ended", "first_read", "last_left", "readers", "deadline"),
    [
        pytest.param(None, None, None, 0, None, id="nobody-yet"),
        pytest.param(None, 90.0, 95.0, 0, None, id="growing-and-read-before"),
        pytest.param(100.0, None, None, 0, 130.0, id="never-read"),
        pytest.param(100.0, 40.0, None, 1, 105.0, id="first-read-long-before-the-end"),
        pytest.param(100.0, 99.0, 100.0, 0, 105.0, id="first-read-just-before-the-end"),
        pytest.param(100.0, 110.0, None, 1, 115.0, id="first-read-after-the-end"),
        pytest.param(100.0, 110.0, 400.0, 0, 115.0, id="who-left-when-does-not-matter"),
        pytest.param(100.0, 128.0, None, 1, 130.0, id="first-read-at-the-last-moment"),
    ],
)
def test_file_pipe(ended, first_read, last_left, readers, deadline):
    """30 s after the end, or 5 s after the first read if that is earlier, whoever still reads."""
    assert FILE_PIPE.deadline(Usage(ended, first_read, last_left, readers)) == deadline


def test_no_retention_at_all():
    """A retention of 0 goes at the end itself, or with the last reader."""
    assert Retention(0.0).deadline(Usage(7.0, None, None, 0)) == 7.0
    assert Retention(0.0).deadline(Usage(7.0, 5.0, 9.0, 0)) == 9.0
    assert Retention(0.0, 0.0).deadline(Usage(7.0, 5.0, None, 1)) == 7.0


MOMENTS = st.floats(0, 1e6)
DURATIONS = st.floats(0, 1e5)
USAGES = st.builds(
    Usage, st.none() | MOMENTS, st.none() | MOMENTS, st.none() | MOMENTS, st.integers(0, 3)
)
RETENTIONS = st.builds(Retention, DURATIONS, st.none() | DURATIONS)


@given(retention=RETENTIONS, usage=USAGES)
def test_never_before_the_end(retention, usage):
    """While it grows there is no deadline, and afterwards none lies before the end."""
    deadline = retention.deadline(usage)
    if usage.ended is None:
        assert deadline is None
    elif deadline is not None:
        assert deadline >= usage.ended


@given(after_end=DURATIONS, usage=USAGES)
def test_auto_never_goes_under_a_reader(after_end, usage):
    """With a reader there is no deadline; without one it is a full retention after the last one."""
    deadline = Retention(after_end).deadline(usage)
    if usage.readers:
        assert deadline is None
    elif usage.ended is not None:
        assert deadline is not None
        assert deadline >= usage.ended + after_end
        assert usage.last_left is None or deadline >= usage.last_left + after_end


@given(after_end=DURATIONS, after_read=DURATIONS, usage=USAGES)
def test_a_first_read_never_prolongs(after_end, after_read, usage):
    """In file-pipe a reader shortens the life of a key or leaves it as it was."""
    unread = Usage(usage.ended, None, usage.last_left, usage.readers)
    retention = Retention(after_end, after_read)
    deadline, without = retention.deadline(usage), retention.deadline(unread)
    assert (deadline is None) == (without is None)
    if deadline is not None and without is not None:
        assert deadline <= without
