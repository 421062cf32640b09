"""The client against an origin that behaves, and one that refuses."""

import asyncio
import io
import socket
import struct
from pathlib import Path

import pytest

from filepipe.client import (
    BadAddress,
    Busy,
    Client,
    Interrupted,
    NotThere,
    RangeRefused,
    Refused,
    SourceChanged,
    Unreachable,
)
from tests.client.fake_origin import FakeOrigin, Fault, Object
from tests.client.raw_server import patient

BIG = bytes(range(256)) * 4096 * 5


async def _read(client: Client, key: str, **options: object) -> bytes:
    async with client.get(key, **options) as download:
        return b"".join([chunk async for chunk in download])


async def _read_into(client: Client, key: str, target: io.BytesIO) -> None:
    async with client.get(key) as download:
        async for chunk in download:
            target.write(chunk)


async def test_put_bytes_announces_their_length(client: Client, origin: FakeOrigin) -> None:
    """Known bytes go with Content-Length and without a type that nobody named."""
    result = await client.put("a", b"hello")
    (seen,) = origin.requests("PUT")
    assert (result.url, result.size) == (f"{origin.url}/a?t=1", 5)
    assert seen.body == b"hello"
    assert seen.headers["Content-Length"] == "5"
    assert "Content-Type" not in seen.headers
    assert "Expect" not in seen.headers


async def test_put_nothing(client: Client, origin: FakeOrigin) -> None:
    """No bytes are an object too, of length 0."""
    assert (await client.put("a", b"")).size == 0
    assert origin.requests("PUT")[0].headers["Content-Length"] == "0"


async def test_put_tells_type_name_and_age(client: Client, origin: FakeOrigin) -> None:
    """What the caller knows about the object goes into the request."""
    await client.put("a", b"x", content_type="text/plain", filename="ü.txt", max_age=60)
    (seen,) = origin.requests("PUT")
    assert seen.headers["Content-Type"] == "text/plain"
    assert "filename*=UTF-8''%C3%BC.txt" in seen.headers["Content-Disposition"]
    assert seen.path == "/a?max-age=60"


async def test_put_a_file(client: Client, origin: FakeOrigin, tmp_path: Path) -> None:
    """A regular file goes with its length, a large one only after the server said yes."""
    path = tmp_path / "f"
    path.write_bytes(BIG)
    assert (await client.put("a", path)).size == len(BIG)
    (seen,) = origin.requests("PUT")
    assert seen.body == BIG
    assert seen.headers["Content-Length"] == str(len(BIG))
    assert seen.headers["Expect"] == "100-continue"


async def test_put_a_stream_from_where_it_stands(client: Client, origin: FakeOrigin) -> None:
    """Of an open stream the rest is sent."""
    stream = io.BytesIO(b"0123456789")
    stream.seek(4)
    assert (await client.put("a", stream)).size == 6
    assert origin.requests("PUT")[0].body == b"456789"


async def test_put_an_iterable_is_chunked(client: Client, origin: FakeOrigin) -> None:
    """Without a length the body is chunked."""

    async def chunks():
        yield b"ab"
        yield b"cd"

    assert (await client.put("a", chunks())).size == 4
    (seen,) = origin.requests("PUT")
    assert seen.headers["Transfer-Encoding"] == "chunked"
    assert seen.headers["Expect"] == "100-continue"
    assert seen.body == b"abcd"


async def test_put_encodes_the_key(client: Client, origin: FakeOrigin) -> None:
    """A key is percent-encoded, its slashes stay."""
    await client.put("a b/ü?#%2F", b"x")
    assert origin.requests("PUT")[0].path == "/a%20b/%C3%BC%3F%23%252F"


async def test_put_answered_without_a_word(client: Client, origin: FakeOrigin) -> None:
    """A server that does not say where it is gets believed to be where we asked."""
    origin.silent_put = True
    assert (await client.put("a", b"x", max_age=5)).url == f"{origin.url}/a"


async def test_put_of_a_used_key_sends_no_body(client: Client, origin: FakeOrigin) -> None:
    """A refusal instead of 100 Continue is reported, and nothing of the source is read."""
    origin.refuse = 409
    read = []

    async def chunks():
        read.append(1)
        yield b"x"

    with pytest.raises(Busy, match=r"^the key is in use \(409\)$") as caught:
        await client.put("a", chunks())
    assert caught.value.status == 409
    assert read == []


@pytest.mark.parametrize("attempt", range(10))
async def test_put_refused_by_a_server_that_hangs_up(attempt: int) -> None:
    """Whoever answers 409, reads nothing and resets the line is still understood."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 409 Conflict\r\nContent-Length: 7\r\n\r\nin use\n")
        await writer.drain()
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()

    async def chunks():
        for _ in range(1024):
            yield bytes(1024)

    server = await asyncio.start_server(patient(refuse), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Client(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(Busy, match="in use"):
            await client.put("a", chunks(), length=1024 * 1024)


async def test_put_to_a_server_that_knows_no_continue() -> None:
    """The body goes out after a moment although nobody asked for it."""

    async def store(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readuntil(b"0\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def chunks():
        yield b"x"

    server = await asyncio.start_server(patient(store), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Client(f"http://127.0.0.1:{port}") as client:
        assert (await client.put("a", chunks())).size == 1


async def test_put_cut_by_the_server() -> None:
    """A connection that breaks while sending is an interruption with the bytes that went out."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async def endless():
        while True:
            yield bytes(65536)

    server = await asyncio.start_server(patient(hang_up), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Client(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(Interrupted, match=r"the connection broke after [0-9]+ bytes"):
            await client.put("a", endless(), length=2**40)


async def test_put_answered_before_its_end() -> None:
    """A 200 for half a body is no success."""

    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await reader.read()
        writer.close()

    async def slow():
        yield b"x"
        await asyncio.Event().wait()

    server = await asyncio.start_server(patient(hasty), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Client(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(Interrupted, match="the server ended the upload"):
            await client.put("a", slow())


@pytest.mark.parametrize(("length", "what"), [(4, "3 of"), (2, "more than")])
async def test_put_of_other_bytes_than_announced(
    client: Client, origin: FakeOrigin, length: int, what: str
) -> None:
    """A source that does not keep its word breaks the upload, and says that it was the source."""

    async def chunks():
        yield b"abc"

    with pytest.raises(SourceChanged, match=f"{what} the {length} bytes"):
        await client.put("a", chunks(), length=length)
    assert origin.objects == {}


async def test_put_of_a_source_that_fails(client: Client, origin: FakeOrigin) -> None:
    """What the source raises comes out as it is, and the server keeps nothing."""

    async def chunks():
        yield b"abc"
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        await client.put("a", chunks())
    assert origin.objects == {}


async def test_get_everything(client: Client, origin: FakeOrigin) -> None:
    """A download has what the headers say, and all bytes."""
    about = {"Content-Type": "text/x", "Content-Disposition": 'attachment; filename="f.txt"'}
    origin.objects["a"] = Object(BIG, headers=about)
    async with client.get("a") as download:
        assert (download.status, download.offset, download.length) == (200, 0, len(BIG))
        assert (download.etag, download.filename) == ('"one"', "f.txt")
        assert download.content_type == "text/x"
        assert b"".join([chunk async for chunk in download]) == BIG


async def test_get_leaves_the_coding_alone(client: Client, origin: FakeOrigin) -> None:
    """What was stored compressed comes back compressed, and nobody is invited to compress."""
    origin.objects["a"] = Object(b"not gzip", headers={"Content-Encoding": "gzip"})
    assert await _read(client, "a") == b"not gzip"
    assert origin.requests("GET")[0].headers["Accept-Encoding"] == "identity"


async def test_get_the_rest(client: Client, origin: FakeOrigin) -> None:
    """An offset asks for a range of the object that the ETag names."""
    origin.objects["a"] = Object(b"0123456789")
    async with client.get("a", offset=6, etag='"one"') as download:
        assert (download.status, download.offset, download.length) == (206, 6, 10)
        assert b"".join([chunk async for chunk in download]) == b"6789"
    async with client.get("a", offset=6, etag='"two"') as download:
        assert (download.status, download.offset) == (200, 0)
    with pytest.raises(RangeRefused) as caught:
        await _read(client, "a", offset=10)
    assert caught.value.length == 10


async def test_get_without_a_length(client: Client, origin: FakeOrigin) -> None:
    """A growing object has no length yet."""
    origin.objects["a"] = Object(b"abc", sized=False)
    async with client.get("a", offset=1) as download:
        assert (download.offset, download.length) == (1, None)
        assert b"".join([chunk async for chunk in download]) == b"bc"


@pytest.mark.parametrize("sized", [True, False])
async def test_get_cut_off(client: Client, origin: FakeOrigin, sized: bool) -> None:
    """A body that ends early raises after the bytes that came."""
    origin.objects["a"] = Object(b"0123456789", sized=sized)
    origin.faults.append(Fault(cut=4))
    got = io.BytesIO()
    with pytest.raises(Interrupted, match="broke after 4 bytes") as caught:
        await _read_into(client, "a", got)
    assert got.getvalue() == b"0123"
    assert caught.value.received == 4


async def test_get_waits_as_told(client: Client, origin: FakeOrigin) -> None:
    """The server does the waiting, in seconds."""
    with pytest.raises(NotThere, match=r"^nothing is there \(404\)$"):
        await _read(client, "a", wait=0.5)
    assert origin.requests("GET")[0].path == "/a?wait=0.5"


async def test_get_from_a_silent_server(origin: FakeOrigin) -> None:
    """With a timeout, silence ends."""
    origin.faults.append(Fault(hang=True))
    async with Client(origin.url, timeout=0.05) as client:
        with pytest.raises(Unreachable, match="silent"):
            await _read(client, "a")


async def test_head(client: Client, origin: FakeOrigin) -> None:
    """HEAD tells length, or how far the upload is."""
    origin.objects["a"] = Object(b"abc")
    origin.objects["b"] = Object(b"abc", sized=False, etag='W/"weak"')
    known, growing = await client.head("a"), await client.head("b")
    assert (known.length, known.offset, known.etag) == (3, None, '"one"')
    assert (growing.length, growing.offset, growing.etag) == (None, 3, None)
    with pytest.raises(NotThere, match="not found"):
        await client.head("c")


async def test_delete(client: Client, origin: FakeOrigin) -> None:
    """DELETE removes, once."""
    origin.objects["a"] = Object(b"abc")
    await client.delete("a")
    with pytest.raises(NotThere):
        await client.delete("a")


async def test_nobody_listens() -> None:
    """A closed port is unreachable, in one sentence without secrets."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        async with Client(f"http://user:secret@127.0.0.1:{port}") as client:
            with pytest.raises(Unreachable) as caught:
                await client.head("a")
    expected = f"cannot reach http://127.0.0.1:{port}: Connection refused"
    assert str(caught.value) == expected


async def test_not_http() -> None:
    """A port that speaks something else is unreachable too."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(patient(greet), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Client(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(Unreachable, match="does not speak HTTP"):
            await client.head("a")


async def test_a_server_that_says_nothing() -> None:
    """A connection that closes without an answer is unreachable."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(patient(hang_up), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Client(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(Unreachable, match="gave no answer"):
            await client.head("a")


async def test_other_refusals(client: Client, origin: FakeOrigin) -> None:
    """Any other status is a refusal with its number."""
    origin.refuse = 507
    with pytest.raises(Refused, match=r"\(507\)") as caught:
        await client.put("a", b"x")
    assert type(caught.value) is Refused


async def test_outside_its_block(origin: FakeOrigin) -> None:
    """A client that is not open says how to open it."""
    with pytest.raises(RuntimeError, match="async context manager"):
        await Client(origin.url).head("a")


def test_a_url_that_is_none() -> None:
    """A wrong URL is noticed when the client is made."""
    with pytest.raises(BadAddress):
        Client("localhost:3000")
