"""Uploads with a key: read there while they arrive, in order, over cuts, and afterwards."""

from __future__ import annotations

import pytest

from tests.conftest import curl, eventually
from tests.scenarios.mount import fresh
from tests.scenarios.peers import MIB, body_of
from tests.scenarios.tus.wire import KEY, Upload, Wire, following, metadata

DATA = body_of(2 * MIB)


@pytest.fixture
def key() -> str:
    """A key of the test's own."""
    return fresh("films/key")


@pytest.fixture
def upload(wire: Wire, key: str) -> Upload:
    """An upload under it that has begun."""
    said = metadata(key=key, filename=fresh("big.mp4"), filetype="video/mp4")
    upload = wire.create(len(DATA), **said)
    upload.patch(DATA[:1000], 0).done(204)
    return upload


def test_a_reader_follows(wire: Wire, key: str, upload: Upload) -> None:
    """Over a sender who is cut in the middle and goes on; the reader sees one body."""
    with following(wire.daemon.url(f"/{key}"), "-i") as reader:
        head = b"".join(iter(reader.readline, b"\r\n"))
        body = reader.read(1000)
        with upload.begin_patch(1000, len(DATA) - 1000) as sock:
            sock.sendall(DATA[1000:MIB])
        offset = upload.offset()
        assert upload.patch(DATA[offset:], offset).done(204).offset == len(DATA)
        assert body + reader.rest() == DATA
    assert b"Content-Type: video/mp4" in head
    assert b"Content-Length: %d" % len(DATA) in head


def test_a_reader_reads_while_it_arrives(wire: Wire, key: str, upload: Upload) -> None:
    """What has come, before the rest has, at the key and at the upload's own URL."""
    for path in (f"/{key}", upload.path):
        with following(wire.daemon.url(path), "-H", f"X-API-Key: {KEY}") as reader:
            assert reader.read(1000) == DATA[:1000], path


def test_a_reader_goes_on_by_range(wire: Wire, key: str, upload: Upload) -> None:
    """One that was cut asks for the rest, of what has come and of what comes."""
    with following(wire.daemon.url(f"/{key}"), "-r", "500-") as reader:
        assert reader.read(500) == DATA[500:1000]
        upload.patch(DATA[1000:], 1000).done(204)
        assert reader.rest() == DATA[1000:]
    late = curl("-i", "-r", f"{MIB}-", wire.daemon.url(f"/{key}")).stdout
    head, _, body = late.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 206")
    assert body == DATA[MIB:]


def test_a_reader_may_come_first(wire: Wire, key: str) -> None:
    """He waits for the upload as for any other writer."""
    with following(wire.daemon.url(f"/{key}")) as reader:
        eventually(lambda: wire.daemon.state()["waiting_readers"] == 1)
        wire.upload(b"12345", **metadata(key=key))
        assert reader.rest() == b"12345"


def test_a_finished_upload_is_read_at_its_key(wire: Wire, key: str, upload: Upload) -> None:
    """As often as one likes, in part too."""
    upload.patch(DATA[1000:], 1000).done(204)
    for _ in range(2):
        assert wire.call("GET", f"/{key}").body == DATA
    part = wire.call("GET", f"/{key}", None, {"Range": "bytes=5-9"})
    assert (part.status, part.body) == (206, DATA[5:10])
    assert upload.get(Range="bytes=5-9").body == DATA[5:10]


def test_a_key_has_one_upload(wire: Wire, key: str, upload: Upload) -> None:
    """Neither another upload nor a PUT takes it, while it grows and afterwards."""
    for _ in range(2):
        wire.post(Upload_Length="5", **metadata(key=key)).refused(409, "conflict")
        assert wire.call("PUT", f"/{key}", b"x").status == 409
        offset = upload.offset()
        upload.patch(DATA[offset:], offset).done(204)
    assert wire.call("GET", f"/{key}").body == DATA


def test_a_key_in_use_is_no_upload_s(wire: Wire, key: str) -> None:
    """What is under it stays."""
    assert wire.call("PUT", f"/{key}", b"pipe").status == 200
    wire.post(Upload_Length="5", **metadata(key=key)).refused(409, "conflict")
    assert wire.call("GET", f"/{key}").body == b"pipe"


def test_a_reader_is_cut_when_the_upload_is_removed(wire: Wire, key: str, upload: Upload) -> None:
    """What he has is not the whole, and he is told; the key is free."""
    with following(wire.daemon.url(f"/{key}")) as reader:
        assert reader.read(1000) == DATA[:1000]
        upload.delete().done(204)
        assert reader.curl.wait(20) == 18
    assert wire.call("PUT", f"/{key}", b"pipe").status == 200


def test_a_key_of_unknown_length_is_followed(wire: Wire, key: str) -> None:
    """Its end is told by the length that comes last."""
    upload = wire.create(None, **metadata(key=key))
    upload.patch(b"123", 0).done(204)
    with following(wire.daemon.url(f"/{key}")) as reader:
        assert reader.read(3) == b"123"
        upload.patch(b"45", 3, Upload_Length="5").done(204)
        assert reader.rest() == b"45"
