"""POST to a stream: appending, closing, order, producers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import Daemon
from tests.scenarios.mount import Mount
from tests.scenarios.streams.wire import CLOSED, TEXT, add, at, create, get, producer

LARGEST = 16 * 1024 * 1024


def test_appending(front: Mount, path: str) -> None:
    """204 with the end."""
    create(front, path)
    answers = [add(front, path, data) for data in (b"one", b"two")]
    assert [answer.status for answer in answers] == [204, 204]
    assert [answer["Stream-Next-Offset"] for answer in answers] == [at(3), at(6)]
    assert get(front, path).body == b"onetwo"


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", (TEXT,), 400),
        (b"x", (), 400),
        (b"x", ("Content-Type: application/json",), 409),
        (b"x", (TEXT, "Stream-Seq: "), 400),
        (b"x", (TEXT, "Producer-Id: p"), 400),
        (b"x", (TEXT, "Expect: a-miracle"), 417),
    ],
)
def test_what_is_not_appended(
    streams: Mount, path: str, body: bytes, headers: tuple[str, ...], status: int
) -> None:
    """One sentence, and the stream is as it was."""
    create(streams, path, b"as it was")
    answer = streams.give("POST", path, body, *headers)
    assert (answer.status, answer.text.count("\n")) == (status, 1)
    assert get(streams, path).body == b"as it was"


def test_04_too_large(streams: Mount, path: str) -> None:
    """413 before the body is sent."""
    create(streams, path)
    answer = streams.ask("POST", path, TEXT, f"Content-Length: {LARGEST + 1}")
    assert (answer.status, answer["X-Error-Code"]) == (413, "too_large")


def test_closing(streams: Mount, path: str) -> None:
    """With the last bytes or without; again is no harm, more is refused with the end."""
    create(streams, path, b"a")
    last = add(streams, path, b"b", CLOSED)
    assert (last.status, last["Stream-Closed"], last["Stream-Next-Offset"]) == (204, "true", at(2))
    for _ in range(2):
        again = streams.give("POST", path, b"", CLOSED)
        assert (again.status, again["Stream-Closed"]) == (204, "true")
    refused = add(streams, path, b"c", "Content-Type: application/json")
    assert (refused.status, refused["Stream-Closed"]) == (409, "true")
    assert (refused["Stream-Next-Offset"], refused["X-Error-Code"]) == (at(2), "log_closed")


def test_05_the_order_of_writers(streams: Mount, path: str) -> None:
    """`Stream-Seq` rises byte by byte, not as a number; a refused append leaves no trace."""
    create(streams, path)
    statuses = [
        add(streams, path, b"x", f"Stream-Seq: {order}").status
        for order in ("09", "1", "10", "10", "09", "2")
    ]
    assert statuses == [204, 204, 204, 409, 409, 204]
    assert add(streams, path, b"y").status == 204
    assert get(streams, path).body == b"xxxxy"


def test_a_producer(streams: Mount, path: str) -> None:
    """The whole table: next, again, gap, epochs; each byte is there once."""
    create(streams, path)
    steps = [
        (0, 1, 409), (0, 0, 200), (0, 0, 204), (0, 1, 200), (0, 3, 409), (0, 0, 204),
        (2, 1, 400), (2, 0, 200), (1, 2, 403), (2, 0, 204), (2, 1, 200),
    ]  # fmt: skip
    expected = b""
    for epoch, number, status in steps:
        body = f"{epoch}.{number} ".encode()
        answer = add(streams, path, body, *producer("p", epoch, number))
        assert answer.status == status, (epoch, number, answer)
        if status == 200:
            expected += body
        if status in (200, 204):
            assert answer["Producer-Epoch"] == str(epoch)
            assert answer["Stream-Next-Offset"] == at(len(expected))
    assert get(streams, path).body == expected


def test_what_a_producer_is_told(streams: Mount, path: str) -> None:
    """How to go on after a gap, after another one took over, after answers were lost."""
    create(streams, path)
    for number in range(3):
        add(streams, path, b"x", *producer("p", 1, number))
    gap = add(streams, path, b"x", *producer("p", 1, 7))
    assert (gap["Producer-Expected-Seq"], gap["Producer-Received-Seq"]) == ("3", "7")
    assert add(streams, path, b"x", *producer("p", 0, 0))["Producer-Epoch"] == "1"
    assert add(streams, path, b"x", *producer("p", 1, 0))["Producer-Seq"] == "2"


def test_producers_do_not_know_each_other(streams: Mount, path: str) -> None:
    """Each has its own numbers."""
    create(streams, path)
    assert [add(streams, path, b"x", *producer(name, 0, 0)).status for name in "ab"] == [200, 200]


def test_03_a_producer_closes(streams: Mount, path: str) -> None:
    """Its last append may come again; a new one is refused."""
    create(streams, path)
    headers = (CLOSED, *producer("p", 0, 0))
    assert [add(streams, path, b"x", *headers).status for _ in range(2)] == [200, 204]
    assert add(streams, path, b"y", *producer("p", 0, 1)).status == 409
    assert get(streams, path).body == b"x"


def test_03_a_retry_after_somebody_closed(streams: Mount, path: str) -> None:
    """Its bytes are there, and that is said; what is new is refused, whoever sends it."""
    create(streams, path)
    add(streams, path, b"x", *producer("p", 0, 0))
    streams.give("POST", path, b"", CLOSED)
    again = add(streams, path, b"x", *producer("p", 0, 0))
    assert (again.status, again["Stream-Closed"], again["Stream-Next-Offset"]) == (
        204,
        "true",
        at(1),
    )
    for headers in (producer("p", 0, 1), producer("q", 0, 0), ()):
        refused = add(streams, path, b"y", *headers)
        assert (refused.status, refused["Stream-Closed"]) == (409, "true")


def test_retries_at_the_same_time(streams: Mount, path: str) -> None:
    """One of them is the first; all of them are told when it is on the disk."""
    create(streams, path)
    with ThreadPoolExecutor(8) as pool:
        for number in range(5):
            tries = [
                pool.submit(add, streams, path, b"x" * 1000, *producer("p", 0, number))
                for _ in range(8)
            ]
            answers = [each.result() for each in tries]
            assert sorted(answer.status for answer in answers) == [200] + [204] * 7
            ends = {answer["Stream-Next-Offset"] for answer in answers}
            assert ends == {at(1000 * (number + 1))}
    assert get(streams, path).body == b"x" * 5000


def test_producers_are_known_after_kill(
    start: Callable[..., Daemon], restart: Callable[..., Daemon]
) -> None:
    """So are the order of the writers, the lifetime and the closure."""
    daemon = start()
    mount = Mount(daemon, 0, "/streams")
    mount.give("PUT", "/s", b"", TEXT, "Stream-TTL: 500")
    add(mount, "/s", b"one", *producer("p", 3, 0), "Stream-Seq: b")
    create(mount, "/closed", b"all", TEXT, CLOSED)
    daemon.kill()
    mount = Mount(restart(daemon), 0, "/streams")
    assert add(mount, "/s", b"one", *producer("p", 3, 0)).status == 204
    assert add(mount, "/s", b"x", *producer("p", 2, 0)).status == 403
    assert add(mount, "/s", b"x", "Stream-Seq: b").status == 409
    assert add(mount, "/s", b"two", *producer("p", 3, 1)).status == 200
    assert get(mount, "/s").body == b"onetwo"
    assert mount.ask("HEAD", "/s")["Stream-TTL"] == "500"
    assert get(mount, "/closed")["Stream-Closed"] == "true"


def test_06_beside_a_session(auto: Mount, streams: Mount, path: str) -> None:
    """Nobody appends beside it; then anybody may."""
    create(streams, path)
    with auto.sender("PUT", f"{path}?append", None, TEXT) as session:
        session.send(b"a")
        assert get(streams, path, "offset=-1&live=long-poll").body == b"a"
        refused = add(streams, path, b"b")
        assert (refused.status, refused["X-Error-Code"]) == (409, "writer_present")
    # the session was lost, and what it brought stays
    assert add(streams, path, b"b").status == 204
    assert get(streams, path).body == b"ab"


def test_09_no_room(strict: Mount) -> None:
    """507, and what is there stays and is served."""
    mount = strict
    create(mount, "/s", b"x" * 1000)
    answer = add(mount, "/s", b"y" * (1 << 20))
    assert (answer.status, answer["X-Error-Code"]) == (507, "over_budget")
    assert get(mount, "/s").body == b"x" * 1000
    assert create(mount, "/other", b"y" * (1 << 20)).status == 507
    assert get(mount, "/other").status == 404
