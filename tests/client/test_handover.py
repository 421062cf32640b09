"""Two parties that meet: what the sender and the receiver are told."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from filepipe.client import Busy, Client, Interrupted, NotThere, Refused, turns
from tests.client.fake_origin import FakeOrigin, Fault, Object
from tests.client.raw_server import raw_server

BODY = bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again after a moment."""
    monkeypatch.setattr(turns, "SHORTEST", 0.01)


async def _chunks() -> AsyncIterator[bytes]:
    yield BODY[:100]
    yield BODY[100:]


async def test_send(client: Client, origin: FakeOrigin) -> None:
    """A source goes by POST, with what is known of it, and the server's word comes back."""
    result = await client.send(
        "a b", BODY, receivers=2, wait=500, content_type="text/x", filename="f.txt"
    )
    (seen,) = origin.requests("POST")
    assert (result.size, result.sentence) == (len(BODY), "delivered to 1 receiver")
    assert (seen.path, seen.body) == ("/a%20b?n=2", BODY)
    assert seen.headers["Prefer"] == "wait=500"
    assert seen.headers["Content-Length"] == str(len(BODY))
    assert seen.headers["Content-Type"] == "text/x"
    assert seen.headers["Content-Disposition"] == 'attachment; filename="f.txt"'


async def test_send_to_one_in_turns(client: Client, origin: FakeOrigin) -> None:
    """A long wait for one receiver is asked for piece by piece, for several at once."""
    for receivers in (None, 1, 2):
        await client.send("a", BODY, receivers=receivers, wait=500)
    asked = [seen.headers["Prefer"] for seen in origin.requests("POST")]
    assert asked == ["wait=30", "wait=30", "wait=500"]


async def test_send_leaves_to_the_server_what_is_not_said(
    client: Client, origin: FakeOrigin
) -> None:
    """One receiver, the server's own wait, no length of a stream; but always an invitation."""
    await client.send("a", _chunks())
    (seen,) = origin.requests("POST")
    assert (seen.path, seen.body) == ("/a", BODY)
    assert seen.headers["Expect"] == "100-continue"
    assert not {"Prefer", "Content-Length"} & seen.headers.keys()


async def test_send_asks_again_while_nobody_comes(client: Client, origin: FakeOrigin) -> None:
    """A stream is offered again whole, as nothing of it was read."""
    origin.faults.extend([Fault(status=408), Fault(status=408)])
    assert (await client.send("a", _chunks(), wait=60)).size == len(BODY)
    assert len(origin.requests("POST")) == 3
    assert origin.requests("POST")[-1].body == BODY


@pytest.mark.parametrize("wait", [None, 0])
async def test_send_gives_up(client: Client, origin: FakeOrigin, wait: float | None) -> None:
    """Without time left, that nobody came is the end, in the server's words."""
    origin.faults.append(Fault(status=408))
    with pytest.raises(Refused, match=r"^as the test wishes \(408\)$"):
        await client.send("a", BODY, wait=wait)
    assert len(origin.requests("POST")) == 1


async def test_send_does_not_repeat_what_was_begun(client: Client, origin: FakeOrigin) -> None:
    """A 408 in the middle of a body is another one."""
    origin.faults.append(Fault(status=408, late=True))
    with pytest.raises(Refused, match="408"):
        await client.send("a", _chunks(), wait=60)
    assert len(origin.requests("POST")) == 1


async def test_send_of_a_used_key(client: Client, origin: FakeOrigin) -> None:
    """409 is not waited for: somebody else sends there."""
    origin.faults.append(Fault(status=409))
    with pytest.raises(Busy):
        await client.send("a", BODY, wait=60)
    assert len(origin.requests("POST")) == 1


async def test_send_to_a_receiver_that_left(client: Client, origin: FakeOrigin) -> None:
    """502 at the end of the body is a failure, whatever was sent."""
    origin.faults.append(Fault(status=502, late=True))
    with pytest.raises(Refused) as caught:
        await client.send("a", BODY)
    assert (caught.value.status, caught.value.exit_code) == (502, 1)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nsent\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ndelivered to",
        b"HTTP/1.1 200 O",
        b"",
    ],
)
async def test_send_with_half_an_answer(answer: bytes) -> None:
    """Only an answer that ends is one: a 200 whose end is missing is no success."""

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await reader.readexactly(len(BODY))
        writer.write(answer)
        await writer.drain()

    async with raw_server(half) as url, Client(url) as client:
        with pytest.raises(Interrupted, match=f"after {len(BODY)} bytes"):
            await client.send("a", BODY)


async def test_send_answered_before_its_end() -> None:
    """A 200 for half a body is no success either."""

    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with raw_server(hasty) as url, Client(url) as client:
        with pytest.raises(Interrupted, match="the server ended the upload after 0 bytes"):
            await client.send("a", _chunks())


async def test_receive(client: Client, origin: FakeOrigin, tmp_path: Path) -> None:
    """A file under the sender's name, in the folder that was meant."""
    named = {"Content-Disposition": 'attachment; filename="../f.txt"'}
    origin.objects["a"] = Object(BODY, etag=None, headers=named)
    result = await client.receive("a", tmp_path, receivers=2, wait=5)
    (seen,) = origin.requests("GET")
    assert (result.path, result.size) == (tmp_path / "f.txt", len(BODY))
    assert (seen.path, seen.headers["Prefer"]) == ("/a?n=2", "wait=5")
    assert (tmp_path / "f.txt").read_bytes() == BODY


async def test_receive_asks_again_while_nobody_comes(client: Client, origin: FakeOrigin) -> None:
    """404 means that nobody came in this turn."""
    origin.objects["a"] = Object(BODY, etag=None)
    origin.faults.extend([Fault(status=404), Fault(status=404)])
    stream = io.BytesIO()
    assert (await client.receive("a", stream, wait=60)).size == len(BODY)
    assert stream.getvalue() == BODY
    assert len(origin.requests("GET")) == 3


@pytest.mark.parametrize("wait", [None, 0])
async def test_receive_gives_up(
    client: Client, origin: FakeOrigin, tmp_path: Path, wait: float | None
) -> None:
    """When the time is over, nobody came."""
    with pytest.raises(NotThere):
        await client.receive("a", tmp_path, wait=wait)
    assert len(origin.requests("GET")) == 1


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("name", ["f", "."])
async def test_receive_cut(
    client: Client, origin: FakeOrigin, tmp_path: Path, name: str, sized: bool
) -> None:
    """What breaks off leaves nothing, is not asked for again, and the sentence says why."""
    origin.objects["a"] = Object(BODY, etag=None, sized=sized)
    origin.faults.append(Fault(cut=1000))
    with pytest.raises(Interrupted, match="after 1000 bytes; it cannot be resumed") as caught:
        await client.receive("a", tmp_path / name, wait=5)
    assert (caught.value.received, caught.value.exit_code) == (1000, 4)
    assert list(tmp_path.iterdir()) == []
    assert len(origin.requests("GET")) == 1


async def test_receive_of_what_is_stored_is_resumed(
    client: Client, origin: FakeOrigin, tmp_path: Path
) -> None:
    """Who puts instead of sending has an ETag, and the rest can be had."""
    origin.objects["a"] = Object(BODY)
    origin.faults.append(Fault(cut=1000))
    result = await client.receive("a", tmp_path / "f")
    assert (result.size, result.resumed) == (len(BODY), 1)
    assert (tmp_path / "f").read_bytes() == BODY
