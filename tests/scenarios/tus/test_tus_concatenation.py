"""Partial uploads, side by side, and the final one that is put together of them."""

from __future__ import annotations

import pytest

from tests.scenarios.mount import fresh
from tests.scenarios.peers import body_of
from tests.scenarios.tus.wire import CHUNK, Reply, Upload, Wire, metadata

ONE, TWO = body_of(3000, 1), body_of(5000, 2)
UNKNOWN = "0123456789abcdef0123456789abcdef"


def partial(wire: Wire, data: bytes, length: int | None = None) -> Upload:
    """A partial upload with these bytes."""
    upload = wire.create(len(data) if length is None else length, Upload_Concat="partial")
    upload.patch(data, 0).done(204)
    return upload


def final(wire: Wire, *urls: str, **headers: str) -> Reply:
    """Ask for the whole of these."""
    return wire.ask(
        "POST", "/files/", None, {"Upload-Concat": f"final;{' '.join(urls)}", **headers}
    )


def test_two_uploads_become_one(wire: Wire) -> None:
    """In the order in which they are named; metadata are those of the final one."""
    name, key = fresh("joined"), fresh("joined")
    one, two = partial(wire, ONE), partial(wire, TWO)
    said = metadata(filename=name, key=key)
    reply = final(wire, f"http://proxy.example{two.path}", one.path, **said).done(201)
    upload = Upload(wire, reply.headers["Location"])
    wire.made.append(upload)
    head = upload.head().done(200)
    assert head.offset == len(ONE) + len(TWO)
    assert head.headers["Upload-Length"] == str(len(ONE) + len(TWO))
    assert head.headers["Upload-Concat"] == f"final;http://proxy.example{two.path} {one.path}"
    assert head.headers["Upload-Metadata"] == said["Upload-Metadata"]
    assert (wire.root / name).read_bytes() == TWO + ONE
    assert upload.get().body == TWO + ONE
    assert wire.call("GET", f"/{key}").body == TWO + ONE


def test_a_partial_upload_is_no_file(wire: Wire) -> None:
    """It says that it is partial; whatever name it was given, nobody sees it."""
    before, name, key = wire.names(), fresh("partial"), fresh("partial")
    upload = wire.create(5, Upload_Concat="partial", **metadata(filename=name, key=key))
    upload.patch(b"12345", 0).done(204)
    head = upload.head().done(200)
    assert (head.offset, head.headers["Upload-Concat"]) == (5, "partial")
    assert wire.names() == before
    assert wire.call("HEAD", f"/{key}").status == 404


def test_a_part_may_be_used_again(wire: Wire) -> None:
    """Twice in one, and in another one."""
    one = partial(wire, ONE)
    for number in (1, 2):
        reply = final(wire, *[one.path] * number).done(201)
        assert Upload(wire, reply.headers["Location"]).get().body == ONE * number


def test_nothing_is_something(wire: Wire) -> None:
    """A part may be empty."""
    reply = final(wire, partial(wire, b"").path, partial(wire, ONE).path).done(201)
    assert Upload(wire, reply.headers["Location"]).get().body == ONE


def test_a_final_upload_takes_no_bytes(wire: Wire) -> None:
    """Neither at its end nor before."""
    reply = final(wire, partial(wire, ONE).path).done(201)
    upload = Upload(wire, reply.headers["Location"])
    for offset in (0, len(ONE)):
        upload.patch(b"", offset).refused(403, "forbidden")
    assert upload.get().body == ONE


def test_what_is_not_a_finished_part_is_not_joined(wire: Wire) -> None:
    """Not half of one, not a whole upload, not one that is gone or never was."""
    one, gone = partial(wire, ONE), partial(wire, ONE)
    gone.delete().done(204)
    names = wire.names()
    for other in [
        partial(wire, b"123", length=5).path,
        wire.create(None, Upload_Concat="partial").path,
        gone.path,
        f"/files/{UNKNOWN}",
    ]:
        final(wire, one.path, other).refused(400, "bad_request")
    assert wire.names() == names
    final(wire, one.path, wire.upload(ONE).path).refused(400, "bad_request")


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Upload-Length": "3000"}, None),
        ({"Upload-Defer-Length": "1"}, None),
        ({"Content-Type": CHUNK}, b"x"),
        (metadata(filename="../x"), None),
        (metadata(key="a//b"), None),
        ({"Upload-Concat": "final;"}, None),
        ({"Upload-Concat": "final;/files/x"}, None),
    ],
)
def test_a_bad_final_upload_is_refused(
    wire: Wire, headers: dict[str, str], body: bytes | None
) -> None:
    """Nothing is joined, nothing is lost."""
    one, names = partial(wire, ONE), wire.names()
    fields = {"Upload-Concat": f"final;{one.path}", **headers}
    assert wire.ask("POST", "/files/", body, fields).status == 400
    assert wire.names() == names
    final(wire, one.path).done(201)


def test_the_parts_may_be_removed_afterwards(wire: Wire) -> None:
    """The final upload has bytes of its own."""
    one = partial(wire, ONE)
    upload = Upload(wire, final(wire, one.path).done(201).headers["Location"])
    one.delete().done(204)
    assert upload.get().body == ONE


def test_a_key_that_is_taken_joins_nothing(wire: Wire) -> None:
    """It is known before a byte is copied."""
    key = fresh("taken")
    wire.create(5, **metadata(key=key))
    names = wire.names()
    final(wire, partial(wire, ONE).path, **metadata(key=key)).refused(409, "conflict")
    assert wire.names() == names
