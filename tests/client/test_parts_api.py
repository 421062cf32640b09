"""The requests of the uploads API: what is sent, and answers that are none."""

import asyncio

import pytest
from yarl import URL

from filepipe.client import BadAddress, Client, ClientError, Interrupted, Refused, parts_api
from filepipe.client.line import Line
from filepipe.client.parts_api import PartsApi, upload_info
from tests.client.fake_parts import FakeParts
from tests.client.raw_server import raw_server


@pytest.mark.parametrize("key", ["", " ", "a\nb", "\x00"])
def test_keys_that_are_none(key: str) -> None:
    """No header can be smuggled in by one."""
    with pytest.raises(BadAddress):
        PartsApi(URL("http://h/"), Line(1, None), key)


@pytest.mark.parametrize("upload_id", ["", ".", ".."])
async def test_ids_that_are_none(uploader: Client, parts: FakeParts, upload_id: str) -> None:
    """They would lead elsewhere."""
    with pytest.raises(BadAddress):
        await uploader.uploads.remove(upload_id)
    assert parts.seen == []


async def test_an_id_stays_one_segment(uploader: Client, parts: FakeParts) -> None:
    """Whatever is in it."""
    with pytest.raises(Refused):
        await uploader.uploads.status("a/../b?c")
    assert parts.seen == [("GET", "/upload/a%2F..%2Fb%3Fc/status")]


async def test_a_server_below_a_path(parts: FakeParts) -> None:
    """The path of the server's URL comes first."""
    async with Client(f"{parts.url}/-/uploads", api_key="k") as client:
        with pytest.raises(Refused, match="404"):
            await client.uploads.listing()


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b"<html>", b'{"file_id": 1}', b"[" * 9999])
async def test_answers_of_something_else(answer: bytes) -> None:
    """One sentence, not a traceback."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + answer)
        await writer.drain()

    async with raw_server(serve) as url, Client(url) as client:
        for ask in (
            client.uploads.status("a"),
            client.uploads.listing(),
            client.uploads.tokens("a"),
        ):
            with pytest.raises(ClientError, match="not that of an uploads API"):
                await ask


async def test_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says nothing is not waited for for ever."""
    monkeypatch.setattr(parts_api, "ANSWER_SECONDS", 0.1)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_server(serve) as url, Client(url) as client:
        with pytest.raises(Interrupted, match="did not answer"):
            await client.uploads.status("a")


def test_an_upload_of_a_listing() -> None:
    """It has fewer fields than a status."""
    told = {"file_id": "a", "filename": "f", "total_size": 3, "status": "pending"}
    info = upload_info(told)
    assert (info.id, info.path, info.size, info.checksums) == ("a", "f", 3, {})
    assert info.uploaded_parts is None
    assert info.answer == told
