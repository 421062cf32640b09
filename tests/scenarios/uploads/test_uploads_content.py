"""GET of a content: live over what is there without a gap, in parts too, and whole at the end."""

from __future__ import annotations

import contextlib

from tests.conftest import read_until
from tests.scenarios.peers import MIB, body_of, sha
from tests.scenarios.uploads.api import KEY, Api, Made

BODY = body_of(3 * MIB)


def asking(made: Made, *headers: str) -> bytes:
    """A GET of the content on a connection that stays."""
    lines = [f"GET {made.api.base}/upload/{made.id}/content HTTP/1.1", "Host: localhost"]
    return "\r\n".join([*lines, f"X-API-Key: {KEY}", *headers, "", ""]).encode()


def test_the_whole(each: Api) -> None:
    """Byte for byte, with its name and length, as often as one likes."""
    made = each.upload(BODY, "folder/a name.bin")
    for _ in range(2):
        reply = made.content()
        assert reply.status == 200
        assert sha(reply.body) == sha(BODY)
    assert 'filename="a name.bin"' in reply.headers["Content-Disposition"]
    assert reply.headers["Accept-Ranges"] == "bytes"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


def test_ranges(api: Api) -> None:
    """A piece of it, also on the condition that it is still the same."""
    made = api.upload(BODY)
    etag = made.content(Range="bytes=0-0").headers["ETag"]
    for wanted, start, stop in (
        ("0-9", 0, 10), ("1000000-", 1_000_000, len(BODY)), ("-5", len(BODY) - 5, len(BODY)),
    ):  # fmt: skip
        reply = made.content(Range=f"bytes={wanted}", **{"If-Range": etag})
        assert reply.status == 206
        assert reply.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(BODY)}"
        assert reply.body == BODY[start:stop]
    assert made.content(Range="bytes=0-9", **{"If-Range": '"other"'}).status == 200
    assert made.content(**{"If-None-Match": etag}).status == 304
    made.content(Range=f"bytes={len(BODY)}-").refused(416)


def test_head(api: Api) -> None:
    """It says how long the whole will be and how much can be read, and waits for nothing."""
    made = api.begin(BODY)
    made.put(0)
    path = f"/upload/{made.id}/content"
    reply = api.ask("HEAD", path)
    assert (reply.status, reply.headers["Content-Length"]) == (200, str(len(BODY)))
    assert reply.headers["Upload-Offset"] == str(MIB)
    made.put_all()
    made.complete()
    reply = api.ask("HEAD", path)
    assert (reply.status, reply.headers["Content-Length"]) == (200, str(len(BODY)))
    assert reply.headers["Upload-Offset"] is None


def test_live_while_parts_come_out_of_order(api: Api) -> None:
    """A reader gets what has no gap before it, and the rest in order as the gaps close."""
    made = api.begin(BODY)
    made.put(2)
    with (
        api.daemon.connect(asking(made), listener=1) as first,
        api.daemon.connect(asking(made, "Range: bytes=1048570-"), listener=1) as second,
    ):
        head = read_until(first, b"\r\n\r\n")
        assert f"Content-Length: {len(BODY)}\r\n".encode() in head
        made.put(0)
        tail = head.partition(b"\r\n\r\n")[2]
        assert read_until(first, BODY[MIB - 20 : MIB])[-20:] == BODY[MIB - 20 : MIB]
        assert not tail
        made.put(1)
        got = read_until(first, BODY[-20:])
        assert sha(got) == sha(BODY[MIB:])
        ranged = read_until(second, BODY[-20:])
        assert ranged.partition(b"\r\n\r\n")[0].startswith(b"HTTP/1.1 206 ")
        assert sha(ranged.partition(b"\r\n\r\n")[2]) == sha(BODY[1_048_570:])
    assert made.complete().status == 200


def test_a_reader_across_the_end(api: Api) -> None:
    """Completing an upload does not disturb whoever is reading it."""
    made = api.begin(BODY)
    with api.daemon.connect(asking(made), listener=1) as reader:
        read_until(reader, b"\r\n\r\n")
        made.put_all()
        assert made.complete().status == 200
        assert sha(read_until(reader, BODY[-20:])) == sha(BODY)
    assert sha(made.content().body) == sha(BODY)


def test_a_reader_of_what_is_cancelled(api: Api) -> None:
    """It is cut, so that nobody takes the part for the whole."""
    made = api.begin(BODY)
    made.put(0)
    with api.daemon.connect(asking(made), listener=1) as reader:
        read_until(reader, BODY[MIB - 20 : MIB])
        assert made.cancel().status == 200
        with contextlib.suppress(ConnectionResetError):
            assert reader.recv(65536) == b""


def test_a_reader_of_a_part_that_is_replaced(api: Api) -> None:
    """What it has may not be what will be there, so it is cut."""
    made = api.begin(BODY)
    made.put(0)
    with api.daemon.connect(asking(made), listener=1) as reader:
        read_until(reader, BODY[MIB - 20 : MIB])
        made.put(0, body_of(MIB, seed=2)).refused(503)
        with contextlib.suppress(ConnectionResetError):
            assert reader.recv(65536) == b""


def test_who_may_read(api: Api) -> None:
    """Only the key opens it; the token of a part does not."""
    made = api.upload(BODY)
    path = f"/upload/{made.id}/content"
    api.call("GET", path).refused(401)
    api.call("GET", path, headers={"Authorization": f"Bearer {made.token(0)}"}).refused(401)


def test_a_file_that_somebody_removed(api: Api) -> None:
    """The record is there, the file is not: 404, and the record can be removed."""
    made = api.upload(BODY)
    final = made.status()["final_path"]
    (api.daemon.data_dir / "filepipe" / "uploads" / final).unlink()
    made.content().refused(404)
    assert made.cancel().status == 200


def test_nothing(api: Api) -> None:
    """An upload of no bytes can be read, before and after it is complete."""
    made = api.begin(b"")
    assert made.content().body == b""
    assert made.complete().status == 200
    reply = made.content()
    assert (reply.status, reply.body) == (200, b"")
