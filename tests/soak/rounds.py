"""One round of each scenario: a transfer, or one of the things that may happen to it.

A round raises AssertionError where a promise is broken. What it does in detail is left to chance.
"""

from __future__ import annotations

import contextlib
import http.client
import signal
import time
from collections.abc import Callable

from tests.conftest import Daemon, curl, eventually, start_curl
from tests.scenarios.faults import Fault, assert_well, failing, upload
from tests.scenarios.peers import (
    MIB,
    Download,
    Upload,
    key_of,
    put,
    readers,
    sha,
    stored,
)
from tests.scenarios.ways import WAYS
from tests.soak.ground import Ground, names_below
from tests.soak.live import LARGE, hand_over, messages
from tests.soak.resumed import go_on

DONE = b"HTTP/1.1 200 "


def send(peer: Upload, data: bytes) -> None:
    """A piece of a body; an empty chunk would be the end of it."""
    if data:
        peer.send(data)


def assert_got(reader: Download, body: bytes) -> None:
    """A download is whole and ends well."""
    assert reader.begin() == 200
    rest = reader.rest()
    assert rest is not None
    assert sha(rest) == sha(body)


def transfer(ground: Ground) -> None:
    """Readers before, during and after an upload get every byte."""
    daemon, way = ground.way()
    body, path = ground.body(), f"/{ground.key()}"
    middle = ground.random.randint(0, len(body))
    with Download(daemon, path) as before, Upload(daemon, path, way.length(len(body))) as sender:
        send(sender, body[:middle])
        with Download(daemon, path) as during:
            assert sender.finish(body[middle:]).startswith(DONE)
            for reader in (before, during):
                assert_got(reader, body)
        with Download(daemon, path) as after:
            assert_got(after, body)


def crowd(ground: Ground) -> None:
    """Twenty readers at once, some slow, some leaving: the upload and the others are whole."""
    daemon, way = ground.way()
    body, path = ground.body(LARGE), f"/{ground.key()}"
    with contextlib.ExitStack() as stack:
        sender = stack.enter_context(Upload(daemon, path, way.length(len(body))))
        crowd = [
            stack.enter_context(
                Download(daemon, path, receive_buffer=ground.random.choice([4096, None]))
            )
            for _ in range(20)
        ]
        middle = ground.random.randint(0, len(body))
        send(sender, body[:middle])
        leaving = set(ground.random.sample(range(20), 8))
        for number in leaving:
            ground.random.choice((Download.leave, Download.reset))(crowd[number])
        assert sender.finish(body[middle:]).startswith(DONE)
        for number in set(range(20)) - leaving:
            assert_got(crowd[number], body)


def small(ground: Ground) -> None:
    """Fifty uploads and downloads of a few bytes on one connection."""
    daemon, _ = ground.way()
    line = http.client.HTTPConnection(*daemon.address, timeout=30)
    with contextlib.closing(line):
        for _ in range(50):
            path, body = f"/{ground.key()}", ground.random.randbytes(ground.random.randint(0, 2000))
            for method, data in (("PUT", body), ("GET", None)):
                line.request(method, path, data)
                answer = line.getresponse()
                text = answer.read()
                assert answer.status == 200
            assert text == body


def abort(ground: Ground) -> None:
    """The sender goes in the middle: its readers are cut, its key is free for a whole upload."""
    daemon, way = ground.way()
    body, key = ground.body(LARGE), ground.key()
    part = ground.random.randint(1, len(body) - 1)
    with Upload(daemon, f"/{key}", way.length(len(body))) as sender:
        send(sender, body[:part])
        versions = ("1.1", "1.0") if way.chunked else ("1.1",)
        cut = [Download(daemon, f"/{key}", version=version) for version in versions]
        for reader in cut:
            assert reader.begin() == 200
        ground.random.choice((Upload.reset, Upload.half_close, Upload.leave))(sender)
        for reader in cut:
            assert reader.rest() is None, "a reader took the part for the whole"
            reader.leave()
        eventually(lambda: key_of(daemon, key) is None)
    assert put(daemon, f"/{key}", body, chunked=way.chunked)[0] == 200
    assert sha(curl(daemon.url(f"/{key}")).stdout) == sha(body)


def leave(ground: Ground) -> None:
    """A reader goes in the middle: it is forgotten, the upload and another reader go on."""
    daemon, way = ground.way()
    body, key = ground.body(LARGE), ground.key()
    part = ground.random.randint(1, len(body) - 1)
    with (
        Upload(daemon, f"/{key}", way.length(len(body))) as sender,
        Download(daemon, f"/{key}") as leaver,
        Download(daemon, f"/{key}") as stayer,
    ):
        send(sender, body[:part])
        assert leaver.begin() == 200
        ground.random.choice((Download.reset, Download.half_close, Download.leave))(leaver)
        eventually(lambda: readers(daemon, key) == 1)
        assert sender.finish(body[part:]).startswith(DONE)
        assert_got(stayer, body)


def give_up(ground: Ground) -> None:
    """Twenty readers wait for keys that nobody writes, and leave."""
    daemon, _ = ground.way()
    queries = ("", "?wait=100")
    waiting = [
        Download(daemon, f"/{ground.key()}{ground.random.choice(queries)}") for _ in range(20)
    ]
    eventually(lambda: daemon.state()["waiting_readers"] >= 20)
    for reader in waiting:
        ground.random.choice((Download.reset, Download.leave))(reader)
    eventually(lambda: daemon.state()["waiting_readers"] == 0)


def refuse(ground: Ground) -> None:
    """Too large, in use, nowhere, not understood: each has its status, and nothing stays."""
    daemon, way = ground.way()
    body, path = ground.body(), f"/{ground.key()}"
    assert put(daemon, path, bytes(17 * MIB), chunked=way.chunked)[0] == 413
    with Upload(daemon, path, None) as sender:
        sender.send(b"x")
        eventually(lambda: stored(daemon, path[1:]) == 1)
        assert put(daemon, path, body, chunked=way.chunked)[0] == 409
        assert sender.finish().startswith(DONE)
    code = ("--output", "/dev/null", "--write-out", "%{http_code}")
    assert curl(*code, daemon.url(f"/{ground.key()}?wait=0")).stdout == b"404"
    assert curl(*code, daemon.url("/a/../b"), "--path-as-is").stdout == b"400"


def fault(ground: Ground) -> None:
    """A system call of an upload fails: a sentence or a cut, and all is well afterwards."""
    daemon, way = ground.way()
    names = ["openat", "fallocate", "pwritev2", "pread64"]
    names += [] if way.chunked or way is WAYS["loop"] else ["splice", "sendfile", "fcntl"]
    chosen = Fault(
        ground.random.choice(names),
        ground.random.choice(("ENOSPC", "EIO", "EMFILE")),
        ground.random.randint(1, 10),
        ground.random.random() < 0.5,
    )
    with failing(daemon, chosen):
        upload(daemon, way, "EIO")
    assert_well(daemon, way)


# -- rounds that end a daemon


def kill(ground: Ground) -> None:
    """kill -9 at any moment under load: nothing is left of anybody's, no reader is deceived."""
    way = ground.random.choice(list(WAYS.values()))
    body = ground.body(3 * MIB)
    with ground.fresh(way.flag) as daemon, contextlib.ExitStack() as stack:
        own = names_below(daemon.data_dir)
        source = daemon.folder / "source"
        source.write_bytes(body * 8)
        framing = ("--header", "Transfer-Encoding: chunked") if way.chunked else ()
        curls = [
            start_curl("--upload-file", str(source), *framing, daemon.url(f"/{number}"))
            for number in range(3)
        ]
        got = [daemon.folder / f"got-{number}" for number in range(3)]
        curls += [
            start_curl("--output", str(path), daemon.url(f"/{number}"))
            for number, path in enumerate(got)
        ]
        stack.enter_context(Download(daemon, "/nobody"))
        time.sleep(ground.random.uniform(0, 0.15))
        daemon.kill()
        for process in curls:
            process.communicate(timeout=30)
        for process, path in zip(curls[3:], got, strict=True):
            if process.returncode == 0:
                assert sha(path.read_bytes()) == sha(source.read_bytes())
        assert names_below(daemon.data_dir) == own
        daemon.log_path.unlink()
        again = Daemon([way.flag, "--listen", daemon.addresses[0]], daemon.folder)
        try:
            assert put(again, "/k", body, chunked=way.chunked)[0] == 200
            assert sha(curl(again.url("/k")).stdout) == sha(body)
        finally:
            again.kill()


def drain(ground: Ground) -> None:
    """SIGTERM at any moment of a transfer: it arrives whole, and the exit code is 0."""
    way = ground.random.choice(list(WAYS.values()))
    body = ground.body(LARGE)
    part = ground.random.randint(0, len(body))
    with (
        ground.fresh(way.flag, "--drain-timeout", "1h") as daemon,
        Upload(daemon, "/k", way.length(len(body))) as sender,
        Download(daemon, "/k") as reader,
    ):
        send(sender, body[:part])
        eventually(lambda: readers(daemon, "k") == 1)
        daemon.process.send_signal(ground.random.choice((signal.SIGTERM, signal.SIGINT)))
        time.sleep(ground.random.uniform(0, 0.05))
        assert sender.finish(body[part:]).startswith(DONE)
        assert_got(reader, body)
        assert daemon.process.wait(30) == 0
        daemon.assert_clean_log()


def insist(ground: Ground) -> None:
    """Two signals in the middle of a transfer: cut at once, exit code 0, no false end."""
    way = ground.random.choice(list(WAYS.values()))
    body = ground.body(LARGE)
    part = ground.random.randint(1, len(body) - 1)
    with (
        ground.fresh(way.flag, "--drain-timeout", "1h") as daemon,
        Upload(daemon, "/k", way.length(len(body))) as sender,
        Download(daemon, "/k") as reader,
    ):
        send(sender, body[:part])
        assert reader.begin() == 200
        daemon.process.send_signal(signal.SIGTERM)
        # the kernel makes one of two signals of a kind that are both still on their way
        eventually(lambda: any(line["event"] == "draining" for line in daemon.log()))
        time.sleep(ground.random.uniform(0, 0.05))
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(30) == 0
        assert reader.rest() is None, "a reader took the part for the whole"
        assert not sender.answer().startswith(DONE)
        daemon.assert_clean_log()


ROUNDS: dict[str, Callable[[Ground], None]] = {
    function.__name__.replace("_", " "): function
    for function in (
        transfer, crowd, small, abort, leave, give_up, refuse, go_on, hand_over, messages, fault,
        kill, drain, insist,
    )
}  # fmt: skip
