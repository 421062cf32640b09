"""Every row of tus 1.0.0, on the wire: methods, statuses, fields; and that nothing else happens."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import pytest

from filepipe.protocols import tus
from tests.conftest import read_all, read_until
from tests.scenarios.tus.wire import CHUNK, KEY, VERSION, Upload, Wire, body_of, fresh, metadata

DATA = body_of(1000)
UNKNOWN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def undisturbed(wire: Wire) -> Iterator[Wire]:
    """Nothing was stored by whatever the test did."""
    names, before = wire.names(), wire.daemon.state()["disk"]
    yield wire
    assert (wire.names(), wire.daemon.state()["disk"]) == (names, before)


# -- the way of an upload


def test_a_file_is_uploaded(each: Wire) -> None:
    """In two bodies, looked at between them, by every way."""
    name = fresh("file")
    upload = each.create(1000, **metadata(filename=name, filetype="image/png"))
    assert upload.head().done(200).offset == 0
    assert upload.patch(DATA[:400], 0).done(204).offset == 400
    assert upload.head().done(200).offset == 400
    assert upload.patch(DATA[400:], 400).done(204).offset == 1000
    looked = upload.head().done(200)
    assert (looked.offset, looked.headers["Upload-Length"]) == (1000, "1000")
    assert (each.root / name).read_bytes() == DATA
    got = upload.get()
    assert (got.status, got.body) == (200, DATA)
    assert got.headers["Content-Type"] == "image/png"
    assert name in got.headers["Content-Disposition"]


def test_what_a_head_tells(wire: Wire) -> None:
    """All that is known, and nothing that a cache may keep."""
    given = metadata(filename=fresh("ä"), whatever=b"\xff\x00")
    head = wire.create(5, **given).head().done(200)
    assert head.headers["Upload-Length"] == "5"
    assert head.headers["Upload-Metadata"] == given["Upload-Metadata"]
    assert head.headers["Cache-Control"] == "no-store"
    assert head.headers["Upload-Defer-Length"] is None
    assert head.headers["Upload-Concat"] is None
    assert 23 * 3600 < head.left <= 24 * 3600


def test_nothing_is_told_that_was_not_given(wire: Wire) -> None:
    """Without metadata there is none."""
    assert wire.create(5).head().done(200).headers["Upload-Metadata"] is None


def test_every_answer_says_until_when(wire: Wire) -> None:
    """As soon as it is known."""
    reply = wire.post(Upload_Length="5").done(201)
    upload = Upload(wire, reply.headers["Location"])
    assert reply.left > 23 * 3600
    assert upload.patch(b"abc", 0).done(204).left > 23 * 3600
    upload.delete().done(204)


def test_no_bytes_are_an_upload(wire: Wire) -> None:
    """It is complete at once."""
    name = fresh("empty")
    upload = wire.create(0, **metadata(filename=name))
    assert (wire.root / name).read_bytes() == b""
    assert upload.offset() == 0
    assert upload.get().body == b""


def test_an_upload_without_a_name_has_one(wire: Wire) -> None:
    """Its id."""
    upload = wire.upload(DATA)
    assert (wire.root / "keys" / upload.id).read_bytes() == DATA


def test_names_are_unique(wire: Wire) -> None:
    """A second file of one name gets another one."""
    name = fresh("twice")
    wire.upload(b"one", **metadata(filename=name))
    wire.upload(b"two", **metadata(filename=name))
    assert (wire.root / name).read_bytes() == b"one"
    assert (wire.root / f"{name} (1)").read_bytes() == b"two"


def test_a_name_is_normalised(wire: Wire) -> None:
    """Some systems have other names than they show."""
    name = fresh("\u00e4")
    wire.upload(b"x", **metadata(filename=unicodedata.normalize("NFD", name)))
    assert (wire.root / name).read_bytes() == b"x"


def test_nothing_more_at_the_end_is_fine(wire: Wire) -> None:
    """A client whose last answer was lost may say so again; every byte more is refused."""
    upload = wire.upload(DATA)
    assert upload.patch(b"", 1000).done(204).offset == 1000
    upload.patch(b"", 0).refused(409, "wrong_offset")
    upload.patch(b"x", 1000).refused(413, "past_length")


def test_an_empty_body_is_one(wire: Wire) -> None:
    """It changes nothing."""
    upload = wire.create(5)
    assert upload.patch(b"", 0).done(204).offset == 0
    assert upload.offset() == 0


def test_a_body_may_be_chunked(wire: Wire) -> None:
    """Its end shows itself."""
    upload = wire.create(8)
    fields = {
        **VERSION, "X-API-Key": KEY, "Content-Type": CHUNK, "Upload-Offset": "0",
        "Transfer-Encoding": "chunked", "Connection": "close",
    }  # fmt: skip
    with wire.begin("PATCH", upload.path, fields) as sock:
        sock.sendall(b"3\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r\n")
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 204"), answer
    assert b"Upload-Offset: 8" in answer
    assert upload.get().body == b"abcdefgh"


# -- creation with a body


def test_a_body_comes_with_the_creation(wire: Wire) -> None:
    """All of it, or a beginning."""
    whole = wire.post(DATA, Upload_Length="1000", Content_Type=CHUNK).done(201)
    assert whole.offset == 1000
    assert Upload(wire, whole.headers["Location"]).get().body == DATA
    part = wire.create(1000, DATA[:300])
    assert part.offset() == 300
    assert part.patch(DATA[300:], 300).done(204).offset == 1000
    assert part.get().body == DATA


def test_a_body_of_another_type_does_not_count(wire: Wire) -> None:
    """The upload is made without it."""
    reply = wire.post(b"{}", Upload_Length="5", Content_Type="application/json").done(201)
    assert Upload(wire, reply.headers["Location"]).offset() == 0


def test_a_body_that_is_too_long_creates_nothing(undisturbed: Wire) -> None:
    """Whether it says its length before or not."""
    undisturbed.post(b"123456", Upload_Length="5", Content_Type=CHUNK).refused(413, "past_length")
    fields = {
        **VERSION, "X-API-Key": KEY, "Content-Type": CHUNK, "Upload-Length": "5",
        "Transfer-Encoding": "chunked", **metadata(key="chunked-too-long"),
    }  # fmt: skip
    with undisturbed.begin("POST", "/files/", fields) as sock:
        sock.sendall(b"6\r\n123456\r\n0\r\n\r\n")
        assert read_until(sock, b"}").startswith(b"HTTP/1.1 413")
    undisturbed.create(5, **metadata(key="chunked-too-long")).delete().done(204)


# -- lengths that come later


def test_a_length_comes_later(wire: Wire) -> None:
    """With whatever body its client likes."""
    upload = wire.create(None)
    head = upload.head().done(200)
    assert head.headers["Upload-Defer-Length"] == "1"
    assert head.headers["Upload-Length"] is None
    assert upload.patch(DATA[:400], 0).done(204).offset == 400
    assert upload.patch(DATA[400:700], 400, Upload_Length="1000").done(204).offset == 700
    head = upload.head().done(200)
    assert (head.headers["Upload-Length"], head.headers["Upload-Defer-Length"]) == ("1000", None)
    assert upload.patch(DATA[700:], 700, Upload_Length="1000").done(204).offset == 1000
    assert upload.get().body == DATA


def test_a_length_may_come_with_nothing_else(wire: Wire) -> None:
    """It completes what is here."""
    upload = wire.create(None)
    upload.patch(DATA, 0).done(204)
    assert upload.patch(b"", 1000, Upload_Length="1000").done(204).offset == 1000
    assert (wire.root / "keys" / upload.id).read_bytes() == DATA


@pytest.mark.parametrize("length", ["3", "999"])
def test_a_length_is_said_once(wire: Wire, length: str) -> None:
    """Another one, or one below what is here, changes nothing."""
    deferred, known = wire.create(None), wire.create(1000)
    for upload in (deferred, known):
        upload.patch(DATA[:5], 0).done(204)
    known.patch(b"x", 5, Upload_Length=length).refused(400, "wrong_length")
    deferred.patch(b"x", 5, Upload_Length="3").refused(400, "wrong_length")
    assert (deferred.offset(), known.offset()) == (5, 5)
    assert known.patch(DATA[5:], 5).done(204).offset == 1000


# -- versions, methods, preflights


def test_options_announce(each: Wire) -> None:
    """To anybody, at the collection and at an upload, whatever version he speaks."""
    upload = each.create(5)
    for path in (each.collection, upload.path):
        reply = each.call("OPTIONS", path, None, {"Tus-Resumable": "0.2.2"})
        assert (reply.status, reply.body) == (200, b"")
        assert reply.headers["Tus-Version"] == "1.0.0"
        assert reply.headers["Tus-Extension"] == ",".join(tus.EXTENSIONS)
        assert reply.headers["Tus-Checksum-Algorithm"] == "sha1,sha256,sha512,md5"
        assert reply.headers["Tus-Max-Size"] == str(1024**3)
        assert reply.headers["Access-Control-Allow-Origin"] == "*"
        allowed = reply.headers["Access-Control-Allow-Headers"]
        assert {*tus.FIELDS, "X-API-Key"} <= set(allowed.split(", "))
        assert "PATCH" in reply.headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize("version", [None, "0.2.2", "1.0.1", ""])
def test_another_version_is_refused(undisturbed: Wire, version: str | None) -> None:
    """Before anything else, with the version that is spoken."""
    upload = undisturbed.create(5)
    fields = {"Content-Type": CHUNK, "Upload-Offset": "0", "Upload-Length": "5"}
    fields |= {} if version is None else {"Tus-Resumable": version}
    for method, path in [
        ("POST", "/files/"),
        ("PATCH", upload.path),
        ("PATCH", f"/files/{UNKNOWN}"),
    ]:
        reply = undisturbed.call(method, path, b"", fields)
        reply.refused(412, "other_version")
        assert reply.headers["Tus-Version"] == "1.0.0"
    assert upload.offset() == 0
    upload.delete().done(204)


@pytest.mark.parametrize(
    "credential",
    [
        {},
        {"X-API-Key": "wrong"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {KEY}"},
    ],
)
def test_a_stranger_is_refused(undisturbed: Wire, credential: dict[str, str]) -> None:
    """Whatever he wants, before it is looked at."""
    upload = undisturbed.create(5)
    fields = {**VERSION, "Upload-Length": "nonsense", **credential}
    for method, path in [
        ("POST", "/files/"), ("HEAD", upload.path), ("PATCH", upload.path), ("DELETE", upload.path),
        ("PATCH", f"/files/{UNKNOWN}"),
    ]:  # fmt: skip
        undisturbed.call(method, path, None, fields).refused(401, "unauthorized")
    undisturbed.call("GET", upload.path, None, credential).refused(401, "unauthorized")
    assert upload.offset() == 0
    upload.delete().done(204)


def test_the_api_key_may_be_a_bearer_token(wire: Wire) -> None:
    """Some clients know nothing else."""
    bearer = {**VERSION, "Authorization": f"Bearer {KEY}", "Upload-Length": "5"}
    reply = wire.call("POST", "/files/", None, bearer).done(201)
    upload = Upload(wire, reply.headers["Location"])
    assert wire.call("HEAD", upload.path, None, bearer).done(200).offset == 0
    upload.delete().done(204)


@pytest.mark.parametrize("method", ["PATCH", "patch"])
def test_a_method_is_overridden(wire: Wire, method: str) -> None:
    """For clients that can only POST."""
    upload = wire.create(5)
    fields = {"X-HTTP-Method-Override": method, "Content-Type": CHUNK, "Upload-Offset": "0"}
    assert wire.ask("POST", upload.path, b"12345", fields).done(204).offset == 5
    assert upload.get().body == b"12345"
    gone = {"X-HTTP-Method-Override": "DELETE"}
    wire.ask("GET", upload.path, None, gone).done(204)
    upload.head().refused(410, "gone")


def test_another_method_is_refused(wire: Wire) -> None:
    """With those that there are."""
    upload = wire.create(5)
    for method, path, allowed in [
        ("PUT", upload.path, {"HEAD", "PATCH", "DELETE", "GET", "OPTIONS"}),
        ("POST", upload.path, {"HEAD", "PATCH", "DELETE", "GET", "OPTIONS"}),
        ("DELETE", "/files/", {"POST", "OPTIONS"}),
        ("GET", "/files/", {"POST", "OPTIONS"}),
    ]:
        reply = wire.ask(method, path)
        reply.refused(405, "method_not_allowed")
        assert set(reply.headers["Allow"].split(", ")) == allowed


# -- bad input


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
