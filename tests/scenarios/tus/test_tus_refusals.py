"""Bad input: the status of the table, one sentence, nothing stored and nothing lost."""

from __future__ import annotations

import pytest

from tests.conftest import read_until
from tests.scenarios.mount import fresh
from tests.scenarios.peers import body_of
from tests.scenarios.tus.wire import CHUNK, KEY, VERSION, Wire, metadata

DATA = body_of(1000)
UNKNOWN = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 400, "bad_request"),
        ({"Upload-Length": "-1"}, 400, "bad_request"),
        ({"Upload-Length": "five"}, 400, "bad_request"),
        ({"Upload-Length": "1_0"}, 400, "bad_request"),
        ({"Upload-Length": "1" * 30}, 400, "bad_request"),
        ({"Upload-Length": str(1024**3 + 1)}, 413, "too_large"),
        ({"Upload-Length": "5", "Upload-Defer-Length": "1"}, 400, "bad_request"),
        ({"Upload-Defer-Length": "2"}, 400, "bad_request"),
        ({"Upload-Length": "5", "Upload-Metadata": "a ?"}, 400, "bad_request"),
        ({"Upload-Length": "5", "Upload-Metadata": "a,a"}, 400, "bad_request"),
        ({"Upload-Length": "5", **metadata(filename="../x")}, 400, "bad_request"),
        ({"Upload-Length": "5", **metadata(filename="a\\b")}, 400, "bad_request"),
        ({"Upload-Length": "5", **metadata(filename="a\0b")}, 400, "bad_request"),
        ({"Upload-Length": "5", **metadata(filename="x" * 300)}, 400, "bad_request"),
        ({"Upload-Length": "5", **metadata(filename=b"\xff")}, 400, "bad_request"),
        ({"Upload-Length": "5", **metadata(key="a//b")}, 400, "bad_key"),
        ({"Upload-Length": "5", **metadata(key="files/x")}, 400, "bad_request"),
        ({"Upload-Length": "5", **metadata(key="health")}, 400, "bad_request"),
        ({"Upload-Length": "5", **metadata(key="")}, 400, "bad_key"),
        ({"Upload-Length": "5", "Upload-Concat": "whole"}, 400, "bad_request"),
        ({"Upload-Length": "5", "Upload-Checksum": "crc32 YQ=="}, 400, "bad_request"),
        ({"Upload-Length": "5", "Expect": "the-moon"}, 417, "expectation_failed"),
    ],
)
def test_a_bad_creation_creates_nothing(
    undisturbed: Wire, headers: dict[str, str], status: int, code: str
) -> None:
    """It has the status that fits, and one sentence."""
    assert undisturbed.ask("POST", "/files/", None, headers).refused(status, code)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Content-Type": "text/plain"}, 415, "unsupported_media"),
        ({"Content-Type": "application/partial-upload"}, 415, "unsupported_media"),
        ({"Upload-Offset": "-1"}, 400, "bad_request"),
        ({"Upload-Offset": "x"}, 400, "bad_request"),
        ({"Upload-Offset": "4"}, 409, "wrong_offset"),
        ({"Upload-Offset": "0"}, 409, "wrong_offset"),
        ({"Upload-Offset": "9" * 18}, 409, "wrong_offset"),
        ({"Upload-Length": "7"}, 400, "wrong_length"),
        ({"Upload-Length": "x"}, 400, "bad_request"),
        ({"Upload-Checksum": "sha1"}, 400, "bad_request"),
        ({"Upload-Checksum": "crc32c YQ=="}, 400, "bad_request"),
        ({"Upload-Checksum": "sha1 ?"}, 400, "bad_request"),
        ({"Expect": "the-moon"}, 417, "expectation_failed"),
    ],
)
def test_a_bad_append_appends_nothing(
    wire: Wire, headers: dict[str, str], status: int, code: str
) -> None:
    """What was there stays, and the next good one goes on."""
    upload = wire.create(10)
    upload.patch(DATA[:3], 0).done(204)
    fields = {"Content-Type": CHUNK, "Upload-Offset": "3", **headers}
    assert wire.ask("PATCH", upload.path, b"wrong", fields).refused(status, code)
    assert upload.offset() == 3
    assert upload.patch(DATA[3:10], 3).done(204).offset == 10
    assert upload.get().body == DATA[:10]


def test_an_append_without_a_field_is_refused(wire: Wire) -> None:
    """Neither the type nor the offset can be guessed."""
    upload = wire.create(10)
    wire.ask("PATCH", upload.path, b"x", {"Content-Type": CHUNK}).refused(400, "bad_request")
    wire.ask("PATCH", upload.path, b"x", {"Upload-Offset": "0"}).refused(415, "unsupported_media")
    assert upload.offset() == 0


def test_an_append_past_the_end_is_refused(wire: Wire) -> None:
    """Before it is read if it says its length, else at the end; nothing is past the length."""
    upload = wire.create(10)
    upload.patch(DATA[:11], 0).refused(413, "past_length")
    assert upload.offset() == 0
    fields = {
        **VERSION, "X-API-Key": KEY, "Content-Type": CHUNK, "Upload-Offset": "0",
        "Transfer-Encoding": "chunked",
    }  # fmt: skip
    with wire.begin("PATCH", upload.path, fields) as sock:
        sock.sendall(b"4\r\nabcd\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n")
        assert read_until(sock, b"}").startswith(b"HTTP/1.1 413")
    offset = upload.offset()
    assert offset <= 10
    if offset < 10:
        upload.patch(b"x" * (10 - offset), offset).done(204)
    assert len(upload.get().body) == 10


@pytest.mark.parametrize(
    "header", ["Upload-Offset: 0", "Upload-Length: 10", "Tus-Resumable: 1.0.0"]
)
def test_a_field_that_stands_there_twice_is_refused(wire: Wire, header: str) -> None:
    """Two parsers could disagree about which one counts."""
    upload = wire.create(10)
    fields = {
        **VERSION, "X-API-Key": KEY, "Content-Type": CHUNK, "Upload-Offset": "0",
        "Upload-Length": "10", "Content-Length": "0", header.partition(":")[0].lower(): "0",
    }  # fmt: skip
    with wire.begin("PATCH", upload.path, fields) as sock:
        assert read_until(sock, b"}").split()[1] in (b"400", b"412")


@pytest.mark.parametrize("path", ["/files/x", "/files/x/y", f"/files/{UNKNOWN}/", "/files//"])
@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE", "GET"])
def test_what_is_no_upload_is_not_found(wire: Wire, method: str, path: str) -> None:
    """Whatever is asked of it."""
    assert wire.ask(method, path).status == 404


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
def test_an_unknown_upload_is_not_found(wire: Wire, method: str) -> None:
    """Without an offset, which clients would believe."""
    wire.ask(method, f"/files/{UNKNOWN}").refused(404, "not_found")
    assert wire.call("GET", f"/files/{UNKNOWN}").status == 404


def test_an_upload_that_is_gone_is_gone(wire: Wire) -> None:
    """With its bytes and its file, finished or not."""
    name = fresh("gone")
    finished, begun = wire.upload(DATA, **metadata(filename=name)), wire.create(10)
    for upload in (finished, begun):
        upload.delete().done(204)
        upload.head().refused(410, "gone")
        upload.patch(b"", 0).refused(410, "gone")
        upload.delete().refused(410, "gone")
        assert upload.get().status == 410
    assert not (wire.root / name).exists()


# -- what is refused before a body is sent


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Offset": "4"}, b"409"),
        ({"Content-Type": "text/plain"}, b"415"),
        ({"X-API-Key": "wrong"}, b"401"),
        ({"Tus-Resumable": "0.2.2"}, b"412"),
        ({"Content-Length": "11"}, b"413"),
        ({"Upload-Checksum": "crc32 YQ=="}, b"400"),
        ({}, b"100"),
    ],
)
def test_a_body_is_invited_only_if_it_may_come(
    wire: Wire, headers: dict[str, str], status: bytes
) -> None:
    """Everything is looked at before."""
    upload = wire.create(10)
    fields = {"Expect": "100-continue", **headers}
    length = fields.pop("Content-Length", "10")
    with upload.begin_patch(
        0, int(length), **{k.replace("-", "_"): v for k, v in fields.items()}
    ) as sock:
        answer = read_until(sock, b"\r\n\r\n")
        assert answer.split()[1] == status
        if status == b"100":
            sock.sendall(DATA[:10])
            assert b"204" in read_until(sock, b"\r\n\r\n")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Length": "4"}, b"413"),
        ({**metadata(key="a//b")}, b"400"),
        ({**metadata(filename="..")}, b"400"),
        ({"Upload-Length": str(2 * 1024**3)}, b"413"),
        ({}, b"100"),
    ],
)
def test_a_creation_is_refused_before_its_body(
    wire: Wire, headers: dict[str, str], status: bytes
) -> None:
    """Length, name and key are looked at while the body waits."""
    fields = {
        **VERSION, "X-API-Key": KEY, "Content-Type": CHUNK, "Upload-Length": "10",
        "Content-Length": "10", "Expect": "100-continue", **headers,
    }  # fmt: skip
    with wire.begin("POST", "/files/", fields) as sock:
        answer = read_until(sock, b"\r\n\r\n")
        assert answer.split()[1] == status
        if status == b"100":
            sock.sendall(DATA[:10])
            assert b"201" in read_until(sock, b"\r\n\r\n")
