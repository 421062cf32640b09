"""What goes wrong around a log: a full disk, followers that stop, drains, restarts, damage."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from filepipe.journal.files import name_of
from tests.conftest import Daemon, eventually
from tests.scenarios.logs.asking import append, ask, begin, end_of, finish, follow, parsed, say
from tests.scenarios.peers import MIB, Download, Upload, body_of, readers, sha, stored

Start = Callable[..., Daemon]


@pytest.fixture
def on_small_disk(tmp_path: Path, small_disk: Path) -> Callable[..., Daemon]:
    """Starts a daemon whose own folder is on the small disk."""
    daemons = []

    def started() -> Daemon:
        folder = tmp_path / "daemon"
        folder.mkdir()
        (folder / "data").symlink_to(small_disk)
        daemons.append(Daemon(["--max-disk", "unlimited"], folder))
        return daemons[0]

    yield started
    daemons[0].kill()


def test_a_full_disk(on_small_disk: Start, restart: Start) -> None:
    """507 with what is acknowledged; that stays, over a restart too; with room all goes on."""
    daemon = on_small_disk()
    body = body_of(12 * MIB)
    assert append(daemon, "/log", body[:1000]).end == 1000
    failed = append(daemon, "/log", body[1000:], chunked=True)
    assert (failed.status, failed.text) == (507, "disk full, try again later\n")
    assert append(daemon, "/log", body[:60_000]).status in (200, 507)
    end = ask(daemon, "/log", "--head").end
    assert end >= failed.end >= 1000
    assert sha(ask(daemon, "/log").body[: failed.end]) == sha(body[: failed.end])
    with contextlib.suppress(OSError), (daemon.data_dir / "filler").open("wb", 0) as filler:
        while True:
            filler.write(bytes(4096))
    assert append(daemon, "/other", b"x").status == 507
    (daemon.data_dir / "filler").unlink()
    assert ask(daemon, "/health").status == 200
    daemon.kill()
    again = restart(daemon, "--max-disk", "unlimited", "--allow-delete")
    assert ask(again, "/log", "--head").end == end
    assert ask(again, "/log", "-X", "DELETE").status == 204
    assert append(again, "/new", body[: 2 * MIB]).status == 200
    again.assert_clean_log()


def test_over_the_quota(start: Start) -> None:
    """The same where the limit is ours."""
    daemon = start("--max-disk", "100K")
    assert append(daemon, "/log", bytes(60_000)).status == 200
    for chunked in (False, True):
        answer = append(daemon, "/log", bytes(60_000), chunked=chunked)
        assert (answer.status, answer["X-Error-Code"]) == (507, "over_budget")
    assert append(daemon, "/log", b"", "&offset=60000").status == 200


def test_a_full_memory(start: Start) -> None:
    """A large record of a producer comes again later: 503; nothing else minds."""
    daemon = start("--max-memory", "256K")
    producer = ("-H", "Producer-Id: me", "-H", "Producer-Epoch: 0", "-H", "Producer-Seq: 0")
    refused = append(daemon, "/log", bytes(MIB), "", *producer)
    assert (refused.status, refused["X-Error-Code"], refused.end) == (503, "over_budget", 0)
    assert append(daemon, "/log", bytes(60_000), "", *producer).end == 60_000
    assert append(daemon, "/log", bytes(MIB), chunked=True).end == 60_000 + MIB
    eventually(lambda: daemon.state()["memory"]["used"] == 0)


def test_too_large(start: Start) -> None:
    """One that says so brings nothing; a session what came before, and is told how much."""
    daemon = start("--max-body-size", "100K")
    said = append(daemon, "/log", bytes(150_000))
    assert (said.status, said["X-Error-Code"]) == (413, "too_large")
    for number in range(5):
        cut = append(daemon, f"/log-{number}", bytes(150_000), chunked=True)
        assert (cut.status, cut["X-Error-Code"]) == (413, "too_large")
        assert cut.end == ask(daemon, f"/log-{number}", "--head").end <= 100 * 1024
    assert ask(daemon, "/log?wait=0").status == 404


def test_a_follower_that_stops_is_cut(start: Start, each_path: str) -> None:
    """At the limit for readers; until then, and afterwards, it disturbs nobody."""
    daemon = start(each_path, "--stall-timeout", "1")
    body = body_of(16 * MIB)
    append(daemon, "/log", b"x")
    with Download(daemon, "/log?follow", receive_buffer=65536) as stuck:
        quick = Download(daemon, "/log?follow&offset=1")
        eventually(lambda: readers(daemon, "log") == 2)
        with Upload(daemon, "/log?append&close") as session, quick:
            for offset in range(0, len(body), MIB):
                session.send(body[offset : offset + MIB])
            assert stuck.begin() == quick.begin() == 200
            assert sha(quick.take(len(body))) == sha(body)
            eventually(lambda: readers(daemon, "log") == 1)
            with Download(daemon, "/log?follow", receive_buffer=65536) as late:
                assert late.begin() == 200
                eventually(lambda: readers(daemon, "log") == 2)
                eventually(lambda: readers(daemon, "log") == 1)
                assert late.rest() is None
            assert session.finish().startswith(b"HTTP/1.1 200 ")
            assert quick.rest() == b""
        got = stuck.rest()
        assert got is None
    daemon.assert_clean_log()


def test_a_silent_session(start: Start) -> None:
    """After --idle-timeout it is lost, told so, and the next one may append."""
    daemon = start("--idle-timeout", "0.5")
    with Upload(daemon, "/log?append") as silent:
        silent.send(b"part")
        answer = parsed(silent.answer())
    assert (answer.status, answer.end) == (408, 4)
    assert append(daemon, "/log", b"!", "&offset=4", chunked=True).end == 5


def test_a_drain(start: Start, restart: Start) -> None:
    """A session ends in peace, and its followers too; whoever follows an idle log is cut."""
    daemon = start()
    append(daemon, "/idle", b"data")
    idle = follow(daemon, "/idle")
    session = begin(daemon, "/log")
    say(session, b"one ")
    eventually(lambda: stored(daemon, "log") == 4)
    joined = follow(daemon, "/log")
    eventually(lambda: readers(daemon, "log") == readers(daemon, "idle") == 1)
    daemon.process.send_signal(signal.SIGTERM)
    assert end_of(idle) == (b"data", 18)
    assert append(daemon, "/log2", b"x").status == 503
    say(session, b"two")
    answer = finish(session)
    assert (answer.status, answer.end) == (200, 7)
    assert end_of(joined) == (b"one two", 0)
    assert daemon.process.wait(20) == 0
    again = restart(daemon)
    assert ask(again, "/log").body == b"one two"


def test_a_session_that_does_not_end(start: Start, restart: Start) -> None:
    """The second signal cuts it: it is told how much is acknowledged, and that is kept."""
    daemon = start()
    session = begin(daemon, "/log")
    say(session, b"part")
    eventually(lambda: stored(daemon, "log") == 4)
    daemon.process.send_signal(signal.SIGTERM)
    eventually(lambda: b"draining" in daemon.log_path.read_bytes())
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(20) == 0
    answer = finish(session)
    assert (answer.status, answer.end) == (503, 4)
    daemon.assert_clean_log()
    assert ask(restart(daemon), "/log").body == b"part"


def test_a_restart(start: Start, restart: Start) -> None:
    """Everything is as it was: bytes, type, tag, closure."""
    daemon = start()
    append(daemon, "/open", b"open", "", "-H", "Content-Type: text/plain")
    append(daemon, "/closed", b"closed", "&close")
    before = ask(daemon, "/open", "--head")
    assert daemon.stop() == 0
    again = restart(daemon)
    after = ask(again, "/open", "--head")
    for name in ("ETag", "Content-Type", "Content-Length", "Stream-Next-Offset"):
        assert before[name] == after[name]
    assert append(again, "/open", b"!", "&offset=4").end == 5
    assert append(again, "/closed", b"!").status == 409
    follower = follow(again, "/open", "&offset=2")
    eventually(lambda: readers(again, "open") == 1)
    append(again, "/open", b"", "&close")
    assert end_of(follower) == (b"en!", 0)


def test_expiry(start: Start) -> None:
    """So long after its last byte; the others stay."""
    daemon = start("--wait", "0")
    append(daemon, "/short", b"x", "&ttl=1")
    append(daemon, "/long", b"x", "&ttl=100")
    append(daemon, "/ever", b"x")
    eventually(lambda: stored(daemon, "short") == -1)
    assert ask(daemon, "/short").status == 404
    assert stored(daemon, "long") == stored(daemon, "ever") == 1
    assert append(daemon, "/short", b"new").end == 3


def test_damage(start: Start, restart: Start) -> None:
    """Said loudly, at the start or soon after; nobody gets a byte; every other log is served."""
    daemon = start("--allow-delete")
    for key in ("index", "data", "fine"):
        for _ in range(3):
            append(daemon, f"/{key}", b"record\n")
    assert daemon.stop() == 0
    folder = daemon.data_dir / "filepipe/logs"
    index = folder / (name_of("index") + ".index")
    content = index.read_bytes()
    middle = content.rindex(b"\xf1log", 0, content.rindex(b"\xf1log"))
    index.write_bytes(content[:middle] + b"damaged" + content[middle + 7 :])
    (folder / (name_of("data") + ".data")).write_bytes(b"record\n" * 2 + b"rEcord\n")
    again = restart(daemon, "--allow-delete")
    assert ask(again, "/data").status == 500
    answer = ask(again, "/index")
    assert (answer.status, answer["X-Error-Code"]) == (500, "storage_failed")
    assert answer.text == f"the log is not served: its index is damaged at byte {middle}\n"
    for path in ("/index?follow", "/data?follow"):
        assert ask(again, path).status == 500
    for path in ("/index", "/data"):
        assert append(again, path, b"more").status == 500
        assert append(again, path, b"more", chunked=True).status == 500
    assert index.read_bytes()[middle : middle + 7] == b"damaged"
    assert ask(again, "/fine").body == b"record\n" * 3
    assert b"filepipe_logs_damaged 2.0" in ask(again, "/metrics").body

    def said() -> list[str]:
        return [line["reason"] for line in again.log() if "damaged" in line.get("reason", "")]

    eventually(lambda: len(said()) == 2)
    assert said() == [
        f"index: its index is damaged at byte {middle}",
        "data: its bytes from 14 on are damaged",
    ]
    assert ask(again, "/index", "-X", "DELETE").status == 204
    assert append(again, "/index", b"new").end == 3
