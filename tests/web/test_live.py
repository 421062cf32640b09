"""Live: what a hand-over does to the connections of those who take part."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator

import pytest

from tests.conftest import Daemon, eventually, read_all
from tests.web.ways import GENERAL, get, key, put, read_answer, request

BIG = bytes(300_000)


@pytest.fixture(scope="module", params=["relay", "no-relay"])
def daemon(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Daemon]:
    """A daemon that lets keys be deleted; also over a unix socket."""
    folder = tmp_path_factory.mktemp(request.param)
    arguments = [f"--{request.param}", "--allow-delete", "--retention", "0.2"]
    listeners = ["--listen", "127.0.0.1:0", "--listen", f"unix:{folder / 'sock'}"]
    daemon = Daemon([*arguments, *listeners], folder)
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


def post(path: str, *fields: str, body: bytes = b"hello") -> bytes:
    """A POST."""
    return request("POST", path, *fields, body=body)


def receiver(daemon: Daemon, path: str) -> socket.socket:
    """Somebody who waits, past the doorman."""
    before = daemon.state()["waiting_readers"]
    sock = daemon.connect(get(path, *GENERAL))
    eventually(lambda: daemon.state()["waiting_readers"] == before + 1)
    return sock


@pytest.mark.parametrize("body", [b"", b"hello", BIG[:100_000]], ids=["none", "small", "larger"])
def test_the_connections_are_kept(daemon: Daemon, body: bytes) -> None:
    """Both may ask again, and also for something else."""
    path = key()
    with receiver(daemon, path) as taking, daemon.connect() as giving:
        for _ in range(3):
            giving.sendall(post(path, body=body))
            assert read_answer(taking).body == body
            assert read_answer(giving).body == b"delivered to 1 receiver\n"
            taking.sendall(get(path, *GENERAL))
        giving.sendall(put(path, *GENERAL))
        assert read_answer(taking).body == b"hello"
        assert read_answer(giving).status == 200


def test_a_request_behind_the_body(daemon: Daemon) -> None:
    """It is read when the hand-over is over, and answered then, in its order."""
    path = key()
    with receiver(daemon, path) as taking:
        behind = get(path + "-other?wait=0", *GENERAL) + request("GET", "/version")
        with daemon.connect(post(path, body=BIG[:200_000]) + behind) as giving:
            taking.settimeout(20)
            assert read_answer(taking).body == BIG[:200_000]
            assert [read_answer(giving).status for _ in range(3)] == [200, 404, 200]


def test_many_requests_behind_the_body(daemon: Daemon) -> None:
    """However many they are, none is lost and no connection is stuck."""
    path = key()
    with receiver(daemon, path) as taking:
        data = post(path) + request("GET", "/version", *GENERAL) * 200
        with daemon.connect(data) as giving:
            assert read_answer(taking).body == b"hello"
            assert read_answer(giving).body == b"delivered to 1 receiver\n"
            assert [read_answer(giving).status for _ in range(200)] == [200] * 200


def test_a_sender_who_ends_his_half_is_answered(daemon: Daemon) -> None:
    """He has sent everything, and waits for nothing but the answer."""
    path = key()
    with receiver(daemon, path) as taking, daemon.connect() as giving:
        head, _, body = post(path, body=BIG).partition(b"\r\n\r\n")
        giving.sendall(head + b"\r\n\r\n")
        eventually(lambda: daemon.state()["waiting_readers"] == 0)
        giving.sendall(body)
        giving.shutdown(socket.SHUT_WR)
        assert read_answer(taking).body == BIG
        assert b"\r\n\r\ndelivered to 1 receiver\n" in read_all(giving)


@pytest.mark.parametrize("whole", [True, False])
def test_over_a_unix_socket(daemon: Daemon, whole: bool) -> None:
    """Where there is no FIN: a sender who closes has sent all, or not; a receiver likewise."""
    path = key()
    with receiver(daemon, path) as taking:
        with _unix(daemon, post(path, body=BIG)[: None if whole else -1]):
            eventually(lambda: daemon.state()["waiting_readers"] == 0)
        response = http.client.HTTPResponse(taking)
        response.begin()
        assert (len(response.read(300_000)) == 300_000) is whole
        response.close()
    for reads in (True, False):
        with daemon.connect(post(path, "Connection: close", body=BIG[:100_000])) as giving:
            eventually(lambda: daemon.state()["keys"])
            with _unix(daemon, get(path, *GENERAL)) as taking:
                if reads:
                    assert read_answer(taking).body == BIG[:100_000]
                else:
                    assert taking.recv(1000)
            assert read_answer(giving).status == (200 if reads else 502)


def _unix(daemon: Daemon, data: bytes) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(20)
    sock.connect(str(daemon.folder / "sock"))
    sock.sendall(data)
    return sock
