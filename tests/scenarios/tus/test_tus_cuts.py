"""Senders that leave, stall, overtake themselves; a daemon that is killed: nothing told is lost."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.conftest import Daemon, eventually, read_all, read_until
from tests.scenarios.mount import fresh
from tests.scenarios.peers import MIB, body_of
from tests.scenarios.tus.wire import ENVIRONMENT, LISTENERS, Upload, Wire, metadata

DATA = body_of(3 * MIB)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One whose event loop moves every body."""
    arguments = [*LISTENERS, "--no-relay"]
    daemon = Daemon(arguments, tmp_path_factory.mktemp("plain"), env=ENVIRONMENT)
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


@pytest.fixture(params=["shared", "plain"])
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    """tus, where the kernel moves long bodies and where it does not."""
    wire = Wire(request.getfixturevalue(request.param))
    yield wire
    for upload in wire.made:
        upload.delete()


def received(wire: Wire) -> int:
    """Bytes of bodies that have come."""
    text = wire.call("GET", "/metrics").body.decode()
    line = next(
        line
        for line in text.splitlines()
        if line.startswith('filepipe_bytes_total{direction="in"}')
    )
    return int(float(line.split()[1]))


@pytest.mark.parametrize("end", ["close", "reset"])
def test_what_came_before_a_cut_stays(wire: Wire, end: str) -> None:
    """And the sender goes on behind it."""
    upload = wire.create(len(DATA))
    before = received(wire)
    sock = upload.begin_patch(0, len(DATA))
    sock.sendall(DATA[:MIB])
    eventually(lambda: received(wire) >= before + MIB)
    if end == "reset":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()
    offset = upload.offset()
    assert offset == MIB
    assert upload.patch(DATA[offset:], offset).done(204).offset == len(DATA)
    assert upload.get().body == DATA


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
def test_a_newcomer_ends_who_is_still_at_it(wire: Wire, method: str) -> None:
    """The offset that he is told is true, and his bytes come behind it; the other one is cut."""
    upload = wire.create(len(DATA))
    before = received(wire)
    with upload.begin_patch(0, len(DATA)) as sock:
        sock.sendall(DATA[:MIB])
        eventually(lambda: received(wire) >= before + MIB)
        if method == "DELETE":
            upload.delete().done(204)
            upload.head().refused(410, "gone")
        else:
            if method == "HEAD":
                assert upload.offset() == MIB
            assert upload.patch(DATA[MIB:], MIB).done(204).offset == len(DATA)
            assert upload.get().body == DATA
        answer = read_all(sock)
    assert not answer or answer.split()[1][:1] in b"45", answer


def test_two_at_one_offset(wire: Wire) -> None:
    """At most one of them succeeds, and what is there is what that one sent."""
    upload = wire.create(10)
    with upload.begin_patch(0, 10) as first, upload.begin_patch(0, 10) as second:
        second.sendall(b"b" * 10)
        first.sendall(b"a" * 10)
        answers = [read_until(sock, b"\r\n\r\n") for sock in (first, second)]
    good = [answer.split()[1] == b"204" for answer in answers]
    assert sum(good) <= 1
    if any(good):
        assert upload.get().body == (b"a" if good[0] else b"b") * 10
    else:
        assert upload.offset() in (0, 10)


def test_a_killed_daemon_loses_nothing_that_it_told(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Uploads go on where they were; what is complete, gone or taken is so still."""
    folder = tmp_path_factory.mktemp("killed")
    key = fresh("killed")
    wire = Wire(Daemon(list(LISTENERS), folder, env=ENVIRONMENT))
    try:
        upload = wire.create(len(DATA), **metadata(key=key, filename=fresh("killed")))
        upload.patch(DATA[:1000], 0).done(204)
        whole = wire.upload(b"whole", **metadata(key=fresh("whole")))
        gone = wire.create(5)
        gone.delete().done(204)
        before = received(wire)
        with upload.begin_patch(1000, len(DATA) - 1000) as sock:
            sock.sendall(DATA[1000:MIB])
            eventually(lambda: received(wire) >= before + MIB - 1000)
            wire.daemon.kill()
        wire.daemon.log_path.unlink()
        wire.daemon = Daemon(list(LISTENERS), folder, env=ENVIRONMENT)
        offset = upload.offset()
        assert 1000 <= offset <= MIB
        wire.post(Upload_Length="5", **metadata(key=key)).refused(409, "conflict")
        assert upload.patch(DATA[offset:], offset).done(204).offset == len(DATA)
        assert wire.call("GET", f"/{key}").body == DATA
        assert whole.get().body == b"whole"
        assert wire.call("GET", "/" + key).body == DATA
        gone.head().refused(410, "gone")
        wire.daemon.assert_clean_log()
    finally:
        wire.daemon.kill()


def test_a_creation_that_is_cut_leaves_nothing(wire: Wire) -> None:
    """Nobody knows its URL; its key is free for who tries again."""
    key = fresh("cut")
    fields = {"Upload-Length": "10", **metadata(key=key)}
    before = received(wire)
    head = {"Tus-Resumable": "1.0.0", "X-API-Key": ENVIRONMENT["API_KEY"], "Content-Length": "10",
            "Content-Type": "application/offset+octet-stream", **fields}  # fmt: skip
    with wire.begin("POST", "/files/", head) as sock:
        sock.sendall(b"123")
        eventually(lambda: received(wire) >= before + 3)

    def created() -> bool:
        reply = wire.ask("POST", "/files/", None, fields)
        if reply.status == 201:
            wire.made.append(Upload(wire, reply.headers["Location"]))
        return reply.status == 201

    eventually(created)
    assert wire.made[-1].offset() == 0
