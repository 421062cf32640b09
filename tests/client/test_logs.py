"""Logs as a program sees them: over lines that break each byte is there once."""

import asyncio
import itertools
from contextlib import aclosing

import pytest
from yarl import URL

from filepipe.client import Busy, Client, NotThere, Refused, Unreachable, logs
from filepipe.client.logs import LARGEST, RECORD, Appender
from tests.client.cut_proxy import CutProxy
from tests.client.fake_origin import FakeOrigin, Fault, Object
from tests.conftest import Daemon
from tests.scenarios.peers import readers

_numbers = itertools.count()


@pytest.fixture
def key() -> str:
    """A log that no other test uses."""
    return f"log-{next(_numbers)}"


async def content(client: Client, key: str) -> bytes:
    """What is there now."""
    async with client.get(key, wait=0) as download:
        return b"".join([chunk async for chunk in download])


async def followed(client: Client, key: str, offset: int = 0) -> bytes:
    """Everything to the clean end."""
    async with aclosing(client.follow(key, offset=offset, wait=20)) as log:
        return b"".join([chunk async for chunk in log])


async def test_append_and_follow(far: Daemon, key: str) -> None:
    """What is written is there when `write` returns; who follows gets it all."""
    async with Client(far.url()) as client:
        following = asyncio.create_task(followed(client, key))
        async with client.append(key, content_type="text/plain", close=True) as log:
            assert log.end is None
            assert await log.write(b"one ") == 4
            assert await log.write(b"two") == log.end == 7
            assert await content(client, key) == b"one two"
        assert await following == b"one two"
        assert await followed(client, key, offset=4) == b"two"
        assert (await client.head(key)).content_type == "text/plain"
        with pytest.raises(Busy):
            async with client.append(key) as log:
                await log.write(b"more")


async def test_a_url_that_was_meant_for_curl(far: Daemon, key: str) -> None:
    """What it says already is not said twice; the rest of its query stays."""
    async with Client(far.url()) as client:
        async with client.append(URL(far.url(f"/{key}?append&ttl=1h")), close=True) as log:
            await log.write(b"data")
        url = URL(far.url(f"/{key}?wait=1&follow"))
        assert [chunk async for chunk in client.follow(url)] == [b"data"]


async def test_a_large_write_is_several_records(far: Daemon, key: str) -> None:
    """All of it is there when it returns."""
    data = bytes(range(256)) * 1000
    async with Client(far.url()) as client, client.append(key) as log:
        assert await log.write(data) == len(data)
        assert await log.write(b"") == len(data)
        assert await content(client, key) == data


async def test_records_grow_while_the_line_is_quick(
    far: Daemon, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to what a server takes whole; a slow one gets small records again."""
    sizes: list[int] = []
    sent = Appender._try

    async def noting(appender: Appender, url: URL, record: bytes) -> int | None:
        sizes.append(len(record))
        return await sent(appender, url, record)

    monkeypatch.setattr(Appender, "_try", noting)
    monkeypatch.setattr(logs, "QUICK", 30.0)
    async with Client(far.url()) as client, client.append(key) as log:
        assert await log.write(bytes(3 * LARGEST)) == 3 * LARGEST
        assert sizes == [RECORD * turns for turns in (1, 2, 4, 8, 16, 16, 1)]
        monkeypatch.setattr(logs, "QUICK", 0.0)
        sizes.clear()
        await log.write(bytes(LARGEST + 2 * RECORD))
        assert sizes == [LARGEST, RECORD, RECORD]


async def test_nothing_written_makes_an_empty_log(far: Daemon, key: str) -> None:
    """And closes it, if that was wanted."""
    async with Client(far.url()) as client:
        async with client.append(key, close=True):
            pass
        assert await followed(client, key) == b""


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("way", ["up", "down", "answer"])
async def test_a_record_over_a_line_that_breaks(far: Daemon, key: str, way: str, how: str) -> None:
    """On its way there, or with its answer: it is there once."""
    records = [b"%d" % number * 30_000 for number in range(4)]
    async with CutProxy(far.url()) as proxy, Client(proxy.url) as client:
        for _ in range(2):
            proxy.plan(way, {"up": 50_000, "down": 300, "answer": 20_000}[way], how, 0.1)
        async with client.append(key) as log:
            for record in records:
                await log.write(record)
        assert proxy.cuts == 2
        assert await content(client, key) == b"".join(records)


@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_following_over_a_line_that_breaks(far: Daemon, key: str, how: str) -> None:
    """In the history, and live: each byte once."""
    data = bytes(range(256)) * 2000
    async with (
        Client(far.url()) as near,
        CutProxy(far.url()) as proxy,
        Client(proxy.url) as client,
    ):
        async with near.append(key, close=True) as log:
            await log.write(data)
            proxy.plan("down", 200_000, how, 0.1)
            proxy.plan("down", 700_000, how, 0.1)
            following = asyncio.create_task(followed(client, key))
            while proxy.passed["down"] < len(data):
                await asyncio.sleep(0.01)
            for start in range(0, len(data), RECORD):
                await log.write(data[start : start + RECORD])
        assert await following == data + data
        assert proxy.cuts == 2


@pytest.mark.parametrize("way", ["up", "answer"])
async def test_a_record_over_a_line_that_dies_silently(
    far: Daemon, line: CutProxy, key: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is sent again, sooner than the kernel would have found out, and is there once."""
    monkeypatch.setattr(logs, "PATIENCE", 0.5)
    line.plan(way, 20_000, "silent", 0.1)
    async with Client(line.url) as client, client.append(key) as log:
        assert await log.write(b"a" * 30_000) == 30_000
        assert await log.write(b"b") == 30_001
        assert await content(client, key) == b"a" * 30_000 + b"b"
    assert line.cuts == 1


async def test_a_slow_server_gets_more_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each try may last twice as long, so whoever is slow, and not dead, answers one of them."""
    monkeypatch.setattr(logs, "PATIENCE", 0.02)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.3)
        writer.write(b"HTTP/1.1 200 OK\r\nStream-Next-Offset: 1\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, Client(url) as client, client.append("key") as log:
        assert await log.write(b"x") == 1


async def test_following_over_a_line_that_dies_silently(
    far: Daemon, line: CutProxy, key: str
) -> None:
    """Before the log is there; in its history; live, while nothing comes; at its end."""
    data = bytes(range(256)) * 2000
    got = bytearray()

    async def following(client: Client) -> None:
        async with aclosing(client.follow(key, wait=20)) as log:
            async for chunk in log:
                got.extend(chunk)

    async def has(size: int) -> None:
        while len(got) < size:
            await asyncio.sleep(0.01)

    async with Client(far.url()) as near, Client(line.url) as client:
        task = asyncio.create_task(following(client))
        while not line.accepted:
            await asyncio.sleep(0.01)
        line.cut("silent", 0.1)
        async with near.append(key) as log:
            line.plan("down", 200_000, "silent", 0.1)
            await log.write(data)
            await has(len(data))
            line.cut("silent", 0.1)
            await log.write(b"more")
            await has(len(data) + 4)
            line.cut("silent", 0.1)
            await log.close()
        await task
    assert got == data + b"more"
    assert line.cuts == 4


async def test_following_an_idle_log_through_an_impatient_proxy(
    far: Daemon, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who cuts what is silent for a minute gets no nearer to the end of our patience."""
    monkeypatch.setattr(logs, "HELD", 0.2)
    window, got = 1.5, bytearray()

    async def following(client: Client) -> None:
        async with aclosing(client.follow(key, retry_window=window)) as log:
            async for chunk in log:
                got.extend(chunk)

    async with (
        Client(far.url()) as near,
        CutProxy(far.url()) as proxy,
        Client(proxy.url) as client,
    ):
        async with near.append(key, close=True) as log:
            await log.write(b"data")
            task = asyncio.create_task(following(client))
            for cuts in range(4):
                while proxy.accepted <= cuts or readers(far, key) != 1:
                    assert not task.done(), task.result()
                    await asyncio.sleep(0.01)
                await asyncio.sleep(window / 3)
                proxy.cut("fin", 0)
        await task
    assert got == b"data"


async def test_following_an_idle_log(far: Daemon, line: CutProxy, key: str) -> None:
    """Silence alone is no loss: the connection stays."""
    async with Client(far.url()) as near, Client(line.url) as client:
        async with near.append(key, close=True) as log:
            await log.write(b"data")
            following = asyncio.create_task(followed(client, key))
            while line.accepted < 3:  # itself, and those who look
                await asyncio.sleep(0.01)
            assert readers(far, key) == 1
            await log.write(b"!")
        assert await following == b"data!"


async def test_nobody_answers(key: str) -> None:
    """At the beginning there is nothing to take up again."""
    async with Client("http://127.0.0.1:1") as client:
        with pytest.raises(Unreachable):
            await followed(client, key)
        async with client.append(key) as log:
            with pytest.raises(Unreachable):
                await log.write(b"x")


async def test_the_window_is_over(client: Client, origin: FakeOrigin) -> None:
    """A server that is unwell for too long is told of as it said."""
    origin.faults += [Fault(status=503)] * 50
    async with client.append("key", retry_window=0.3) as log:
        with pytest.raises(Refused, match="503"):
            await log.write(b"x")
    assert len({seen.headers["Producer-Seq"] for seen in origin.requests("POST")}) == 1
    assert len(origin.requests("POST")) > 1


async def test_following_what_is_not_there(far: Daemon, key: str) -> None:
    """Is a refusal, after the wait."""
    async with Client(far.url()) as client:
        with pytest.raises(NotThere):
            async for _ in client.follow(key, wait=0):
                pass


async def test_a_server_without_logs(client: Client, origin: FakeOrigin) -> None:
    """Is told from one that has them."""
    origin.objects["key"] = Object(b"")
    async with client.append("key") as log:
        with pytest.raises(Exception, match="keeps no logs"):
            await log.write(b"x")
