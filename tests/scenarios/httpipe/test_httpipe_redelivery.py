"""A message whose consumer left before it had a byte: defect 5 of `docs/decisions/httpipe.md`."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable

import pytest

from tests.conftest import eventually, read_until
from tests.scenarios.mount import Mount, leave, sending, status_of
from tests.scenarios.peers import MIB, Peer, Upload, at_rest, body_of, sha

LARGE = body_of(6 * MIB)


def redelivered(front: Mount) -> int:
    """What /metrics counts."""
    text = front.ask("GET", "/metrics").text
    found = re.search(r"^filepipe_redelivered_total (\d+)", text, re.MULTILINE)
    assert found is not None
    return int(found[1])


def pour(upload: Upload, data: bytes) -> None:
    """Send as much as goes; whoever takes it may be gone."""
    with contextlib.suppress(ConnectionError, TimeoutError):
        upload.send(data)


@pytest.mark.parametrize("end", [leave, Peer.reset])
@pytest.mark.parametrize("length", [10, len(LARGE), None], ids=["small", "large", "chunked"])
def test_05_a_message_goes_to_the_next_consumer(
    root: Mount, channel: str, length: int | None, end: Callable[[Peer], None]
) -> None:
    """The first one came and left before a byte was there for it; not one is missing."""
    body = LARGE[:length]
    before = redelivered(root)
    with root.sender("POST", channel, length, "Expect: 100-continue") as producer:
        for number in range(3):
            with root.receiver(channel) as gone:
                eventually(lambda: root.waiting(channel) == 0)
                if number == 0:
                    assert read_until(producer.sock, b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
                end(gone)
            eventually(lambda: root.waiting(channel) == 1)
        with root.receiver(channel) as consumer:
            with sending(producer, body):
                assert consumer.begin() == 200
                assert sha(consumer.take(len(body))) == sha(body)
            if length is None:
                producer.sock.sendall(b"0\r\n\r\n")
            assert consumer.rest() == b""
        assert status_of(producer.sock) == 200  # and not a second 100
    assert redelivered(root) == before + 3


def test_05_its_place_is_the_first_one(root: Mount, channel: str) -> None:
    """Who waited behind it still does, and the consumer who waited next gets it."""
    with root.receiver(channel) as gone, root.receiver(channel) as next_one:
        eventually(lambda: root.waiting(channel) == 2)
        with root.sender("POST", channel, 5) as first, root.sender("POST", channel, 6) as second:
            eventually(lambda: root.waiting(channel) == 2)
            gone.leave()
            second.send(b"second")
            first.send(b"first")
            assert (next_one.begin(), next_one.rest()) == (200, b"first")
            assert status_of(first.sock) == 200
            assert root.curl(channel).body == b"second"
            assert status_of(second.sock) == 200


def test_05_a_producer_that_leaves_between_two_consumers(root: Mount, channel: str) -> None:
    """It waits again, so it is seen leaving again."""
    with root.sender("POST", channel, len(LARGE)) as producer:
        with root.receiver(channel):
            eventually(lambda: root.waiting(channel) == 0)
        eventually(lambda: root.waiting(channel) == 1)
        producer.half_close()
        eventually(lambda: root.waiting(channel) == 0)
    assert at_rest(root.daemon)


@pytest.mark.parametrize("sent", [0, 100_000, 2 * MIB])
def test_05_a_refusal_between_two_consumers(root: Mount, channel: str, sent: int) -> None:
    """Who waits again can be told to go, whatever was read of its body."""
    with root.sender("POST", channel, len(LARGE)) as producer:
        with root.receiver(channel):
            eventually(lambda: root.waiting(channel) == 0)
        eventually(lambda: root.waiting(channel) == 1)
        producer.sock.settimeout(0.2)
        pour(producer, LARGE[:sent])
        producer.sock.settimeout(30)
        assert root.ask("DELETE", channel).status == 204
        assert status_of(producer.sock) == 410
