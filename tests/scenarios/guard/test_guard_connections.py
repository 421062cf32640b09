"""More connections than there is room for: those beyond are told to come again."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

from tests.conftest import Daemon, curl, eventually, read_all
from tests.scenarios.answers import assert_refused, parse, raw
from tests.scenarios.peers import MIB, Download, Upload

Start = Callable[..., Daemon]
MOST = 8


def version(daemon: Daemon) -> int:
    """The status of a small request on a connection of its own; 0 if nobody answers."""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        if data := daemon.talk(raw("GET /version HTTP/1.1")):
            return parse(data).status
    return 0


def test_the_cap(start: Start) -> None:
    """The ninth of eight gets 503 and when to come again; when one leaves, there is room."""
    daemon = start("--max-connections", str(MOST))
    with contextlib.ExitStack() as open_:
        silent = [open_.enter_context(daemon.connect()) for _ in range(MOST)]
        eventually(lambda: version(daemon) == 503)
        answer = parse(daemon.talk(b""))
        assert answer.status == 503
        assert answer.text == "too many connections, try again later\n"
        assert answer["Retry-After"] == "5"
        assert answer["Connection"] == "close"
        done = curl("--include", daemon.url("/version"))
        assert parse(done.stdout).status == 503
        silent.pop().close()
        eventually(lambda: version(daemon) == 200)
    daemon.assert_clean_log()


def test_transfers_under_way_go_on(start: Start) -> None:
    """Those who are inside do not notice."""
    daemon = start("--max-connections", str(MOST), "--wait", "50")
    with contextlib.ExitStack() as open_:
        sender = open_.enter_context(Upload(daemon, "/k", 2 * MIB))
        reader = open_.enter_context(Download(daemon, "/k"))
        sender.send(bytes(MIB))
        assert reader.begin() == 200
        for _ in range(MOST - 2):
            open_.enter_context(daemon.connect())
        eventually(lambda: version(daemon) == 503)
        assert sender.finish(bytes(MIB)).startswith(b"HTTP/1.1 200 ")
        assert reader.rest() == bytes(2 * MIB)
    daemon.assert_clean_log()


def test_a_flood_beyond_the_limit_of_files(start: Start) -> None:
    """With few descriptors and many clients it answers, writes little, and is well afterwards."""
    daemon = start(prefix=("prlimit", "--nofile=128:128"))
    statuses = []
    with contextlib.ExitStack() as open_:
        clients: list[socket.socket] = []
        for _ in range(300):
            with contextlib.suppress(OSError):
                clients.append(open_.enter_context(daemon.connect(raw("GET /version HTTP/1.1"))))
        for client in clients:
            with contextlib.suppress(OSError):
                if data := read_all(client):
                    statuses.append(parse(data).status)
    assert set(statuses) <= {200, 503}
    assert len(statuses) > 200
    eventually(lambda: version(daemon) == 200)
    assert daemon.log_path.stat().st_size < 300_000
    daemon.assert_clean_log()


def test_silent_clients_beyond_the_limit_of_files(start: Start) -> None:
    """The same with clients that stay: the others are refused, then there is room again."""
    daemon = start(prefix=("prlimit", "--nofile=128:128"))
    with contextlib.ExitStack() as open_:
        for _ in range(150):
            open_.enter_context(daemon.connect())
        eventually(lambda: version(daemon) == 503)
    eventually(lambda: version(daemon) == 200)
    assert daemon.log_path.stat().st_size < 100_000
    daemon.assert_clean_log()


def test_waiting_readers_count(start: Start) -> None:
    """Whoever waits holds a connection, and gives it back."""
    daemon = start("--max-connections", "2", "--wait", "50")
    waiting = [Download(daemon, f"/k{i}") for i in range(2)]  # connected before anybody else asks
    eventually(lambda: version(daemon) == 503)
    for reader in waiting:
        reader.reset()
    eventually(lambda: version(daemon) == 200)
    eventually(lambda: daemon.state()["waiting_readers"] == 0)
    answer = parse(daemon.talk(raw("GET /a//b HTTP/1.1")))
    assert_refused(answer, 400)
