"""What the program named httpipe gets wrong, by the numbers of `docs/decisions/httpipe.md`."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Daemon, curl, eventually, start_curl
from tests.scenarios.answers import assert_refused, parse
from tests.scenarios.mount import Mount, certificate, finished, leave, sending, status_of
from tests.scenarios.peers import MIB, Peer, Upload, at_rest, body_of, descriptors, sha

LARGE = body_of(6 * MIB)
LENGTHS = [len(LARGE), None]

Launch = Callable[..., Mount]


def quiet(sock: socket.socket) -> bool:
    """Whether nothing comes for a moment."""
    sock.settimeout(0.2)
    try:
        return not sock.recv(1)
    except TimeoutError:
        return True
    finally:
        sock.settimeout(30)


@pytest.mark.parametrize("length", LENGTHS, ids=["length", "chunked"])
def test_01_success_means_delivered(root: Mount, channel: str, length: int | None) -> None:
    """The producer hears nothing while its consumer has not taken the last byte."""
    body = LARGE[: 1 << 18]
    with root.receiver(channel, receive_buffer=4096) as consumer:
        root.heard()
        with root.sender("POST", channel, length and len(body)) as producer:
            producer.send(body)
            if length is None:
                producer.sock.sendall(b"0\r\n\r\n")
            assert consumer.begin() == 200
            assert quiet(producer.sock)
            assert consumer.rest() == body
            assert status_of(producer.sock) == 200


@pytest.mark.parametrize("end", [leave, Peer.reset])
@pytest.mark.parametrize("length", LENGTHS, ids=["length", "chunked"])
def test_01_failure_is_told(
    root: Mount, channel: str, length: int | None, end: Callable[[Peer], None]
) -> None:
    """Also when every byte had been sent and the consumer leaves with some of them untaken."""
    body = LARGE[: 1 << 18]
    with root.receiver(channel, receive_buffer=4096) as consumer:
        root.heard()
        with root.sender("POST", channel, length and len(body)) as producer:
            producer.send(body)
            if length is None:
                producer.sock.sendall(b"0\r\n\r\n")
            assert consumer.begin() == 200
            consumer.take(1000)
            end(consumer)
            assert status_of(producer.sock) == 502


def test_02_a_consumer_is_not_left_hanging(root: Mount, channel: str) -> None:
    """It gets its end as soon as the producer sends it, whatever becomes of that connection."""
    path = channel.encode()
    with root.daemon.connect(listener=1) as pooled, root.receiver(channel) as consumer:
        pooled.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\n" % path)
        pooled.sendall(b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        assert (consumer.begin(), consumer.take(5)) == (200, b"hello")
        pooled.sendall(b"5\r\nworld\r\n0\r\n\r\n")
        assert consumer.rest() == b"world"
        assert status_of(pooled) == 200


@pytest.mark.parametrize("end", [leave, Peer.reset, Peer.half_close])
@pytest.mark.parametrize(
    ("length", "sent"),
    [(5, 0), (5, 5), (len(LARGE), 0), (len(LARGE), 100_000), (None, 0), (None, 100_000)],
    ids=["head", "small", "large head", "large", "chunked head", "chunked"],
)
def test_03_a_producer_that_leaves_is_gone(
    root: Mount, channel: str, end: Callable[[Upload], None], length: int | None, sent: int
) -> None:
    """Whatever of its body has arrived: within a second it waits no more, and meets nobody."""
    with root.sender("POST", channel, length) as producer:
        eventually(lambda: root.waiting(channel) == 1)
        if sent:
            producer.send(LARGE[:sent])
        end(producer)
        began = time.monotonic()
        eventually(lambda: root.waiting(channel) == 0)
        assert time.monotonic() - began < 1
    assert root.ask("GET", channel + "?wait=0").status == 408
    assert at_rest(root.daemon)


@pytest.mark.parametrize("end", [leave, Peer.reset])
def test_03_nobody_leaves_anything_behind(
    root: Mount, channel: str, end: Callable[[Peer], None]
) -> None:
    """A hundred who come and go cost nothing afterwards."""
    before = descriptors(root.daemon)
    parties: list[Peer] = [root.receiver(f"{channel}-1") for _ in range(50)]
    parties += [root.sender("POST", f"{channel}-2", 100_000) for _ in range(50)]
    eventually(lambda: root.waiting(f"{channel}-1") == 50)
    eventually(lambda: root.waiting(f"{channel}-2") == 50)
    for party in parties:
        end(party)
    eventually(lambda: root.waiting(f"{channel}-1") == root.waiting(f"{channel}-2") == 0)
    eventually(lambda: descriptors(root.daemon) <= before + 1)
    assert at_rest(root.daemon)


def test_04_head_takes_nothing(front: Mount, channel: str) -> None:
    """It tells what waits there, or 404 at once; the message is still there afterwards."""
    assert front.ask("HEAD", channel).status == 404
    producer = front.start_curl(channel, "--data", "hello", "-H", "Content-Type: text/x")
    eventually(lambda: front.waiting(channel) == 1)
    for _ in range(3):
        answer = front.ask("HEAD", channel)
        assert (answer.status, answer.body) == (200, b"")
        assert (answer["Content-Type"], answer["Content-Length"]) == ("text/x", "5")
    assert front.waiting(channel) == 1
    assert front.curl(channel).body == b"hello"
    assert finished(producer).status == 200


def test_04_head_waits_for_nobody(front: Mount, channel: str) -> None:
    """A consumer that waits is not what it looks for."""
    with front.receiver(channel):
        eventually(lambda: front.waiting(channel) == 1)
        assert front.ask("HEAD", channel).status == 404


def test_06_one_pair_at_a_time(root: Mount, channel: str) -> None:
    """The second pair begins when the first one is over."""
    with (
        root.receiver(channel) as consumer,
        root.sender("POST", channel, 10) as producer,
    ):
        producer.send(b"hello")
        assert consumer.begin() == 200
        next_producer = root.start_curl(channel, "--data", "next")
        next_consumer = root.start_curl(channel)
        eventually(lambda: root.waiting(channel) == 2)
        assert next_consumer.poll() is None
        producer.send(b"world")
        assert consumer.rest() == b"helloworld"
    assert finished(next_consumer).body == b"next"
    assert finished(next_producer).status == 200


def test_07_delete_is_there(front: Mount, channel: str) -> None:
    """Of a channel and of a namespace."""
    for path in (channel, channel.rpartition("/")[0]):
        consumer = front.start_curl(channel)
        eventually(lambda: front.waiting(channel) == 1)
        assert front.ask("DELETE", path).status == 204
        assert finished(consumer).status == 410


def test_08_what_is_known_of_a_body_arrives(root: Mount, channel: str) -> None:
    """Its length, so that a consumer sees how far it is, and its name."""
    with (
        root.receiver(channel) as consumer,
        root.sender(
            "POST", channel, len(LARGE), "Content-Type: text/csv",
            "Content-Disposition: attachment; filename=\"a.csv\"; filename*=UTF-8''%C3%A4.csv",
        ) as producer,
        sending(producer, LARGE),
    ):  # fmt: skip
        assert consumer.begin() == 200
        header = consumer.response.getheader
        assert header("Content-Length") == str(len(LARGE))
        assert header("Content-Type") == "text/csv"
        assert header("Content-Disposition") == (
            "attachment; filename=\"_.csv\"; filename*=UTF-8''%C3%A4.csv"
        )
        assert sha(consumer.rest() or b"") == sha(LARGE)


def test_09_nothing_is_compressed(front: Mount, channel: str) -> None:
    """Each piece arrives when it is sent, whatever the consumer could decode."""
    codings = "Accept-Encoding: gzip, deflate, br, zstd"
    with (
        front.receiver(channel, codings) as consumer,
        front.sender("POST", channel, None, "Content-Type: text/plain") as producer,
    ):
        producer.send(b"a" * 1000)
        assert consumer.begin() == 200
        assert consumer.response.getheader("Content-Encoding") is None
        assert consumer.take(1000) == b"a" * 1000
        producer.send(b"b" * 1000)
        assert consumer.take(1000) == b"b" * 1000


def test_10_channels_do_not_wait_for_each_other(root: Mount, channel: str) -> None:
    """A consumer that takes nothing holds up its own channel, and nobody else."""
    with (
        root.receiver(channel, receive_buffer=4096) as stuck,
        root.sender("POST", channel, len(LARGE)) as producer,
    ):
        producer.send(LARGE[:MIB])
        assert stuck.begin() == 200
        for number in range(20):
            other = root.start_curl(f"{channel}-{number}")
            assert root.give("POST", f"{channel}-{number}", b"hello").status == 200
            assert finished(other).body == b"hello"
        assert root.ask("GET", "/state").status == 200


def test_11_names_are_not_told_to_strangers(root: Mount, auto: Mount, channel: str) -> None:
    """In `auto` and below a prefix; who opened a listener for the protocol wants its lists."""
    stranger = "X-Forwarded-For: 192.0.2.1"
    prefix = Mount(auto.daemon, 0, "/-/httpipe")
    namespace = channel.split("/")[2]
    with root.receiver(channel):
        eventually(lambda: root.waiting(channel) == 1)
        for path in ("/channels/namespaces", f"/channels/{namespace}"):
            assert auto.ask("GET", path).status == 200
            assert_refused(auto.ask("GET", path, stranger), 403, "this machine")
            assert prefix.ask("GET", path, stranger).status == 403
            assert root.ask("GET", path, stranger).status == 200
        assert prefix.ask("GET", "/state", stranger).status == 403
        assert json.loads(root.ask("GET", "/state", stranger).body)[namespace] == ["name"]
        assert namespace not in auto.ask("GET", "/state", stranger).text


def test_12_a_wait_can_be_short(front: Mount, channel: str) -> None:
    """Who sits behind a proxy asks again before that gives up."""
    assert front.ask("GET", channel, "Prefer: wait=0").status == 408
    assert front.ask("POST", channel, "Prefer: wait=0", "Content-Length: 0").status == 408


def test_13_fan_out_is_there(auto: Mount) -> None:
    """As `auto`'s rendezvous of n receivers; a channel stays one to one."""
    receivers = [auto.start_curl("/fan-out?n=3") for _ in range(3)]
    assert auto.give("POST", "/fan-out?n=3", b"hello").status == 200
    assert [finished(each).body for each in receivers] == [b"hello"] * 3


def test_14_a_drain(launch: Launch) -> None:
    """Who waits is told at once, a running pair has its time, nobody may come, exit 0."""
    front = launch("--drain-timeout", "1h")
    with (
        front.receiver("/channels/a/busy") as consumer,
        front.sender("POST", "/channels/a/busy", 10) as producer,
        front.sender("POST", "/channels/a/b", len(LARGE)) as other,
        front.receiver("/channels/a/begun") as gone,
        front.sender("POST", "/channels/a/begun", 5) as begun,
    ):
        producer.send(b"hello")
        assert (consumer.begin(), consumer.take(5)) == (200, b"hello")
        waiting = [front.start_curl("/channels/a/c"),
                   front.start_curl("/channels/a/d", "--data", "x")]  # fmt: skip
        for name in "bcd":
            eventually(lambda name=name: front.waiting(f"/channels/a/{name}") == 1)
        eventually(lambda: front.daemon.state()["channels"] == {"queue": 2})
        front.daemon.process.send_signal(signal.SIGTERM)
        for each in waiting:
            answer = finished(each)
            assert (answer.status, answer["Retry-After"]) == (503, "5")
        assert status_of(other.sock) == 503
        assert front.ask("GET", "/channels/a/e").status == 503
        gone.leave()  # no other consumer will come for that message
        assert status_of(begun.sock) == 503
        producer.send(b"world")
        assert consumer.rest() == b"world"
        assert status_of(producer.sock) == 200
    assert front.daemon.process.wait(30) == 0
    front.daemon.assert_clean_log()


def test_14_tls_and_ipv6(start: Callable[..., Daemon], tmp_path: Path) -> None:
    """A pair of curls that check the certificate; and the other family."""
    if not socket.has_ipv6:
        pytest.skip("this system has no IPv6")
    chain, key = certificate(tmp_path)
    daemon = start(
        "-l", "127.0.0.1:0", "-l", "https://127.0.0.1:0=httpipe", "-l", "[::1]:0=httpipe",
        "--tls-cert", chain, "--tls-key", key,
    )  # fmt: skip
    url = daemon.url("/channels/a/b", 1).replace("http://", "https://")
    consumer = start_curl("--include", "--cacert", chain, url)
    eventually(lambda: Mount(daemon, 1).waiting("/channels/a/b") == 1)
    producer = curl("--include", "--cacert", chain, "--data", "hello", url)
    assert producer.stdout.startswith(b"HTTP/1.1 200 ")
    assert finished(consumer).body == b"hello"
    source = tmp_path / "large"
    source.write_bytes(LARGE)
    arguments = ("-X", "POST", "-T", str(source), daemon.url("/channels/a/b", 2))
    for _ in range(3):  # curl closes at once, and so it may seem to have left
        sender = start_curl("--include", *arguments)
        assert sha(parse(curl("--include", "--cacert", chain, url).stdout).body) == sha(LARGE)
        assert finished(sender).status == 200
    daemon.assert_clean_log()
