"""Sources whose bytes can be had again."""

import asyncio
import io
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from filepipe.client.replay import Kept, open_replay
from filepipe.client.source import CHUNK, Body

BODY = os.urandom(3 * CHUNK + 7)


async def _chunks(size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(BODY), size):
        yield BODY[start : start + size]


async def _all(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


@pytest.mark.parametrize("kind", ["bytes", "path", "stream", "memory", "iterable"])
async def test_from_any_offset(tmp_path: Path, kind: str) -> None:
    """As often as is asked for, also after a beginning that was dropped."""
    (tmp_path / "f").write_bytes(b"before" + BODY)
    (tmp_path / "g").write_bytes(BODY)
    with (tmp_path / "f").open("rb") as stream:
        stream.seek(6)
        source = {
            "bytes": BODY,
            "path": tmp_path / "g",
            "stream": stream,
            "memory": io.BytesIO(BODY),
            "iterable": _chunks(),
        }[kind]
        async with open_replay(source) as replay:
            assert replay.length == (None if kind == "iterable" else len(BODY))
            started = replay.read(0)
            await anext(started)
            await started.aclose()
            for offset in (0, 1, 2 * CHUNK, len(BODY) - 1, len(BODY)):
                assert await _all(replay.read(offset)) == BODY[offset:]


async def test_only_what_is_not_confirmed_is_kept() -> None:
    """It is read on when there is room again, and nothing is lost on the way."""
    kept = Kept(Body(_chunks(), None), most=5000)
    got = b""
    reading = kept.read(0)
    while len(got) < len(BODY):
        waiting = asyncio.ensure_future(anext(reading))
        done, _ = await asyncio.wait({waiting}, timeout=0.2)
        if not done:
            assert kept.waits.is_set()
            assert len(got) - kept.lowest >= 5000
            kept.confirm(len(got))
        got += await waiting
        assert len(got) - kept.lowest <= 6000
    assert got == BODY
    assert await _all(kept.read(kept.lowest)) == BODY[kept.lowest :]
    await kept.aclose()


async def test_what_was_being_read_is_not_lost() -> None:
    """A sender that is cut while it waits for the source leaves the bytes to the next one."""
    more = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"one"
        await more.wait()
        yield b"two"

    kept = Kept(Body(slow(), None))
    first = kept.read(0)
    assert await anext(first) == b"one"
    waiting = asyncio.ensure_future(anext(first))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    more.set()
    assert await _all(kept.read(1)) == b"netwo"
    await kept.aclose()


async def test_let_go() -> None:
    """Nothing is kept any more, however much comes, and nobody is asked."""
    kept = Kept(Body(_chunks(), None), most=5000)
    kept.let_go()
    assert await _all(kept.read(0)) == BODY
    assert kept.lowest > len(BODY) - 2000
    assert not kept.crowded
    await kept.aclose()


async def test_a_source_that_fails() -> None:
    """Whoever reads hears of it, each time."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise LookupError

    kept = Kept(Body(broken(), None))
    for _ in range(2):
        with pytest.raises(LookupError):
            await _all(kept.read(0))
    await kept.aclose()


async def test_who_waits_asks_again() -> None:
    """As long as too little is confirmed."""
    kept = Kept(Body(_chunks(), None), most=5000)
    reading = kept.read(0)
    while not kept.crowded:
        await anext(reading)
    kept.waits.clear()
    kept.confirm(1)
    async with asyncio.timeout(20):
        await kept.waits.wait()
    await kept.aclose()
