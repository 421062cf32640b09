"""Going down in every phase: who is still served, who is sent away, and that the exit code is 0."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Daemon, curl, eventually, read_all, read_until, start_curl
from tests.scenarios.peers import (
    MIB,
    Download,
    Upload,
    body_of,
    key_of,
    put,
    readers,
    sha,
    stored,
)
from tests.scenarios.ways import Way

BODY = body_of(3 * MIB)
HALF = len(BODY) // 2

Start = Callable[..., Daemon]


def ask_to_drain(daemon: Daemon, number: int = signal.SIGTERM) -> None:
    """Send the first signal, and wait until the daemon has taken note of it."""
    daemon.process.send_signal(number)
    eventually(lambda: daemon.state()["phase"] == "draining")


def exit_code(daemon: Daemon) -> int:
    """How the process ends; it must within a minute."""
    return daemon.process.wait(60)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle(start: Start, number: int) -> None:
    """An idle daemon goes at the first signal, whatever it might have waited for."""
    daemon = start("--drain-timeout", "1h")
    assert daemon.stop(number) == 0
    assert daemon.log()[-1]["event"] == "stopped"
    daemon.assert_clean_log()


def test_signals_without_end(start: Start) -> None:
    """Whoever goes on sending signals until it is gone sees exit code 0 as well."""
    daemon = start()
    while daemon.process.poll() is None:
        daemon.process.send_signal(signal.SIGTERM)
        time.sleep(0.002)
    assert daemon.process.returncode == 0
    daemon.assert_clean_log()


def test_silent_connections_hold_up_nothing(start: Start) -> None:
    """A connection without a request, with half a head, or kept alive is nobody to wait for."""
    daemon = start("--drain-timeout", "1h")
    with daemon.connect(), daemon.connect(b"GET /k HT"), daemon.connect() as kept:
        kept.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        read_until(kept, b"}")
        assert daemon.stop() == 0
        assert read_all(kept) == b""
    daemon.assert_clean_log()


def test_an_upload_and_its_reader_both_finish(start: Start, way: Way) -> None:
    """A transfer that was under way at the signal arrives whole, then the daemon ends."""
    daemon = start(way.flag, "--drain-timeout", "1h", "--retention", "1h")
    with (
        Upload(daemon, "/k", way.length(len(BODY))) as upload,
        Download(daemon, "/k") as reader,
    ):
        upload.send(BODY[:HALF])
        eventually(lambda: readers(daemon, "k") == 1)
        ask_to_drain(daemon)
        assert upload.finish(BODY[HALF:]).startswith(b"HTTP/1.1 200 ")
        assert reader.begin() == 200
        assert sha(reader.rest() or b"") == sha(BODY)
    assert exit_code(daemon) == 0
    daemon.assert_clean_log()


def test_a_small_upload_under_way_is_answered(start: Start) -> None:
    """A few bytes that were on their way at the signal are taken, or sent away with a 503."""
    daemon = start("--drain-timeout", "1h")
    with Upload(daemon, "/k", 10) as upload:
        upload.send(b"12345")
        assert curl(daemon.url("/health")).returncode == 0  # by now the head is there too
        daemon.process.send_signal(signal.SIGTERM)
        answer = upload.finish(b"67890")
        assert answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 503 "))
        if answer.startswith(b"HTTP/1.1 200 "):
            assert curl(daemon.url("/k")).stdout == b"1234567890"
    assert exit_code(daemon) == 0
    daemon.assert_clean_log()


def test_a_reader_may_join_while_draining(start: Start) -> None:
    """A key that is still being written is served to whoever comes."""
    daemon = start("--drain-timeout", "1h")
    with Upload(daemon, "/k", len(BODY)) as upload:
        upload.send(BODY[:HALF])
        eventually(lambda: stored(daemon, "k") > 0)
        ask_to_drain(daemon)
        with Download(daemon, "/k") as reader:
            upload.send(BODY[HALF:])
            assert reader.begin() == 200
            assert sha(reader.rest() or b"") == sha(BODY)
    assert exit_code(daemon) == 0


@pytest.fixture(scope="module")
def draining(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that drains for as long as these tests run, since one upload does not end."""
    listeners = ("--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0=file-pipe")
    daemon = Daemon(["--drain-timeout", "1h", *listeners], tmp_path_factory.mktemp("draining"))
    try:
        with Upload(daemon, "/busy") as upload:
            upload.send(b"12345")
            eventually(lambda: stored(daemon, "busy") == 5)
            ask_to_drain(daemon)
            yield daemon
            assert upload.finish(b"67890").startswith(b"HTTP/1.1 200 ")
            assert curl(daemon.url("/busy")).stdout == b"1234567890"
        assert exit_code(daemon) == 0
        daemon.assert_clean_log()
    finally:
        daemon.kill()


def test_ready_and_health_while_draining(draining: Daemon) -> None:
    """A balancer is told to go elsewhere; whoever restarts dead processes has no reason to."""
    ready = draining.talk(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert ready.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: " in ready
    health = draining.talk(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert health.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 5\r\n\r\nhello", b"Content-Length: 5000000\r\n\r\nh",
     b"Content-Length: 5000000\r\nExpect: 100-continue\r\n\r\n",
     b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"],
    ids=["small", "large", "expect", "chunked"],
)  # fmt: skip
@pytest.mark.parametrize("listener", [0, 1], ids=["auto", "file-pipe"])
def test_a_new_writer_is_sent_away(draining: Daemon, listener: int, framing: bytes) -> None:
    """A new upload gets 503, when to come again, and the end of its connection."""
    request = b"PUT /new HTTP/1.1\r\nHost: localhost\r\n" + framing
    with draining.connect(request, listener) as sock:
        answer = read_until(sock, b"server is shutting down, not accepting new uploads")
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: " in answer
    assert b"\r\nconnection: close" in answer.lower()


@pytest.mark.parametrize("query", ["", "?wait=30"], ids=["plain", "with a query"])
def test_a_get_that_would_have_to_wait_is_sent_away(draining: Daemon, query: str) -> None:
    """Nobody begins to wait for a writer who will not be let in."""
    answer = curl("--include", draining.url(f"/nobody{query}")).stdout
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: " in answer


@pytest.mark.parametrize("query", ["", "?wait=3000"], ids=["plain", "with a query"])
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_waiting_get_is_answered_at_the_signal(start: Start, query: str, *, busy: bool) -> None:
    """Whoever waits for a writer is told at once, also when the daemon goes at once."""
    daemon = start("--drain-timeout", "1h", "--wait", "50m")
    with contextlib.ExitStack() as transfers:
        if busy:
            upload = transfers.enter_context(Upload(daemon, "/busy"))
            eventually(lambda: stored(daemon, "busy") == 0)
        waiting = start_curl("--include", daemon.url(f"/nobody{query}"))
        eventually(lambda: daemon.state()["waiting_readers"] == 1)
        daemon.process.send_signal(signal.SIGTERM)
        answer, _ = waiting.communicate(timeout=30)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: " in answer
        if busy:
            upload.finish(b"hello")
            assert curl(daemon.url("/busy")).stdout == b"hello"
    assert exit_code(daemon) == 0
    daemon.assert_clean_log()


@pytest.mark.parametrize("size", [5, len(BODY)])
def test_what_nobody_has_read_yet_is_waited_for(start: Start, size: int) -> None:
    """A finished upload stays until its first reader has it, then the daemon goes."""
    daemon = start("--drain-timeout", "1h", "--retention", "1h")
    assert put(daemon, "/k", BODY[:size])[0] == 200
    ask_to_drain(daemon)
    with pytest.raises(subprocess.TimeoutExpired):
        daemon.process.wait(0.3)
    assert sha(curl(daemon.url("/k")).stdout) == sha(BODY[:size])
    assert exit_code(daemon) == 0


def test_what_was_read_once_is_not_waited_for(start: Start) -> None:
    """Retention alone keeps no daemon alive."""
    daemon = start("--drain-timeout", "1h", "--retention", "1h")
    put(daemon, "/k", b"hello")
    assert curl(daemon.url("/k")).stdout == b"hello"
    assert daemon.stop() == 0


def test_what_nobody_reads_goes_at_the_deadline(start: Start) -> None:
    """Nobody waits longer for a reader than --drain-timeout."""
    daemon = start("--drain-timeout", "0.5", "--retention", "1h")
    put(daemon, "/k", b"hello")
    assert daemon.stop() == 0
    assert any(line["event"] == "cut" and line["transfers"] == 1 for line in daemon.log())


def test_a_download_under_way_is_finished(start: Start, each_path: str) -> None:
    """A slow reader of a finished upload gets the rest of it."""
    daemon = start(each_path, "--drain-timeout", "1h", "--retention", "1h")
    body = body_of(12 * MIB)
    put(daemon, "/k", body)
    with Download(daemon, "/k", receive_buffer=65536) as reader:
        assert reader.begin() == 200
        first = reader.take(1000)
        ask_to_drain(daemon)
        with pytest.raises(subprocess.TimeoutExpired):
            daemon.process.wait(0.3)
        assert sha(first + (reader.rest() or b"")) == sha(body)
    assert exit_code(daemon) == 0


def test_the_second_signal_cuts(start: Start, way: Way) -> None:
    """Whoever insists gets the exit at once: no reader takes the part for the whole."""
    daemon = start(way.flag, "--drain-timeout", "1h")
    with (
        Upload(daemon, "/k", way.length(len(BODY))) as upload,
        Download(daemon, "/k") as reader,
        Upload(daemon, "/silent", way.length(len(BODY))),
    ):
        upload.send(BODY[:HALF])
        assert reader.begin() == 200
        reader.take(1000)
        eventually(lambda: stored(daemon, "silent") == 0)
        ask_to_drain(daemon)
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(10) == 0
        assert reader.rest() is None
        assert b" 200 " not in upload.answer()
    daemon.assert_clean_log()


def test_the_second_signal_cuts_a_stuck_download(start: Start, each_path: str) -> None:
    """A reader that takes nothing does not hold up a daemon that is told twice."""
    daemon = start(each_path, "--drain-timeout", "1h")
    put(daemon, "/k", body_of(12 * MIB))
    with Download(daemon, "/k", receive_buffer=65536) as reader:
        assert reader.begin() == 200
        ask_to_drain(daemon, signal.SIGINT)
        daemon.process.send_signal(signal.SIGINT)
        assert daemon.process.wait(10) == 0
        assert reader.rest() is None
    daemon.assert_clean_log()


def test_the_deadline_cuts(start: Start, way: Way) -> None:
    """At --drain-timeout what still runs is cut: curl ends with 18 (partial) or 56 (reset)."""
    daemon = start(way.flag, "--drain-timeout", "0.3")
    with Upload(daemon, "/k", way.length(len(BODY))) as upload:
        reader = start_curl("--output", "/dev/null", daemon.url("/k"))
        upload.send(BODY[:HALF])
        eventually(lambda: readers(daemon, "k") == 1)
        assert daemon.stop() == 0
        reader.communicate(timeout=30)
        assert reader.returncode in (18, 56)
    daemon.assert_clean_log()


def test_a_forward_under_way_is_finished(start: Start) -> None:
    """An upload whose target has not answered yet is a transfer with a peer."""
    with socket.create_server(("127.0.0.1", 0)) as target:
        url = f"http://127.0.0.1:{target.getsockname()[1]}/there"
        daemon = start("--forward-allow", "127.0.0.1", "--drain-timeout", "1h")
        answers: list[tuple[int, str]] = []
        header = ("--header", f"X-Forward-Url: {url}")
        sender = threading.Thread(target=lambda: answers.append(put(daemon, "/k", b"hi", *header)))
        sender.start()
        taken, _ = target.accept()
        with taken:
            read_until(taken, b"hi")
            eventually(lambda: (key_of(daemon, "k") or {}).get("state") == "finished")
            assert curl(daemon.url("/k")).stdout == b"hi"
            ask_to_drain(daemon)
            with pytest.raises(subprocess.TimeoutExpired):
                daemon.process.wait(0.3)
            taken.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
            sender.join(30)
    assert [status for status, _ in answers] == [200]
    assert exit_code(daemon) == 0


@pytest.fixture
def manager() -> Iterator[socket.socket]:
    """What a service manager listens on, in the abstract name space."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("")  # the kernel chooses a name
        sock.settimeout(30)
        yield sock


def until(manager: socket.socket, wanted: str) -> list[str]:
    """What the manager is told, up to the first message that has `wanted` in it."""
    told: list[str] = []
    while not told or wanted not in told[-1]:
        told.append(manager.recv(4096).decode())
    return told


def test_what_the_service_manager_is_told(start: Start, manager: socket.socket) -> None:
    """READY once we serve, WATCHDOG while the loop turns, STOPPING at the signal, in this order."""
    address = "@" + manager.getsockname()[1:].decode()
    daemon = start(
        "--drain-timeout", "1h", env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "100000"}
    )
    ready = until(manager, "READY=1")
    assert ready == [f"READY=1\nSTATUS=serving on {daemon.addresses[0]}"]
    assert "STOPPING=1" not in "".join(until(manager, "WATCHDOG=1"))
    put(daemon, "/k", b"hello")
    daemon.process.send_signal(signal.SIGTERM)
    until(manager, "STOPPING=1")
    until(manager, "STATUS=draining")
    until(manager, "WATCHDOG=1")  # a drain may be long: the manager must not take it for dead
    assert curl(daemon.url("/k")).stdout == b"hello"
    assert exit_code(daemon) == 0
