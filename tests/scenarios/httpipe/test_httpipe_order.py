"""Both lines are served in the order of coming, one pair at a time."""

from __future__ import annotations

import pytest

from tests.conftest import read_until
from tests.scenarios.mount import Mount
from tests.scenarios.peers import MIB, body_of, sha

SIX = range(6)


@pytest.mark.parametrize("size", [7, 100_000, 2 * MIB], ids=["small", "medium", "large"])
@pytest.mark.parametrize("first", ["producers", "consumers"])
def test_six_and_six(front: Mount, channel: str, first: str, size: int) -> None:
    """The i-th producer meets the i-th consumer."""
    bodies = [body_of(size, seed) for seed in SIX]
    producers, consumers = [], []

    def let_producers_come() -> None:
        for body in bodies:
            producers.append(front.sender("POST", channel, size))
            if size < MIB:
                producers[-1].send(body)
            front.heard()

    if first == "producers":
        let_producers_come()
    for _ in SIX:
        consumers.append(front.receiver(channel))
        front.heard()
    if first == "consumers":
        let_producers_come()
    for producer, consumer, body in zip(producers, consumers, bodies, strict=True):
        with producer, consumer:
            if size >= MIB:
                producer.send(body)
            assert consumer.begin() == 200
            assert sha(consumer.rest() or b"") == sha(body)
            assert read_until(producer.sock, b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_a_place_counts_from_the_head_on(front: Mount, channel: str) -> None:
    """Who says what he brings stands in the line, however long he takes to bring it."""
    with front.sender("POST", channel, 5) as slow, front.sender("POST", channel, 5) as fast:
        front.heard()
        fast.send(b"later")
        with front.receiver(channel) as first, front.receiver(channel) as second:
            front.heard()
            slow.send(b"first")
            assert (first.begin(), first.rest()) == (200, b"first")
            assert (second.begin(), second.rest()) == (200, b"later")


def test_who_leaves_holds_up_nobody(front: Mount, channel: str) -> None:
    """The line closes up, on both sides."""
    producers = [front.sender("POST", channel, 1) for _ in SIX]
    for number in (0, 2, 3):
        front.heard()
        producers[number].leave()
    for number in (1, 4, 5):
        producers[number].send(b"%d" % number)
        front.heard()
    got = [front.curl(channel).body for _ in range(3)]
    assert sorted(got) == [b"1", b"4", b"5"]
    for producer in producers:
        producer.leave()
    consumers = [front.receiver(channel) for _ in SIX]
    front.heard()
    for number in (0, 1, 4):
        consumers[number].reset()
        front.heard()
    for number in (2, 3, 5):
        assert front.give("POST", channel, b"%d" % number).status == 200
    left = [consumers[number] for number in (2, 3, 5)]
    assert sorted((each.begin(), each.rest()) for each in left) == [
        (200, b"2"),
        (200, b"3"),
        (200, b"5"),
    ]
    for each in left:
        each.leave()
