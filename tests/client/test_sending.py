"""Uploads that are cut: they go on, or say why not, and never mix two objects."""

from __future__ import annotations

import asyncio
import io
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from filepipe.client import Busy, Changed, Client, Interrupted, Refused, SourceChanged
from filepipe.client import replay as replays
from tests.client.cut_proxy import CutProxy, How
from tests.client.fake_origin import FakeOrigin
from tests.conftest import Daemon, eventually
from tests.scenarios.peers import MIB, body_of, key_of, sha

BODY = body_of(9 * MIB)
FOR_A_WHILE = 0.4
"""Seconds that a line is cut."""


class Heard:
    """Keeps what an upload reports."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.there = 0
        self.notes: list[str] = []

    def begin(self, total: int | None, done: int) -> None:
        self.total, self.there = total, done

    def advance(self, count: int) -> None:
        self.there += count

    def note(self, text: str) -> None:
        self.notes.append(text)


async def _piped(body: bytes = BODY) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 50_000):
        yield body[start : start + 50_000]
        await asyncio.sleep(0)


def _state(far: Daemon, key: str) -> str | None:
    entry = key_of(far, key)
    return None if entry is None else str(entry["state"])


@pytest.mark.parametrize(
    ("how", "source"), [("fin", "file"), ("rst", "pipe"), ("silent", "file"), ("silent", "pipe")]
)
async def test_cut_twice(
    far: Daemon,
    line: CutProxy,
    tmp_path: Path,
    how: How,
    source: str,
) -> None:
    """The reader, who has another line, gets every byte once and notices nothing."""
    line.plan("up", 2 * MIB, how, FOR_A_WHILE)
    line.plan("up", 6 * MIB, how, FOR_A_WHILE)
    (tmp_path / "f").write_bytes(BODY)
    into, heard = io.BytesIO(), Heard()
    async with Client(line.url) as sender, Client(far.url()) as receiver:
        reading = asyncio.create_task(receiver.download(f"{how}-{source}", into))
        what = tmp_path / "f" if source == "file" else _piped()
        sent = await sender.put(f"{how}-{source}", what, progress=heard)
        got = await reading
    assert line.cuts == 2
    assert (sent.size, got.size, got.resumed) == (len(BODY), len(BODY), 0)
    assert sha(into.getvalue()) == sha(BODY)
    assert heard.total == (len(BODY) if source == "file" else None)
    assert heard.there == len(BODY)
    assert heard.notes


@pytest.mark.parametrize(
    ("how", "source"), [("rst", "file"), ("silent", "file"), ("silent", "pipe")]
)
async def test_an_answer_that_is_lost(far: Daemon, line: CutProxy, how: How, source: str) -> None:
    """The server has every byte: that is a success, and nothing is sent again."""
    line.plan("answer", len(BODY), how, FOR_A_WHILE)
    key = f"lost-{how}-{source}"
    async with Client(line.url) as client:
        sent = await client.put(key, BODY if source == "file" else _piped())
    assert (line.cuts, sent.size, sent.url) == (1, len(BODY), f"{line.url}/{key}")
    assert _state(far, key) == "finished"
    assert line.passed["up"] < len(BODY) + MIB


async def test_a_silent_source_is_no_cut(far: Daemon, line: CutProxy) -> None:
    """A pipe may be idle; nobody is asked anything meanwhile, and the line stays."""

    async def idle() -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.sleep(2)
        yield b"two"

    async with Client(line.url) as client:
        await client.put("idle", idle())
    with urllib.request.urlopen(far.url("/idle"), timeout=20) as answer:
        assert answer.read() == b"onetwo"
    assert line.accepted <= 3


async def test_a_source_faster_than_the_buffer(
    far: Daemon,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is not confirmed is bounded, and that stops nothing."""
    monkeypatch.setattr(replays.Kept.__init__, "__defaults__", (MIB,))
    async with Client(far.url()) as client:
        async with asyncio.timeout(30):
            await client.put("bounded", _piped())
    assert _state(far, "bounded") == "finished"


@pytest.mark.parametrize("kind", ["bytes", "pipe"])
async def test_a_server_without_ranges(far: Daemon, kind: str) -> None:
    """It is sent a plain upload, from the first byte on."""
    async with Client(far.url("/-/file-pipe")) as client:
        await client.put(f"plain-{kind}", BODY if kind == "bytes" else _piped())
        into = io.BytesIO()
        await client.download(f"plain-{kind}", into)
    assert sha(into.getvalue()) == sha(BODY)


async def test_a_server_that_knows_nothing(client: Client, origin: FakeOrigin) -> None:
    """One without Upload-Offset is asked for it only briefly."""
    async with asyncio.timeout(30):
        await client.put("k", _piped())
    assert origin.objects["k"].body == BODY
    (seen,) = origin.requests("PUT")
    assert (seen.headers["Content-Range"], seen.headers["If-None-Match"]) == ("bytes 0-*/*", "*")


@pytest.mark.parametrize(("size", "ranged"), [(0, False), (64 * 1024, False), (65537, True)])
async def test_small_ones_are_plain(
    client: Client, origin: FakeOrigin, size: int, ranged: bool
) -> None:
    """They are there before a cut is noticed."""
    await client.put("k", bytes(size))
    (seen,) = origin.requests("PUT")
    assert ("Content-Range" in seen.headers) is ranged


async def test_a_key_in_use(far: Daemon) -> None:
    """Whatever is there, nobody goes on with it who did not begin it."""
    async with Client(far.url()) as client:
        await client.put("used", BODY)
        with pytest.raises(Busy):
            await client.put("used", BODY)


async def test_a_sender_who_gives_up(far: Daemon) -> None:
    """A source that fails ends its readers at once, and the key is free."""

    async def broken() -> AsyncIterator[bytes]:
        async for chunk in _piped():
            yield chunk
        raise LookupError

    async with Client(far.url()) as client:
        reading = asyncio.create_task(client.download("broken", io.BytesIO()))
        with pytest.raises(LookupError):
            await client.put("broken", broken())
        async with asyncio.timeout(20):
            with pytest.raises(Interrupted, match="broke off or expired"):
                await reading
        await client.put("broken", BODY)


async def test_a_file_that_shrinks(far: Daemon, tmp_path: Path) -> None:
    """Fewer bytes than announced are no upload, also by this way."""
    (tmp_path / "f").write_bytes(BODY)
    with (tmp_path / "f").open("rb") as stream:
        async with Client(far.url()) as client:
            with pytest.raises(SourceChanged):
                await client.put("shrunk", stream, length=len(BODY) + 1)
    eventually(lambda: _state(far, "shrunk") is None)


async def test_another_upload_in_between(
    far: Daemon,
    line: CutProxy,
) -> None:
    """When the key became another's, that one is left alone."""
    line.plan("up", 3 * MIB, "rst", 60)
    async with Client(line.url) as sender, Client(far.url()) as other:
        sending = asyncio.create_task(sender.put("taken", BODY))
        await asyncio.to_thread(eventually, lambda: _state(far, "taken") == "suspended")
        etag = (await other.head("taken")).etag
        await other._line.delete(other.address("taken"), {"If-Match": str(etag)})
        await other.put("taken", BODY[::-1])
        line.mend()
        with pytest.raises(Changed, match="another upload took the key"):
            await sending
        into = io.BytesIO()
        await other.download("taken", into)
    assert sha(into.getvalue()) == sha(BODY[::-1])


async def test_an_upload_that_is_gone(far: Daemon, line: CutProxy) -> None:
    """A server that forgot it says so; it is not begun anew behind the readers' backs."""
    line.plan("up", 3 * MIB, "rst", 60)
    async with Client(line.url) as sender, Client(far.url()) as other:
        sending = asyncio.create_task(sender.put("gone", BODY))
        await asyncio.to_thread(eventually, lambda: _state(far, "gone") == "suspended")
        etag = (await other.head("gone")).etag
        await other._line.delete(other.address("gone"), {"If-Match": str(etag)})
        line.mend()
        with pytest.raises(Interrupted, match="the server gave the upload up after"):
            await sending


async def test_it_gives_up(far: Daemon, line: CutProxy) -> None:
    """After the window, with what was sent; a window of 0 does not try."""
    line.plan("up", 3 * MIB, "rst", 60)
    async with Client(line.url) as sender:
        with pytest.raises(Interrupted, match="gave up after") as caught:
            await sender.put("window", BODY, retry_window=0.3)
    assert caught.value.received >= 2 * MIB
    assert line.cuts == 1


async def test_a_refusal_stays_one(client: Client, origin: FakeOrigin) -> None:
    """What the server says to the first request is the result."""
    origin.refuse = 403
    with pytest.raises(Refused, match="403"):
        await client.put("k", BODY)
    assert len(origin.requests("PUT")) == 1
