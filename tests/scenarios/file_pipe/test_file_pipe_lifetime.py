"""How long file-pipe keeps a key and lets a reader wait: by arithmetic, and once for real."""

from __future__ import annotations

import time

import pytest

from filepipe.channels.retention import Usage
from filepipe.web.routes.file_pipe import DIALECT, WAIT
from tests.conftest import eventually, start_curl
from tests.scenarios.file_pipe.front import PREFIX, Front, fresh_key


@pytest.mark.parametrize(
    ("ended", "first_read", "deadline"),
    [
        pytest.param(100, None, 130, id="never read: 30 s after the end"),
        pytest.param(100, 90, 105, id="read live: 5 s after the end"),
        pytest.param(100, 110, 115, id="read later: 5 s after the first read"),
        pytest.param(100, 128, 130, id="read at last: the earlier of the two"),
        pytest.param(None, None, None, id="still written: not yet"),
        pytest.param(None, 1, None, id="still written and read: not yet"),
    ],
)
@pytest.mark.parametrize("readers", [0, 3])
def test_when_a_key_goes(
    ended: float | None, first_read: float | None, deadline: float | None, readers: int
) -> None:
    """The key goes at this moment, whoever still reads; the readers keep their bytes."""
    usage = Usage(ended, first_read, last_left=first_read, readers=readers)
    assert DIALECT.retention.deadline(usage) == deadline


def test_for_real(root: Front) -> None:
    """Some 6 seconds: waiting, keeping, a slow upload, and a key used again."""
    read, unread, slow, nobody = (fresh_key() for _ in range(4))
    under_prefix = Front(root.daemon, 1, PREFIX)
    with root.upload(slow, None) as upload, root.download(slow) as slow_reader:
        upload.send(b"slow")
        assert slow_reader.begin() == 200
        root.put(unread, b"unread")
        root.put(read, b"first")
        started = time.monotonic()
        first, second = root.download(nobody), None
        eventually(lambda: root.waiting() == 1)
        with first:
            assert root.curl(read).body == b"first"
            assert root.put(read, b"too early").status == 409
            time.sleep(1)
            second = start_curl("--include", under_prefix.url(nobody))
            eventually(lambda: root.waiting() == 2)
            assert first.begin() == 404
            assert first.rest() == b"key not found"
            assert time.monotonic() - started >= WAIT
            assert root.waiting() == 1  # each has a deadline of its own
        eventually(lambda: root.stored(read) == -1)
        assert time.monotonic() - started >= 5
        assert root.put(read, b"second").status == 200
        answer, _ = second.communicate(timeout=30)
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert answer.endswith(b"\r\n\r\nkey not found")
        assert root.curl(unread).body == b"unread"
        assert root.curl(read).body == b"second"
        upload.finish()
        assert slow_reader.rest() == b"slow"
