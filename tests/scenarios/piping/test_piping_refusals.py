"""Refusals: their texts, their order, and what they leave alone."""

from __future__ import annotations

import pytest

from tests.conftest import eventually
from tests.scenarios.piping.front import (
    BEFORE,
    CONNECTED,
    FORM,
    RECEIVED,
    SENT,
    START,
    WAITING,
    Front,
)

SENDERS = ("POST", "PUT")

BAD_NUMBERS = ["1.5", "2x", "+1", "", "x", "1e1", "%201", "0x1", "1" + "0" * 30, "-", "%D9%A1"]

BAD_PATHS = {
    "/a%2Fb": "has an escaped slash (%2F)",
    "/a/../b": "has a dot segment",
    "/a/./b": "has a dot segment",
    "/..": "has a dot segment",
    "//x/y": "has an empty segment",
    "/x//y": "has an empty segment",
    f"/{'x' * 600}": "exceeds 512 bytes",
    "/%ff": "is not valid UTF-8",
    "/%00": "has a control or bidirectional character",
    "/%0A": "has a control or bidirectional character",
    "/%E2%80%AE": "has a control or bidirectional character",
    "/a%5Cb": "has a backslash",
    "/a%zz": "has a percent sign that begins no escape",
}


@pytest.mark.parametrize("method", SENDERS)
def test_a_sender_who_wants_to_go_on(front: Front, path: str, method: str) -> None:
    """There is nothing to go on with."""
    answer = front.ask(method, path, "Content-Range: bytes 2-6/100", body=b"hello")
    answer.assert_refused(f"[ERROR] Content-Range is not supported for now in {method}")


def test_a_service_worker(front: Front, path: str) -> None:
    """What is sent here may not become one."""
    answer = front.ask("GET", path, "Service-Worker: script")
    answer.assert_refused("[ERROR] Service Worker registration is rejected.")


def test_a_number_that_is_none(front: Front, path: str) -> None:
    """A plain integer, and nothing else."""
    for number in BAD_NUMBERS:
        target = f"{path}?n={number}"
        front.ask("GET", target).assert_refused('[ERROR] Invalid query parameter "n"')
        for method in SENDERS:
            answer = front.ask(method, target, body=b"x")
            answer.assert_refused('[ERROR] Invalid "n" query parameter')


def test_a_number_out_of_bounds(front: Front, path: str) -> None:
    """From 1 to --max-receivers."""
    texts = {
        "0": "n should > 0, but n = 0.",
        "-1": "n should > 0, but n = -1.",
        "65": "n is not a whole number from 1 to 64, but n = 65.",
    }
    for number, text in texts.items():
        for method in ("GET", *SENDERS):
            front.ask(method, f"{path}?n={number}").assert_refused(f"[ERROR] {text}")


def test_the_most_receivers(plain: Front, path: str) -> None:
    """Both ends of the bounds are in them."""
    receiver = plain.receive(f"{path}?n=1")
    sender = plain.send(f"{path}?n=01", b"x")
    assert sender.lines()[-1] == RECEIVED
    assert receiver.rest() == b"x"
    assert plain.send(f"{path}?n=64", b"x").line() == WAITING.format(64)


def test_a_second_sender(front: Front, path: str) -> None:
    """The first one goes on waiting, and the receiver gets his body."""
    first = front.send(path, b"first")
    eventually(lambda: front.present() == 1)
    for method in SENDERS:
        answer = front.ask(method, path, body=b"second")
        answer.assert_refused(f"[ERROR] Another sender has been connected on '{path}'.")
    assert front.receive(path).rest() == b"first"
    assert first.lines()[-1] == RECEIVED


def test_everybody_after_the_start(front: Front, path: str) -> None:
    """A transfer that runs takes neither senders nor receivers."""
    receiver = front.receive(path)
    eventually(lambda: front.waiting() == 1)
    sender = front.open(path, 4, first=b"ab")
    assert receiver.take(2) == b"ab"
    text = f"[ERROR] Connection on '{path}' has been established already."
    for method in ("GET", *SENDERS):
        front.ask(method, path).assert_refused(text)
    sender.send(b"cd")
    assert receiver.rest() == b"cd"
    assert sender.lines()[-1] == RECEIVED


def test_numbers_that_differ(front: Front, path: str) -> None:
    """Who comes first has stated it, sender or receiver."""
    sender = front.send(f"{path}?n=2", b"x")
    eventually(lambda: front.present() == 1)
    text = "[ERROR] The number of receivers should be {} but {}."
    front.ask("GET", path).assert_refused(text.format(2, 1))
    front.ask("GET", f"{path}?n=3").assert_refused(text.format(2, 3))
    sender.leave()
    eventually(lambda: front.present() == 0)
    front.receive(f"{path}?n=2")
    eventually(lambda: front.waiting() == 1)
    front.ask("POST", path, body=b"x").assert_refused(text.format(2, 1))
    front.ask("GET", f"{path}?n=3").assert_refused(text.format(2, 3))


def test_a_receiver_too_many(front: Front, path: str) -> None:
    """As many as were stated wait already."""
    front.receive(f"{path}?n=2")
    front.receive(f"{path}?n=2")
    eventually(lambda: front.waiting() == 2)
    text = "[ERROR] The number of receivers has reached limits."
    front.ask("GET", f"{path}?n=2").assert_refused(text)


def test_the_order_for_a_sender(plain: Front, path: str) -> None:
    """Of several reasons the first one is told."""
    everything = ("Content-Range: bytes 0-0/1",)
    reserved = "[ERROR] Cannot send to the reserved path '/help'. (e.g. '/mypath123')"
    plain.ask("PUT", "/help?n=x", *everything).assert_refused(reserved)
    content_range = "[ERROR] Content-Range is not supported for now in PUT"
    plain.ask("PUT", f"{path}?n=x", *everything).assert_refused(content_range)
    sender = plain.send(path, b"x")
    eventually(lambda: plain.present() == 1)
    plain.ask("PUT", f"{path}?n=x").assert_refused('[ERROR] Invalid "n" query parameter')
    plain.ask("PUT", f"{path}?n=0").assert_refused("[ERROR] n should > 0, but n = 0.")
    another = f"[ERROR] Another sender has been connected on '{path}'."
    plain.ask("PUT", f"{path}?n=2").assert_refused(another)
    sender.leave()
    eventually(lambda: plain.present() == 0)
    plain.receive(path)
    plain.open(path, 2).line()
    established = f"[ERROR] Connection on '{path}' has been established already."
    plain.ask("PUT", f"{path}?n=2").assert_refused(established)


def test_the_order_for_a_receiver(plain: Front, path: str) -> None:
    """The same for them."""
    worker = "Service-Worker: script"
    rejected = "[ERROR] Service Worker registration is rejected."
    plain.ask("GET", f"{path}?n=x", worker).assert_refused(rejected)
    plain.receive(path)
    eventually(lambda: plain.waiting() == 1)
    differs = "[ERROR] The number of receivers should be 1 but 2."
    plain.ask("GET", f"{path}?n=2").assert_refused(differs)  # and not that the seats are taken
    plain.ask("GET", f"{path}?n=x").assert_refused('[ERROR] Invalid query parameter "n"')
    plain.ask("GET", f"{path}?n=-7").assert_refused("[ERROR] n should > 0, but n = -7.")
    plain.open(path, 2).line()
    established = f"[ERROR] Connection on '{path}' has been established already."
    plain.ask("GET", f"{path}?n=2").assert_refused(established)


def test_a_bad_path(front: Front) -> None:
    """400 for everybody, with the reason."""
    for path, reason in BAD_PATHS.items():
        for method in ("GET", *SENDERS):
            front.ask(method, path).assert_refused(f"[ERROR] Key {reason}.")


def test_a_path_that_is_no_http(plain: Front) -> None:
    """Bytes that may not stand in a request line."""
    for path in (b"/\xff", b"/\x01", "/ö".encode()):
        answer = plain.begin(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n").answer()
        assert answer.status == 400


def test_a_query_that_cannot_be_read(plain: Front, path: str) -> None:
    """It might have said n."""
    for query in ("n=1&n=1", "n=%zz", "=1"):
        assert plain.ask("GET", f"{path}?{query}").status == 400


def test_a_query_that_says_nothing(plain: Front, path: str) -> None:
    """Only the path counts."""
    sender = plain.send(f"{path}?a=b&c", b"x")
    assert plain.receive(f"{path}?d=e").rest() == b"x"
    assert sender.lines()[-1] == RECEIVED


def test_a_connection_after_a_refusal(modern: Front, path: str) -> None:
    """It can be used again when there is nothing unread on it."""
    text = '[ERROR] Invalid "n" query parameter'
    sender = modern.send(f"{path}?n=x", b"hello")
    sender.answer().assert_refused(text)
    receiver = modern.receive(path)
    eventually(lambda: modern.waiting() == 1)
    again = modern.request("POST", path, "Content-Length: 5") + b"again"
    sender.again(again, "POST")
    assert sender.lines() == [
        WAITING.format(1), BEFORE.format(1), START.format(1), SENT, RECEIVED
    ]  # fmt: skip
    assert receiver.rest() == b"again"


def test_a_refusal_leaves_the_body_alone(modern: Front, path: str) -> None:
    """Not a byte of it has come; the connection closes, since it may still come."""
    party = modern.open(f"{path}?n=x", None)
    answer = party.answer()
    answer.assert_refused('[ERROR] Invalid "n" query parameter')
    assert answer.headers["Connection"] == "close"
    if not modern.way.base:
        assert party.sock.recv(1) == b""


def test_a_refusal_of_a_waiting_party_disturbs_nobody(front: Front, path: str) -> None:
    """The ones who wait hear nothing of it."""
    sender = front.send(f"{path}?n=2", b"hello")
    eventually(lambda: front.present() == 1)
    one = front.receive(f"{path}?n=2")
    assert front.ask("GET", f"{path}?n=3").status == 400
    assert front.ask("POST", f"{path}?n=2", body=b"x").status == 400
    two = front.receive(f"{path}?n=2")
    assert [one.rest(), two.rest()] == [b"hello", b"hello"]
    assert sender.lines() == [
        WAITING.format(2), CONNECTED, CONNECTED, START.format(2), SENT, RECEIVED
    ]  # fmt: skip


def test_what_only_we_refuse_has_its_own_status(plain: Front, path: str) -> None:
    """The original knows no such refusals, so its 400 is not needed."""
    answer = plain.ask("POST", path, "Expect: the unexpected", body=b"x")
    answer.assert_refused(
        "[ERROR] The only expectation that is met here is 100-continue.", status=417
    )
    too_many = [f"X-Piping: {number}" for number in range(17)]
    answer = plain.ask("POST", path, *too_many, body=b"x")
    answer.assert_refused("[ERROR] X-Piping stands there more than 16 times.")
    answer = plain.ask("POST", path, FORM.partition(";")[0], body=b"x")
    answer.assert_refused("[ERROR] The multipart boundary is missing or cannot be used.")


def test_a_path_is_decoded_once(front: Front, path: str) -> None:
    """Two ways to write one text are one path."""
    sender = front.send(path.replace("p", "%70"), b"hello")
    eventually(lambda: front.present() == 1)
    assert front.receive(path).rest() == b"hello"
    assert sender.lines()[-1] == RECEIVED
    sender = front.send(path + "%2570", b"hello")
    eventually(lambda: front.present() == 1)
    assert front.receive(f"{path}p?wait=0").status == 408
    assert front.receive(path + "%25%37%30").rest() == b"hello"
