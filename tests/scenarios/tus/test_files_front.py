"""The front at `/files/`: whose dialect is meant, what each of them is told, what is read."""

from __future__ import annotations

import pytest

from tests.scenarios.mount import fresh
from tests.scenarios.peers import body_of
from tests.scenarios.tus.wire import CHUNK, KEY, VERSION, Wire, metadata

DATA = body_of(1000)
PARTIAL = "application/partial-upload"


@pytest.fixture
def other(wire: Wire) -> str:
    """The path of an upload of the other dialect that has begun."""
    fields = {"Upload-Complete": "?0"}
    reply = wire.call("POST", "/" + fresh("other"), DATA[:400], fields)
    assert reply.status == 201, reply.body
    return str(reply.headers["Location"])


def test_a_dialect_is_known_by_its_fields(wire: Wire, other: str) -> None:
    """Whatever the upload is: its own dialect knows it, the other one does not."""
    ours = wire.create(10).path
    for path, status in [(ours, 200), (other, 404)]:
        assert wire.ask("HEAD", path).status == status
    for path, status in [(ours, 404), (other, 409)]:
        fields = {"Content-Type": PARTIAL, "Upload-Offset": "7", "Upload-Complete": "?1"}
        assert wire.call("PATCH", path, b"x", fields).status == status
    for path in (ours, other):
        fields = {"Content-Type": CHUNK, "Upload-Offset": "0", "X-API-Key": KEY}
        wire.call("PATCH", path, b"x", fields).refused(412, "other_version")


def test_without_a_field_the_upload_decides(wire: Wire, other: str) -> None:
    """A person who looks with curl is told what is missing, or how far it is."""
    ours = wire.create(10).path
    for method in ("HEAD", "DELETE", "PATCH"):
        wire.call(method, ours).refused(412, "other_version")
    looked = wire.call("HEAD", other)
    assert (looked.status, looked.offset) == (204, 400)
    assert wire.call("DELETE", other).status == 204


def test_both_are_announced(wire: Wire, other: str) -> None:
    """By one answer: whoever asks has not said yet which one he means."""
    for path in ("/files/", other, wire.create(10).path):
        reply = wire.call("OPTIONS", path)
        assert reply.status == 200
        assert reply.headers["Tus-Version"] == "1.0.0"
        assert "max-age" in reply.headers["Upload-Limit"]
        assert "Upload-Complete" in reply.headers["Access-Control-Allow-Headers"]


def test_who_may_read(wire: Wire, other: str) -> None:
    """What needs the API key to write needs it to read; another URL is enough by itself."""
    upload = wire.upload(DATA)
    wire.call("GET", upload.path).refused(401, "unauthorized")
    wire.call("GET", upload.path, None, {"X-API-Key": "wrong"}).refused(401, "unauthorized")
    assert wire.call("GET", upload.path, None, {"Authorization": f"Bearer {KEY}"}).body == DATA
    part = wire.call("GET", other, None, {"Range": "bytes=0-9"})
    assert (part.status, part.body) == (206, DATA[:10])


def test_an_upload_is_read_as_any_download(wire: Wire) -> None:
    """With ranges, an entity tag, and the headers that keep it from running in a browser."""
    upload = wire.upload(DATA, **metadata(filename=fresh("page") + ".html", filetype="text/html"))
    got = upload.get()
    assert (got.status, got.body) == (200, DATA)
    assert got.headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in got.headers["Content-Security-Policy"]
    assert upload.get(Range="bytes=990-").body == DATA[990:]
    assert upload.get(Range="bytes=2000-").status == 416
    assert upload.get(If_None_Match=got.headers["ETag"]).status == 304
    with_version = wire.ask("GET", upload.path, None, VERSION)
    assert (with_version.status, with_version.body) == (200, DATA)


def test_a_part_upload_is_not_here(wire: Wire) -> None:
    """Uploads in parts have URLs of their own, and ids of another form."""
    body = b'{"filename": "parts", "total_size": 5}'
    fields = {"X-API-Key": KEY, "Content-Type": "application/json"}
    reply = wire.call("POST", "/upload/init", body, fields)
    assert reply.status == 200
    parts = reply.body.split(b'"file_id": "')[1].split(b'"')[0].decode()
    assert wire.ask("HEAD", f"/files/{parts}").status == 404
    assert wire.call("DELETE", f"/upload/{parts}", None, fields).status == 200
