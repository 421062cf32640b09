"""How long both sides wait, and how many may."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.conftest import Daemon, eventually, read_until
from tests.scenarios.httpipe.conftest import LISTENERS
from tests.scenarios.mount import Mount, finished, sending
from tests.scenarios.peers import MIB, at_rest, body_of, sha


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mount]:
    """A daemon in which both sides wait for half a second, and at most three at a time.

    It also moves every body by its event loop, and none above 9 MiB.
    """
    settings = (
        "--request-timeout", "0.5", "--max-keys", "3", "--max-wait", "1m", "--no-relay",
        "--max-body-size", "9M",
    )  # fmt: skip
    daemon = Daemon([*LISTENERS, *settings], tmp_path_factory.mktemp("hurried"))
    yield Mount(daemon, 1)
    daemon.kill()
    daemon.assert_clean_log()


@pytest.mark.parametrize(
    ("version", "length"),
    [("1.0", 5), ("1.1", 5), ("1.0", 1_000_000), ("1.1", 1_000_000), ("1.1", None)],
)
def test_a_producer_without_a_consumer(
    hurried: Mount, channel: str, length: int | None, version: str
) -> None:
    """408, empty, and none of its body was read."""
    with hurried.sender("POST", channel, length, version=version) as producer:
        head = read_until(producer.sock, b"\r\n\r\n")
    assert head.startswith(f"HTTP/{version} 408 ".encode())
    assert b"\r\nContent-Length: 0\r\n" in head
    assert at_rest(hurried.daemon)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_consumer_without_a_producer(hurried: Mount, channel: str, version: str) -> None:
    """408, empty."""
    answer = hurried.ask("GET", channel, version=version)
    assert (answer.status, answer.body) == (408, b"")


def test_a_running_pair_has_all_the_time(hurried: Mount, channel: str) -> None:
    """The limit is for the wait alone."""
    with hurried.receiver(channel) as consumer, hurried.sender("POST", channel, 10) as producer:
        producer.send(b"hello")
        assert (consumer.begin(), consumer.take(5)) == (200, b"hello")
        time.sleep(0.7)  # longer than the limit
        producer.send(b"world")
        assert consumer.rest() == b"world"
        assert read_until(producer.sock, b"\r\n").startswith(b"HTTP/1.1 200 ")


def test_the_wait_begins_anew_for_another_consumer(hurried: Mount, channel: str) -> None:
    """A producer whose consumer left has as long to find the next one."""
    with hurried.sender("POST", channel, None) as producer:
        for _ in range(3):
            with hurried.receiver(channel):
                time.sleep(0.3)  # three of them are longer than the limit
        with hurried.receiver(channel) as consumer:
            producer.send(b"hello")
            producer.sock.sendall(b"0\r\n\r\n")
            assert (consumer.begin(), consumer.rest()) == (200, b"hello")


@pytest.mark.parametrize("how", ["?wait=0", "?wait=0.01s", "Prefer: wait=0"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_says_how_long(front: Mount, channel: str, method: str, how: str) -> None:
    """By its query, or as a preference; there is no limit otherwise."""
    path, headers = (channel + how, ()) if how[0] == "?" else (channel, (how,))
    assert front.ask(method, path, "Content-Length: 0", *headers).status == 408


def test_no_wait_takes_what_is_there(front: Mount, channel: str) -> None:
    """A consumer that only looks finds the producer that waits."""
    producer = front.start_curl(channel, "--data", "hello")
    eventually(lambda: front.waiting(channel) == 1)
    assert front.ask("GET", channel + "?wait=0").body == b"hello"
    assert finished(producer).status == 200


@pytest.mark.parametrize("wait", ["x", "-1", "", "%35", "2h"])
def test_a_wait_that_cannot_be(front: Mount, channel: str, wait: str) -> None:
    """400: it is an order, unlike a preference."""
    assert front.ask("GET", f"{channel}?wait={wait}").status == 400
    assert front.ask("GET", channel + "?wait=0", f"Prefer: wait={wait}").status == 408


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_11_there_are_limits(hurried: Mount, channel: str, method: str) -> None:
    """503 for the next one, who may try again; those who wait are left alone."""
    path = f"{channel}?wait=30"
    if method == "GET":
        waiting = [hurried.receiver(path) for _ in range(3)]
    else:
        waiting = [hurried.sender("POST", path, 5) for _ in range(3)]
    eventually(lambda: hurried.waiting(channel) == 3)
    for other in ("GET", "POST"):
        answer = hurried.ask(other, f"{channel}-other", "Content-Length: 0")
        assert (answer.status, answer["Retry-After"]) == (503, "5")
    for one in waiting:
        one.leave()
    eventually(lambda: at_rest(hurried.daemon) and not hurried.waiting(channel))
    assert hurried.ask("GET", channel).status == 408


def test_11_a_body_has_a_limit(hurried: Mount, channel: str) -> None:
    """413 at once if it says so itself; else its consumer does not take the part for the whole."""
    assert hurried.ask("POST", channel, f"Content-Length: {10 * MIB}").status == 413
    with hurried.receiver(channel) as consumer, hurried.sender("POST", channel, None) as producer:
        with sending(producer, bytes(10 * MIB)):
            assert consumer.begin() == 200
            assert consumer.rest() is None
        assert read_until(producer.sock, b"\r\n").startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("mover", ["kernel", "loop"])
def test_15_large_bodies_take_the_short_way(
    root: Mount, hurried: Mount, channel: str, mover: str
) -> None:
    """By the kernel or not, every byte arrives, in order, one message after the other."""
    front = root if mover == "kernel" else hurried
    for seed in range(3):
        body = body_of(8 * MIB + seed, seed)
        with (
            front.receiver(channel) as consumer,
            front.sender("POST", channel, len(body)) as producer,
            sending(producer, body),
        ):
            assert (consumer.begin(), sha(consumer.rest() or b"")) == (200, sha(body))
            assert read_until(producer.sock, b"\r\n").startswith(b"HTTP/1.1 200 ")
    assert at_rest(front.daemon)
