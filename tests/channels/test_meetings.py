"""Who meets whom under a key: one sender, exactly as many receivers, pipes beside them."""

from __future__ import annotations

import pytest

from filepipe.channels.channel import Kind, Metadata
from filepipe.channels.directory import Directory
from filepipe.channels.meetings import Meetings
from filepipe.channels.retention import Retention
from filepipe.errors import Conflict, SenderPresent
from filepipe.keys import Key

KEY = Key("key")


@pytest.fixture
def meetings(directory: Directory) -> Meetings:
    """The meetings beside a directory of at most three keys."""
    return Meetings(directory)


async def test_a_second_sender_is_refused(meetings):
    """While the first one waits."""
    meetings.offer(KEY, 1, Metadata())
    with pytest.raises(SenderPresent):
        meetings.offer(KEY, 1, Metadata())


async def test_a_key_that_is_a_pipe_is_in_use(meetings, directory):
    """A pipe that is written, or kept, is no place to meet."""
    directory.claim(KEY, Kind.PIPE, Retention(60.0))
    with pytest.raises(Conflict):
        meetings.offer(KEY, 1, Metadata())
