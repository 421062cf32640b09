"""One answer as it is handed out."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from filepipe.client import Client, Interrupted
from filepipe.client.download import Download
from tests.client.fake_origin import FakeOrigin, Fault, Object


def _response(status: int, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return SimpleNamespace(status=status, headers=named, content=None, url=None)


def test_whole_object() -> None:
    """A 200 begins at 0 and its length is that of the object."""
    download = Download(_response(200, Content_Length="10", ETag='"x"'))
    assert (download.offset, download.length, download.etag) == (0, 10, '"x"')


def test_part_of_an_object() -> None:
    """A 206 begins where it says, and the length is still that of the object."""
    download = Download(_response(206, Content_Length="4", Content_Range="bytes 6-9/10"))
    assert (download.offset, download.length) == (6, 10)


def test_part_of_a_growing_object() -> None:
    """A star says that nobody knows the length."""
    about = {"Content_Range": "bytes 6-9007199254740991/*"}
    download = Download(_response(206, **about))
    assert (download.offset, download.length) == (6, None)


@pytest.mark.parametrize("wrong", ["bytes */10", "lines 1-2/3", ""])
def test_part_that_hides_its_place(wrong: str) -> None:
    """Bytes from nobody knows where are of no use."""
    with pytest.raises(Interrupted, match="did not say which"):
        Download(_response(206, Content_Range=wrong))


async def test_what_came_before_the_break(client: Client, origin: FakeOrigin) -> None:
    """Bytes that arrived are handed out even if the connection broke before anybody looked."""
    origin.objects["a"] = Object(bytes(100_000))
    origin.faults.append(Fault(cut=70_000))
    async with client.get("a") as download:
        while download._response.content.exception() is None:
            await asyncio.sleep(0.001)
        chunks = aiter(download)
        assert await anext(chunks) == bytes(70_000)
        with pytest.raises(Interrupted, match="after 70000 bytes"):
            await anext(chunks)
