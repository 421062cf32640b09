"""A form: the part that is meant is handed over; one that has none frees the key."""

from __future__ import annotations

import pytest

from tests.conftest import Daemon, curl, eventually, start_curl
from tests.scenarios.answers import assert_refused
from tests.scenarios.peers import MIB, body_of, sha
from tests.scenarios.rendezvous.parties import Receiver, Sender, is_free, waiting
from tests.web.ways import GENERAL

pytestmark = pytest.mark.parametrize("hall", ["relay"], indirect=True)  # no kernel moves a part

IS_FORM = "Content-Type: multipart/form-data; boundary=b"

CHUNKED = pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])


def part(disposition: str, body: bytes, *headers: str) -> bytes:
    """One part of a form."""
    lines = [f"Content-Disposition: form-data; {disposition}", *headers, "", ""]
    return b"--b\r\n" + "\r\n".join(lines).encode() + body + b"\r\n"


FIELD = part('name="mode"', b"text")
END = b"--b--\r\n"


def file(body: bytes) -> bytes:
    """A part that is a file."""
    return part('name="f"; filename="a b.png"', body, "Content-Type: image/png")


def give(daemon: Daemon, target: str, form: bytes, *, chunked: bool = False) -> object:
    """Send a form in pieces; returns the answer."""
    with Sender(daemon, target, None if chunked else len(form), IS_FORM) as sender:
        try:
            for start in range(0, len(form), max(1, len(form) // 7)):
                sender.send(form[start : start + max(1, len(form) // 7)])
            if chunked:
                sender.sock.sendall(b"0\r\n\r\n")
        except ConnectionError:
            pass
        return sender.told()


@CHUNKED
@pytest.mark.parametrize("size", [0, 5, 60_000])
@pytest.mark.parametrize("before", [b"", FIELD * 3], ids=["first", "after fields"])
def test_a_file(hall: Daemon, path: str, before: bytes, size: int, *, chunked: bool) -> None:
    """It arrives as it is, with its own name and type, and without the form's length."""
    body = body_of(size)
    with Receiver(hall, path) as receiver:
        answer = give(hall, path, before + file(body) + FIELD + END, chunked=chunked)
        assert receiver.begin() == 200
        assert sha(receiver.rest() or b"") == sha(body)
        headers = receiver.response.headers
        assert headers["Content-Type"] == "image/png"
        assert headers["Content-Disposition"] == 'inline; filename="a b.png"'
        assert headers["Content-Length"] is None
        assert answer.status == 200


def test_a_form_without_a_file(hall: Daemon, path: str) -> None:
    """Its first field is handed over."""
    with Receiver(hall, path) as receiver:
        assert give(hall, path, part('name="t"', b"hello") + FIELD + END).status == 200
        assert receiver.whole() == b"hello"
        assert receiver.response.getheader("Content-Disposition") != 'inline; filename="t"'


def test_a_browsers_form(hall: Daemon, path: str) -> None:
    """As curl sends it, which asks before it sends much, to two receivers."""
    source = hall.folder / "form"
    source.write_bytes(body_of(2 * MIB))
    receivers = [start_curl("--output", f"{source}-{n}", hall.url(path)) for n in range(2)]
    sent = curl(
        "--form", "mode=file", "--form", f"file=@{source};type=image/png", hall.url(f"{path}?n=2")
    )
    assert sent.stdout == b"delivered to 2 receivers\n"
    for number, receiver in enumerate(receivers):
        receiver.communicate(timeout=20)
        got = source.with_name(f"{source.name}-{number}").read_bytes()
        assert sha(got) == sha(source.read_bytes())


def test_what_only_resembles_a_form(hall: Daemon, path: str) -> None:
    """Of `--data` and of other kinds of multipart nothing is taken apart."""
    for content_type in ("application/x-www-form-urlencoded", "multipart/mixed; boundary=b"):
        with Receiver(hall, path) as receiver:
            with Sender(hall, path, len(FIELD), f"Content-Type: {content_type}") as sender:
                sender.send(FIELD)
                assert sender.told().status == 200
            assert receiver.whole() == FIELD
            assert receiver.response.getheader("Content-Type") == content_type


USELESS = {
    "no part": (END, "no fields"),
    "nothing": (b"", "multipart parse error"),
    "another boundary": (END.replace(b"b", b"c"), "multipart parse error"),
    "a part without an end": (part('name="f"', b"hello"), "multipart parse error"),
    "a head without an end": (b"--b\r\nContent-Disposition: form-data", "multipart parse error"),
    "a multipart in it": (
        part('name="f"', b"--c--", "Content-Type: multipart/mixed; boundary=c") + END,
        "itself multipart",
    ),
    "10,000 parts": (FIELD * 10_000 + END, "more than 128 parts"),
    "a long head": (part('name="f"', b"", "X-Long: " + "x" * 100_000) + END, "parse error"),
    "many heads": (part('name="f"', b"", *["X-A: b"] * 10_000) + END, "parse error"),
}  # fmt: skip


@CHUNKED
@pytest.mark.parametrize(("form", "words"), USELESS.values(), ids=USELESS)
def test_a_form_with_no_use(
    hall: Daemon, path: str, form: bytes, words: str, *, chunked: bool
) -> None:
    """The sender gets 400, his receiver 502, and the key is free for the next."""
    with Receiver(hall, path, *GENERAL) as receiver:
        eventually(lambda: waiting(hall) == 1)
        assert_refused(give(hall, path, form, chunked=chunked), 400, words)
        assert_refused(receiver.told(), 502, "the sender did not deliver")
    assert is_free(hall, path)


@pytest.mark.parametrize(
    ("form", "whole"),
    [(FIELD * 10_000 + END, False), (FIELD * 100 + END, True), (FIELD + b"no form", False)],
    ids=["10,000 parts", "100 parts", "no end"],
)  # fmt: skip
def test_what_follows_the_first_part_in_piping(
    hall: Daemon, path: str, form: bytes, *, whole: bool
) -> None:
    """Piping hands over the first part, and lets nothing follow that is no form."""
    target = f"/-/piping{path}"
    with Receiver(hall, target) as receiver:
        answer = give(hall, f"{target}?strict=1", form)
        assert answer.status == (200 if whole else 400)
        assert receiver.whole() == (b"text" if whole else None)
        if whole:
            disposition = receiver.response.getheader("Content-Disposition")
            assert disposition == 'form-data; name="mode"'
    assert is_free(hall, path)


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("by_reset", [False, True])
def test_a_sender_who_leaves_inside_a_form(
    hall: Daemon, path: str, *, by_reset: bool, begun: bool
) -> None:
    """A part of a part is not taken for the whole."""
    with Receiver(hall, path, *GENERAL) as receiver:
        eventually(lambda: waiting(hall) == 1)
        with Sender(hall, path, MIB, IS_FORM) as sender:
            sender.send(file(bytes(MIB))[: 300_000 if begun else 20])
            if begun:
                assert receiver.begin() == 200
                receiver.take(200_000)
            else:
                eventually(lambda: waiting(hall) == 0)
            if by_reset:
                sender.reset()
        if begun:
            assert receiver.rest() is None
        else:
            assert_refused(receiver.told(), 502, "the sender did not deliver")
    eventually(lambda: is_free(hall, path))
