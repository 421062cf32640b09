"""Message channels, as a program sees them."""

import io
from pathlib import Path

import pytest

from filepipe.client import BadAddress, Client, ClientError, Interrupted, NotThere, Refused, turns
from tests.client.fake_origin import FakeOrigin, Fault, Object


async def test_put(client: Client, origin: FakeOrigin) -> None:
    """A message goes to the channel's own path, with its type."""
    assert (await client.channels.put("a b/ü", b"hi", content_type="text/x")).size == 2
    (seen,) = origin.requests("POST")
    assert (seen.path, seen.body) == ("/channels/a%20b/%C3%BC", b"hi")
    assert seen.headers["Content-Type"] == "text/x"
    assert seen.headers["Expect"] == "100-continue"


@pytest.mark.parametrize("status", [408, 410, 502])
async def test_put_that_nobody_took(client: Client, origin: FakeOrigin, status: int) -> None:
    """Whatever the reason, it is a refusal, and is not repeated."""
    origin.faults.append(Fault(status=status))
    with pytest.raises(Refused, match=rf"^as the test wishes \({status}\)$"):
        await client.channels.put("a/b", b"hi")
    assert len(origin.requests("POST")) == 1


async def test_get(client: Client, origin: FakeOrigin) -> None:
    """The next message, into a stream."""
    origin.objects["channels/a/b"] = Object(b"hi", etag=None)
    stream = io.BytesIO()
    assert (await client.channels.get("a/b", stream)).size == 2
    assert stream.getvalue() == b"hi"


async def test_wait_in_one_piece(
    client: Client, origin: FakeOrigin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sides keep their place in the line for as long as the server lets them."""
    monkeypatch.setattr(turns, "SHORTEST", 0.01)
    origin.objects["channels/a/b"] = Object(b"hi", etag=None)
    origin.faults.append(Fault(status=408))
    await client.channels.put("a/b", b"hi", wait=600)
    await client.channels.get("a/b", io.BytesIO(), wait=600)
    asked = [int(seen.headers["Prefer"].removeprefix("wait=")) for seen in origin.seen]
    assert len(asked) == 3
    assert min(asked) > 500


async def test_get_nothing(client: Client, origin: FakeOrigin) -> None:
    """When nobody puts, that is a refusal in the server's words."""
    origin.faults.append(Fault(status=408))
    with pytest.raises(Refused, match=r"^as the test wishes \(408\)$"):
        await client.channels.get("a/b", io.BytesIO(), wait=0)


async def test_get_cut(client: Client, origin: FakeOrigin, tmp_path: Path) -> None:
    """Half a message leaves no file; asking again would take the next one, so nobody does."""
    origin.objects["channels/a/b"] = Object(b"0123456789")
    origin.faults.append(Fault(cut=4))
    with pytest.raises(Interrupted, match="after 4 bytes"):
        await client.channels.get("a/b", tmp_path / "f")
    assert list(tmp_path.iterdir()) == []
    assert len(origin.requests("GET")) == 1


async def test_names(client: Client, origin: FakeOrigin) -> None:
    """Namespaces, or the channels of one, in order."""
    origin.objects["channels/namespaces"] = Object(b'["b", "a"]')
    origin.objects["channels/a"] = Object(b'["z", "y"]')
    assert await client.channels.names() == ["a", "b"]
    assert await client.channels.names("a") == ["y", "z"]
    with pytest.raises(NotThere):
        await client.channels.names("c")


@pytest.mark.parametrize("answer", [b"", b"hi", b'"ab"', b"[1]", b'{"a": []}', b"\xff"])
async def test_names_of_another_server(client: Client, origin: FakeOrigin, answer: bytes) -> None:
    """What is no list of names is said to be none."""
    origin.objects["channels/namespaces"] = Object(answer)
    with pytest.raises(ClientError, match="no list of channels"):
        await client.channels.names()


async def test_delete(client: Client, origin: FakeOrigin) -> None:
    """A channel, or a namespace; what is not there is an error."""
    origin.objects["channels/a/b"] = origin.objects["channels/a"] = Object(b"")
    await client.channels.delete("a/b")
    await client.channels.delete("a")
    assert origin.objects == {}
    with pytest.raises(NotThere):
        await client.channels.delete("a")


@pytest.mark.parametrize("channel", ["", "a", "/", "a/", "/a", "a/b/c", "a//b"])
async def test_not_a_channel(client: Client, origin: FakeOrigin, channel: str) -> None:
    """Exactly two parts, or nothing is asked."""
    with pytest.raises(BadAddress, match="is not a channel such as"):
        await client.channels.put(channel, b"")
    assert origin.seen == []


@pytest.mark.parametrize("namespace", ["", "a/b"])
async def test_not_a_namespace(client: Client, origin: FakeOrigin, namespace: str) -> None:
    """Exactly one part."""
    with pytest.raises(BadAddress, match="is not a namespace such as"):
        await client.channels.names(namespace)
    assert origin.seen == []
