"""The body of a PUT while it is sent."""

from collections.abc import AsyncIterator

import pytest

from filepipe.client.source import Body
from filepipe.client.upload import Upload


class Heard:
    """Keeps what an upload reports."""

    def __init__(self) -> None:
        self.said: list[object] = []

    def begin(self, total: int | None, done: int) -> None:
        self.said.append((total, done))

    def advance(self, count: int) -> None:
        self.said.append(count)

    def note(self, text: str) -> None:
        self.said.append(text)


async def _two() -> AsyncIterator[bytes]:
    yield b"ab"
    yield b"c"


async def _broken() -> AsyncIterator[bytes]:
    yield b"ab"
    raise LookupError


async def test_counts_and_reports() -> None:
    """Each chunk is counted when it is given and reported when it is gone."""
    heard = Heard()
    upload = Upload(Body(_two(), 3), heard)
    assert [chunk async for chunk in upload.chunks()] == [b"ab", b"c"]
    assert heard.said == [(3, 0), 2, 1]
    assert upload.sent == 3


async def test_whole_by_length() -> None:
    """With a length the last byte makes it whole: the answer may come before the generator ends."""
    upload = Upload(Body(_two(), 3), None)
    chunks = aiter(upload.chunks())
    await anext(chunks)
    assert not upload.whole
    await anext(chunks)
    assert upload.whole


async def test_whole_by_end() -> None:
    """Without a length only the end makes it whole."""
    upload = Upload(Body(_two(), None), None)
    chunks = aiter(upload.chunks())
    await anext(chunks)
    await anext(chunks)
    assert not upload.whole
    assert await anext(chunks, None) is None
    assert upload.whole


async def test_remembers_the_failure() -> None:
    """What the source raised is kept, because aiohttp hides it."""
    upload = Upload(Body(_broken(), None), None)
    with pytest.raises(LookupError):
        [chunk async for chunk in upload.chunks()]
    assert isinstance(upload.failure, LookupError)
    assert not upload.whole
