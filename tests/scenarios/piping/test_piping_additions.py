"""What no other server for piping has: one honest answer, limits, signs of life, neighbours."""

from __future__ import annotations

import pytest

from tests.conftest import eventually
from tests.scenarios.answers import ask as ask_auto
from tests.scenarios.piping.front import (
    BEFORE,
    FORM,
    RECEIVED,
    SENT,
    START,
    WAITING,
    Front,
    fresh_path,
)

# -- ?strict=1


def test_strict_success(front: Front, path: str) -> None:
    """One answer, when the receivers have every byte."""
    sender = front.send(f"{path}?strict=1&n=2", b"hello")
    receivers = [front.receive(f"{path}?n=2")]
    assert sender.silent()
    receivers.append(front.receive(f"{path}?n=2"))
    assert [receiver.rest() for receiver in receivers] == [b"hello"] * 2
    answer = sender.answer()
    assert (answer.status, answer.body.decode()) == (200, f"{RECEIVED}\n")
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_strict_when_a_receiver_leaves(front: Front, path: str) -> None:
    """502, with the reason."""
    staying, leaving = (front.receive(f"{path}?n=2") for _ in range(2))
    eventually(lambda: front.waiting() == 2)
    sender = front.open(f"{path}?n=2&strict=1", 6, first=b"abc")
    assert [staying.take(3), leaving.take(3)] == [b"abc"] * 2
    leaving.reset()
    eventually(lambda: front.daemon.state()["keys"][0]["readers"] == 1)
    sender.send(b"def")
    assert staying.rest() == b"def"
    sender.answer().assert_refused("[ERROR] 1 of 2 receivers got everything.", 502)


def test_strict_when_all_receivers_leave(front: Front, path: str) -> None:
    """502, though the body is not whole yet."""
    receiver = front.receive(path)
    eventually(lambda: front.waiting() == 1)
    sender = front.open(f"{path}?strict=1", 6, first=b"abc")
    assert receiver.take(3) == b"abc"
    receiver.leave()
    answer = sender.answer()
    answer.assert_refused("[ERROR] Every receiver left.", 502)
    assert front.old or answer.headers["Connection"] == "close"


def test_strict_when_nobody_comes(front: Front, path: str) -> None:
    """408."""
    answer = front.ask("POST", f"{path}?strict=1&wait=0.1", body=b"hello")
    answer.assert_refused("[ERROR] Nobody came within 0.1 seconds.", 408)
    sender = front.send(f"{path}?strict=1&wait=0.3&n=2", b"hello")
    eventually(lambda: front.present() == 1)
    front.receive(f"{path}?n=2")
    text = "[ERROR] Only 1 of 2 receivers came within 0.3 seconds."
    sender.answer().assert_refused(text, 408)


def test_strict_refusals(front: Front, path: str) -> None:
    """A form that is none is 400, here also after the start."""
    front.receive(path)
    eventually(lambda: front.waiting() == 1)
    answer = front.ask("POST", f"{path}?strict=1", FORM, body=b"--b--\r\n")
    answer.assert_refused("[ERROR] Multipart body contains no part.")
    for value in ("", "2", "true"):
        answer = front.ask("POST", f"{path}?strict={value}", body=b"x")
        answer.assert_refused("[ERROR] Strict is neither 0 nor 1.")


def test_strict_invites_the_body_late(modern: Front, path: str) -> None:
    """Only when the receivers are there, so that nothing is sent in vain."""
    sender = modern.open(f"{path}?strict=1", 5, "Expect: 100-continue")
    eventually(lambda: modern.present() == 1)
    assert sender.silent()
    receiver = modern.receive(path)
    assert sender.sock.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
    sender.send(b"hello")
    assert receiver.rest() == b"hello"
    assert sender.answer().status == 200


# -- waiting, and signs of life


def test_a_receiver_who_does_not_wait_for_ever(front: Front, path: str) -> None:
    """408, when nobody came in its time."""
    for wait in ("0", "0.1", "0.1s"):
        answer = front.ask("GET", f"{path}?wait={wait}")
        text = f"[ERROR] No sender came within {wait.rstrip('s')} seconds."
        answer.assert_refused(text, 408)


def test_a_wait_that_is_none(plain: Front, path: str) -> None:
    """It is refused."""
    for method in ("GET", "POST"):
        for wait in ("x", "-1", "", "25h"):
            assert plain.ask(method, f"{path}?wait={wait}").status == 400


def test_nobody_waits_longer_than_the_setting_says(limited: Front, path: str) -> None:
    """--piping-wait, for either side, also where the request asks for more."""
    receiver = limited.receive(path)
    receiver.answer().assert_refused("[ERROR] No sender came within 1 second.", 408)
    answer = limited.ask("POST", f"{path}?wait=2", body=b"x")
    answer.assert_refused("[ERROR] Wait exceeds the maximum of 1 second.")


def test_signs_of_life(strained: Front, path: str) -> None:
    """--heartbeat: a waiting sender gets a line now and then, until its receivers are there."""
    sender = strained.send(path, b"hello")
    if strained.old:
        assert sender.status == 408
        expected = [WAITING.format(1), "[ERROR] Nobody came within 1 second."]
        assert sender.lines() == expected
        return
    assert sender.line() == WAITING.format(1)
    for _ in range(2):
        assert sender.line() == "[INFO] Still waiting after 0 seconds."
    receiver = strained.receive(path)
    assert receiver.rest() == b"hello"
    lines = [line for line in sender.lines() if "Still waiting" not in line]
    assert lines == ["[INFO] A receiver was connected.", START.format(1), SENT, RECEIVED]


def test_no_signs_of_life_after_the_start(limited: Front, path: str) -> None:
    """Then the transfer itself is one."""
    receiver = limited.receive(path)
    eventually(lambda: limited.waiting() == 1)
    sender = limited.open(path, 5)
    assert [sender.line() for _ in range(3)] == [
        WAITING.format(1), BEFORE.format(1), START.format(1)
    ]  # fmt: skip
    sender.sock.settimeout(0.5)
    with pytest.raises(TimeoutError):
        sender.sock.recv(1)
    receiver.leave()


# -- limits


def test_too_many_receivers(strained: Front, path: str) -> None:
    """--max-receivers."""
    for method in ("GET", "POST"):
        answer = strained.ask(method, f"{path}?n=4")
        text = "[ERROR] n is not a whole number from 1 to 3, but n = 4."
        answer.assert_refused(text)


def test_too_many_parties(strained: Front) -> None:
    """--max-keys, for senders and for receivers who wait; who is there goes on."""
    senders = [strained.send(fresh_path(), b"x") for _ in range(2)]
    eventually(lambda: strained.present() == 2)
    answer = strained.ask("POST", fresh_path(), body=b"x")
    answer.assert_refused("[ERROR] Too many keys, try again later.", 503)
    assert answer.headers["Retry-After"]
    for sender in senders:
        sender.leave()
    eventually(lambda: strained.present() == 0)
    paths = [fresh_path(), fresh_path()]
    receivers = [strained.receive(path) for path in paths]
    eventually(lambda: strained.waiting() == 2)
    answer = strained.ask("GET", fresh_path())
    answer.assert_refused("[ERROR] Too many waiting readers, try again later.", 503)
    assert strained.send(paths[0], b"hello").lines()[-1] == RECEIVED
    assert receivers[0].rest() == b"hello"


# -- other protocols


def test_a_pipe_of_another_protocol(plain: Front, path: str) -> None:
    """What is there under the key is read; there is no second writer."""
    answer = ask_auto(
        plain.daemon, f"{path}?max-age=1s", "--data", "hello", "-X", "PUT", listener=2
    )
    assert answer.status == 200
    receiver = plain.receive(path)
    assert (receiver.status, receiver.rest()) == (200, b"hello")
    plain.ask("POST", path, body=b"x").assert_refused("[ERROR] Key already exists.")
    eventually(plain.at_rest)


def test_parties_of_two_protocols(modern: Front, path: str) -> None:
    """The key is one key for all of them."""
    sender = modern.send(path, b"hello", "X-Piping: x")
    assert sender.status == 200
    looked = ask_auto(modern.daemon, path, "--head", listener=2)
    assert (looked.status, looked["Content-Length"], looked["X-Piping"]) == (200, "5", "x")
    assert ask_auto(modern.daemon, path, listener=2).body == b"hello"
    assert sender.lines()[-1] == RECEIVED
    receiver = modern.receive(path)
    eventually(lambda: modern.waiting() == 1)
    answer = ask_auto(modern.daemon, path, "--data", "hello", listener=2)
    assert (answer.status, answer.text) == (200, "delivered to 1 receiver\n")
    assert receiver.rest() == b"hello"
