"""What the original gets wrong, by the numbers of `docs/decisions/piping.md`."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import curl, eventually
from tests.scenarios.answers import ask as ask_auto
from tests.scenarios.peers import MIB, body_of, sha
from tests.scenarios.piping.conftest import Launch
from tests.scenarios.piping.front import (
    ABORTED,
    AUTO,
    FORM,
    RECEIVED,
    SENT,
    TLS,
    WAITING,
    Front,
    form,
    fresh_path,
)


@pytest.mark.parametrize("number", [2, 3])
def test_01_an_abort_is_counted_once(front: Front, path: str, number: int) -> None:
    """The others get everything, the sender's answer ends, and the path is free."""
    target = f"{path}?n={number}"
    leaving, *staying = (front.receive(target) for _ in range(number))
    eventually(lambda: front.waiting() == number)
    sender = front.open(target, 6, first=b"abc")
    assert [receiver.take(3) for receiver in (leaving, *staying)] == [b"abc"] * number
    leaving.reset()
    eventually(lambda: front.daemon.state()["keys"][0]["readers"] == number - 1)
    sender.send(b"def")
    assert [receiver.rest() for receiver in staying] == [b"def"] * (number - 1)
    lines = sender.lines() if front.old else sender.broken_lines()
    end = f"[ERROR] {number - 1} of {number} receivers got everything."
    assert lines[3:] == [ABORTED, SENT, end]
    receiver = front.receive(path)
    assert front.send(path, b"again").lines()[-1] == RECEIVED
    assert receiver.rest() == b"again"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", form(b"\r\nhello")),
        ("multipart/form-data; boundary=b", form()),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=c", form(b"\r\nhello")),
    ],
)
def test_02_a_form_without_a_part_hangs_nobody(
    front: Front, path: str, content_type: str, body: bytes
) -> None:
    """Sender and receiver hear of it, and the path goes on to work."""
    receiver = front.receive(path)
    eventually(lambda: front.waiting() == 1)
    sender = front.send(path, body, f"Content-Type: {content_type}")
    if "boundary" not in content_type:
        assert sender.status == 400
        receiver.leave()
        eventually(lambda: front.waiting() == 0)
    else:
        assert receiver.status == 502
        assert sender.status == (400 if front.old else 200)
    receiver = front.receive(path)
    eventually(lambda: front.waiting() == 1)
    assert front.send(path, b"again").lines()[-1] == RECEIVED
    assert receiver.rest() == b"again"


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("text/html", "text/plain"),
        ("TEXT/HTML", "text/plain"),
        ("text/html ;charset=x", "text/plain;charset=x"),
        ("image/svg+xml", "image/svg+xml"),
        ("application/xhtml+xml", "application/xhtml+xml"),
    ],
)
def test_03_nothing_runs_in_a_browser(front: Front, path: str, sent: str, shown: str) -> None:
    """No type is a page, none is guessed, and what could run has no origin and no rights."""
    receiver = front.receive(path)
    eventually(lambda: front.waiting() == 1)
    front.send(path, b"<script>alert(1)</script>", f"Content-Type: {sent}").lines()
    assert receiver.headers["Content-Type"] == shown
    assert receiver.headers["X-Content-Type-Options"] == "nosniff"
    assert receiver.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"


def test_04_a_failure_ends_without_its_end(modern: Front, path: str) -> None:
    """Curl's exit status tells, though the head had said 200."""
    command = modern.curl("--data", "hello", path=f"{path}?wait=0")
    done = curl(*command[1:])
    assert done.returncode == 18
    assert done.stdout.decode().splitlines()[0] == WAITING.format(1)


def test_04_a_failure_has_a_status(front: Front, path: str) -> None:
    """For who asks for one answer, and for HTTP/1.0, which gets one anyway."""
    answer = front.ask("POST", f"{path}?wait=0&strict=1", body=b"hello")
    assert answer.status == 408
    old = front.by("1.0-tls" if front.way.listener == TLS else "1.0")
    assert old.ask("POST", f"{path}?wait=0", body=b"hello").status == 408


def test_05_a_receiver_that_takes_nothing_is_dropped(limited: Front, path: str) -> None:
    """After --stall-timeout; the others get everything."""
    body = body_of(24 * MIB)
    limited.receive(f"{path}?n=2", receive_buffer=65536)
    quick = limited.receive(f"{path}?n=2")
    eventually(lambda: limited.waiting() == 2)
    with limited.sending(f"{path}?n=2", body, chunked=True) as sender:
        assert sha(quick.rest() or b"") == sha(body)
    lines = sender.broken_lines()
    assert ABORTED in lines
    assert lines[-1] == "[ERROR] 1 of 2 receivers got everything."


def test_06_there_are_limits(limited: Front, path: str) -> None:
    """Of the wait, of parties, of n and of a path's length."""
    assert limited.receive(path).status == 408
    assert limited.ask("POST", f"{path}?n=4", body=b"x").status == 400
    assert limited.ask("POST", f"/{'x' * 513}", body=b"x").status == 400
    senders = [limited.send(fresh_path(), b"x") for _ in range(2)]
    assert [sender.status for sender in senders] == [200, 200]
    assert limited.ask("POST", fresh_path(), body=b"x").status == 503


def test_07_paths_and_numbers_mean_one_thing(front: Front) -> None:
    """What could be read in two ways is refused."""
    for path in ("//x/y", "/x/../y", "/x%2Fy", "/x?n=1.5", "/x?n=2x", "/x?n=1&n=2"):
        assert front.ask("POST", path, body=b"x").status == 400
        assert front.ask("GET", path).status == 400


def test_07_a_path_can_be_looked_at(front: Front, path: str) -> None:
    """By HEAD of the same key on a listener of `auto`."""
    front.send(path, b"hello", "Content-Type: image/png")
    eventually(lambda: front.present() == 1)
    looked = ask_auto(front.daemon, path, "--head", listener=AUTO)
    assert (looked.status, looked["Content-Type"]) == (200, "image/png")
    assert looked["Content-Length"] == "5"
    assert front.by("1.1").receive(path).rest() == b"hello"


def test_08_a_long_body_takes_no_memory(plain: Front, path: str) -> None:
    """Also with several receivers: nobody has a copy of his own."""
    body = body_of(MIB) * 32
    resident = Path(f"/proc/{plain.daemon.pid}/statm")

    def pages() -> int:
        return int(resident.read_text().split()[1])

    def once() -> None:
        receivers = [plain.receive(f"{path}?n=3") for _ in range(3)]
        eventually(lambda: plain.waiting() == 3)
        with ThreadPoolExecutor(3) as pool, plain.sending(f"{path}?n=3", body) as sender:
            for got in pool.map(lambda receiver: receiver.rest(), receivers):
                assert len(got or b"") == len(body)
        assert sender.lines()[-1] == RECEIVED

    before = pages()
    once()
    assert (pages() - before) * 4096 < 16 * MIB


def test_09_a_waiting_sender_is_kept_alive(limited: Front, path: str) -> None:
    """By a line now and then, with --heartbeat."""
    sender = limited.send(path, b"hello")
    assert sender.line() == WAITING.format(1)
    assert sender.line().startswith("[INFO] Still waiting after ")


def test_10_it_stops_when_the_transfers_are_over(launch: Launch, path: str) -> None:
    """One signal: what runs goes on, nothing new begins, then it goes by itself."""
    front = launch()
    receiver = front.receive(path)
    eventually(lambda: front.waiting() == 1)
    sender = front.open(path, 6, first=b"abc")
    assert receiver.take(3) == b"abc"
    front.daemon.process.send_signal(signal.SIGTERM)
    eventually(lambda: front.daemon.state()["phase"] == "draining")
    for method in ("GET", "POST"):
        answer = front.ask(method, fresh_path())
        assert answer.status == 503
        assert answer.headers["Connection"] == "close"
    sender.send(b"def")
    assert receiver.rest() == b"def"
    assert sender.lines()[-1] == RECEIVED
    assert front.daemon.process.wait(20) == 0
    front.daemon.assert_clean_log()
    front.leave()


def test_10_whatever_is_sent_no_exception_escapes(plain: Front, path: str) -> None:
    """An error of ours would be a 500 and a traceback in the log, which the fixture looks for."""
    for request in (
        plain.request("POST", path, FORM, "Content-Length: 9") + b"\xff" * 9,
        plain.request("POST", path, "Content-Type: \xff", "X-Piping: \xff"),
        plain.request("GET", "/noscript?path=%ff&mode=%ff"),
        plain.request("GET", "/noscript?" + "a=b&" * 100),
        plain.request("OPTIONS", "/" + "%" * 600),
        plain.request("POST", path, 'Content-Disposition: "\udcff', "Content-Length: x"),
    ):
        plain.begin(request)
    plain.leave()
