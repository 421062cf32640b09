"""Forms: of several parts the first one is sent, as it came, and what is no form hurts nobody."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import eventually
from tests.scenarios.peers import MIB, body_of, sha
from tests.scenarios.piping.front import FAILED, FORM, RECEIVED, START, WAITING, Front, Party, form

FILE = (
    b'Content-Disposition: form-data; name="dummy form name"; filename="myfile.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\n"
)
FIELD = b'Content-Disposition: form-data; name="note"\r\n\r\n'


def hand(front: Front, path: str, body: bytes, *headers: str) -> Party:
    """A receiver who gets of this form what there is to get."""
    receiver = front.receive(path)
    eventually(lambda: front.waiting() == 1)
    assert front.send(path, body, *(headers or (FORM,))).lines()[-1] == RECEIVED
    return receiver


def test_the_first_part(front: Front, path: str) -> None:
    """Its headers as they came; X-Piping is the request's; the other parts are dropped."""
    body = form(FILE + b"hello", FIELD + b"a note", FILE + b"another file")
    labels = ("X-Piping: one", "X-Piping: two")
    receiver = hand(front, path, body, FORM, *labels, "Content-Disposition: attachment")
    assert receiver.status == 200
    headers = receiver.headers
    assert headers["Content-Type"] == "text/plain"
    disposition = 'form-data; name="dummy form name"; filename="myfile.txt"'
    assert headers["Content-Disposition"] == disposition
    assert headers.get_all("X-Piping") == ["one", "two"]
    assert "Content-Length" not in headers
    assert receiver.rest() == b"hello"


def test_a_field_that_comes_first(front: Front, path: str) -> None:
    """It is the first part, file or not, and has no type."""
    receiver = hand(front, path, form(FIELD + b"hello", FILE + b"file"))
    assert receiver.headers["Content-Disposition"] == 'form-data; name="note"'
    assert "Content-Type" not in receiver.headers
    assert receiver.rest() == b"hello"


def test_one_part_of_8_mib(front: Front, path: str) -> None:
    """As it is tried by who checks servers: the form first, then the receiver."""
    data = body_of(8 * MIB)
    head = b'Content-Type: application/octet-stream\r\nContent-Disposition: form-data; name="x"'
    body = form(head + b"\r\n\r\n" + data)
    with front.sending(path, body, FORM) as sender:
        eventually(lambda: front.present() == 1)
        receiver = front.receive(path)
        assert receiver.headers["Content-Type"] == "application/octet-stream"
        assert receiver.headers["Content-Disposition"] == 'form-data; name="x"'
        assert sha(receiver.rest() or b"") == sha(data)
    assert sender.lines()[-1] == RECEIVED


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/form-data; boundary="b"',
        "Multipart/Form-Data;Boundary=b",
        "multipart/form-data; charset=utf-8; boundary=b",
    ],
)
def test_ways_to_say_that_it_is_a_form(plain: Front, path: str, content_type: str) -> None:
    """All of them mean the same."""
    receiver = hand(plain, path, form(FILE + b"hello"), f"Content-Type: {content_type}")
    assert receiver.headers["Content-Type"] == "text/plain"
    assert receiver.rest() == b"hello"


def test_what_stands_in_parts(plain: Front, path: str) -> None:
    """Names in UTF-8 pass as they came, a page becomes text, and lines may be anything."""
    head = 'Content-Disposition: form-data; name="f"; filename="grüß.txt"\r\n'.encode()
    data = b"\r\n--c\r\n\x00--b\r\n\r\n"
    receiver = hand(plain, path, form(head + b"Content-Type: TEXT/HTML; a=b\r\n\r\n" + data))
    name = receiver.headers["Content-Disposition"].encode("latin-1").decode()
    assert name == 'form-data; name="f"; filename="grüß.txt"'
    assert receiver.headers["Content-Type"] == "text/plain; a=b"
    assert receiver.rest() == data


@pytest.mark.parametrize("size", [0, 1])
def test_small_parts(front: Front, path: str, size: int) -> None:
    """Also of no byte."""
    assert hand(front, path, form(FILE + bytes(size))).rest() == bytes(size)


def test_a_form_of_other_things(plain: Front, path: str) -> None:
    """Only form data is taken apart."""
    body = form(FILE + b"hello")
    receiver = hand(plain, path, body, "Content-Type: multipart/mixed; boundary=b")
    assert receiver.headers["Content-Type"] == "multipart/mixed; boundary=b"
    assert receiver.rest() == body


NO_FORMS = {
    "no boundary": "multipart/form-data",
    "an empty boundary": "multipart/form-data; boundary=",
    "a long boundary": f"multipart/form-data; boundary={'b' * 71}",
    "a bad boundary": 'multipart/form-data; boundary="a\tb"',
    "two boundaries": "multipart/form-data; boundary=b; boundary=c",
}


@pytest.mark.parametrize("content_type", NO_FORMS.values(), ids=NO_FORMS)
def test_what_cannot_be_a_form(front: Front, path: str, content_type: str) -> None:
    """It is refused before anybody meets; who waits goes on waiting."""
    receiver = front.receive(path)
    eventually(lambda: front.waiting() == 1)
    answer = front.ask("POST", path, f"Content-Type: {content_type}", body=form(FILE))
    answer.assert_refused("[ERROR] The multipart boundary is missing or cannot be used.")
    assert front.send(path, b"hello").lines()[-1] == RECEIVED
    assert receiver.rest() == b"hello"


BEGIN = b"--b\r\n" + FILE
BROKEN = {
    "nothing": (b"", "parse error: "),
    "an empty form": (b"--b--\r\n", "contains no part"),
    "no boundary in it": (b"hello", "parse error: "),
    "another boundary": (form(FILE + b"x", boundary=b"c"), "parse error: "),
    "no end": (BEGIN + b"hello", "parse error: "),
    "half an end": (BEGIN + b"hello\r\n--b", "parse error: "),
    "no end of a later part": (BEGIN + b"hello\r\n--b\r\n" + FILE + b"x", "parse error: "),
    "no head": (b"--b\r\n", "parse error: "),
    "half a head": (b"--b\r\nContent-Disp", "parse error: "),
    "a head that is none": (b"--b\r\nnonsense\r\n\r\nx\r\n--b--\r\n", "parse error: "),
    "a form in it": (
        form(b"Content-Type: multipart/mixed; boundary=c\r\n\r\n" + form(FILE, boundary=b"c")),
        "itself multipart",
    ),
    "too many parts": (form(*(FIELD + b"x" for _ in range(10_000))), "more than 128 parts"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_form(front: Front, path: str, name: str) -> None:
    """Both sides hear of it, whoever came first, and the path is free for the next pair."""
    body, reason = BROKEN[name]
    sender = front.send(path, body, FORM)
    eventually(lambda: front.present() == 1)
    receiver = front.receive(path)
    if front.old:
        assert sender.status == 400
        lines = sender.lines()
    else:
        lines = sender.broken_lines()
    assert lines[0] == WAITING.format(1)
    assert lines[-3:-1] == [START.format(1), FAILED]
    assert lines[-1].startswith("[ERROR] Multipart ")
    assert reason in lines[-1]
    try:
        status = receiver.status
    except ConnectionError:  # an HTTP/1.0 receiver whose answer had begun
        status = 200
    if status == 200:
        assert receiver.rest() is None
    else:
        receiver.answer().assert_refused("[ERROR] The sender did not deliver.", 502)
    receiver = front.receive(path)
    eventually(lambda: front.waiting() == 1)
    assert front.send(path, form(FILE + b"again"), FORM).lines()[-1] == RECEIVED
    assert receiver.rest() == b"again"


def test_a_form_whose_sender_leaves(front: Front, path: str) -> None:
    """The receiver does not take the part for whole."""
    receiver = front.receive(path)
    eventually(lambda: front.waiting() == 1)
    body = BEGIN + b"hello"
    sender = front.open(path, 1000, FORM, first=body)
    eventually(lambda: front.present() == 1)
    sender.leave()
    try:
        assert receiver.status != 200 or receiver.rest() is None
    except ConnectionError:
        assert front.old


def test_a_form_by_curl(front: Front, path: str, tmp_path: Path) -> None:
    """A file with a name and a type, as people send it."""
    file = tmp_path / "my file.bin"
    file.write_bytes(body_of(MIB))
    command = front.curl("--form", f"f=@{file};type=image/png", path=path)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as sender:
        eventually(lambda: front.present() == 1)
        receiver = front.receive(path)
        assert receiver.headers["Content-Type"] == "image/png"
        name = 'form-data; name="f"; filename="my file.bin"'
        assert receiver.headers["Content-Disposition"] == name
        assert sha(receiver.rest() or b"") == sha(body_of(MIB))
        assert sender.communicate()[0].decode().splitlines()[-1] == RECEIVED
        assert sender.returncode == 0


@pytest.mark.parametrize(("mode", "field"), [("file", "input_file"), ("text", "input_text")])
def test_the_form_of_the_page_without_a_script(
    front: Front, path: str, mode: str, field: str
) -> None:
    """What a browser makes of it arrives."""
    name = path.removeprefix("/")
    page = front.ask("GET", f"/noscript?path={name}&mode={mode}").body.decode()
    (action,) = re.findall(r'<form method="post" [^>]*action="([^"]*)"', page, re.IGNORECASE)
    assert action == name
    (found,) = re.findall(r'<(?:input type="file"|textarea)[^>]* name="([^"]*)"', page)
    assert found == field
    head = b'Content-Disposition: form-data; name="%s"' % field.encode()
    if mode == "file":
        head += b'; filename="a.txt"\r\nContent-Type: text/plain'
    receiver = hand(front, f"/{action}", form(head + b"\r\n\r\nhello"))
    assert receiver.rest() == b"hello"
