"""The same bytes in two pipes."""

import contextlib
import os
import sys

import pytest

from filepipe.relay.moves import Pipe
from filepipe.relay.tee import tee

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the relay needs splice and epoll, which Linux has"
)


@pytest.fixture
def other():
    """A second pipe."""
    pipe = Pipe()
    yield pipe
    pipe.close()


def test_the_bytes_are_in_both_pipes(pipe, other):
    """At most as many as were asked for, always from the beginning."""
    os.write(pipe.writing, b"twice")
    assert tee(pipe.reading, other.writing, 100) == 5
    assert tee(pipe.reading, other.writing, 3) == 3
    assert os.read(other.reading, 100) == b"twicetwi"
    assert os.read(pipe.reading, 100) == b"twice"


def test_nothing_can_be_given(pipe, other):
    """An empty pipe on one side, a full one on the other: it does not wait."""
    with pytest.raises(BlockingIOError):
        tee(pipe.reading, other.writing, 1)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(other.writing, bytes(4096))
    os.write(pipe.writing, b"data")
    with pytest.raises(BlockingIOError):
        tee(pipe.reading, other.writing, 4)


def test_what_is_no_pipe(pipe, file):
    """The kernel's refusal is an error like any other's."""
    with pytest.raises(OSError, match="Invalid argument"):
        tee(pipe.reading, file, 1)
