"""Every row of tus 1.0.0, on the wire: methods, statuses, fields; and that nothing else happens."""

from __future__ import annotations

import unicodedata

import pytest

from filepipe.protocols import tus
from tests.conftest import read_all, read_until
from tests.scenarios.mount import fresh
from tests.scenarios.peers import body_of
from tests.scenarios.tus.wire import CHUNK, KEY, VERSION, Upload, Wire, metadata

DATA = body_of(1000)
UNKNOWN = "0123456789abcdef0123456789abcdef"


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
