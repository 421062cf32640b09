"""The Python client of the protocol, by the people who made that, unchanged."""

from __future__ import annotations

import threading

import pytest
from durable_streams import DurableStream, stream
from durable_streams._errors import DurableStreamError

from tests.scenarios.mount import Mount


def test_values(front: Mount, path: str) -> None:
    """Create, append, look, read, remove."""
    url = front.url(path)
    with DurableStream.create(url, content_type="application/json") as handle:
        for number in range(5):
            handle.append({"number": number})
        assert handle.head().content_type == "application/json"
        with stream(url, live=False) as found:
            assert found.read_json() == [{"number": number} for number in range(5)]
        handle.delete()
    with pytest.raises(DurableStreamError), stream(url, live=False) as found:
        found.read_json()


@pytest.mark.parametrize("live", ["long-poll", "sse"])
def test_live(streams: Mount, path: str, live: str) -> None:
    """What comes later arrives, once and in order."""
    url = streams.url(path)
    with DurableStream.create(url, content_type="application/json") as handle:
        handle.append(0)

        def append() -> None:
            for number in range(1, 20):
                handle.append(number)

        got = []
        with stream(url, live=live, offset="-1") as found:
            thread = threading.Thread(target=append)
            thread.start()
            for item in found.iter_json():
                got.append(item)
                if len(got) == 20:
                    break
            thread.join()
    assert got == list(range(20))


def test_bytes(streams: Mount, path: str) -> None:
    """As they are, and from an offset on."""
    url = streams.url(path)
    with DurableStream.create(url, content_type="application/octet-stream") as handle:
        handle.append(b"\x00one")
        end = handle.head().offset
        handle.append(b"\xfftwo")
    with stream(url, live=False) as found:
        assert found.read_bytes() == b"\x00one\xfftwo"
    with stream(url, live=False, offset=end) as found:
        assert found.read_bytes() == b"\xfftwo"
