"""Trouble between us and the server: nothing acknowledged is lost, nothing partial has a name."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path, PurePosixPath

import pytest

from filepipe.errors import BadRequest, FilepipeError, StorageFailed, Unavailable
from filepipe.storage.interface import PartDraft, Shelf
from filepipe.testing.shelf_steps import MIB, content, fill, store, streamed
from filepipe_backends import s3_bucket, s3_copies, s3_sending
from filepipe_backends.s3 import S3Shelf
from tests.s3 import S3
from tests.s3_proxy import Kind, Proxy, proxied

NAME = PurePosixPath("folder/name")
BODY = os.urandom(6 * MIB)
COMPLETE, PART = "uploadId=", "partNumber="


@pytest.fixture(scope="module")
def running(s3_server: S3) -> Iterator[Proxy]:
    """One proxy for all of these tests."""
    with proxied(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def proxy(running: Proxy) -> Iterator[Proxy]:
    """The proxy, harmless before and after."""
    running.seen.clear()
    yield running
    running.harms.clear()


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library tries once more, and not for seconds."""
    monkeypatch.setattr(s3_bucket, "ATTEMPTS", 2)


@pytest.fixture
async def shelf(s3: S3, proxy: Proxy, tmp_path: Path) -> AsyncIterator[Shelf]:
    """A shelf behind the proxy."""
    shelf = S3Shelf(s3.behind(proxy.endpoint).location(), tmp_path / "own")
    yield shelf
    await shelf.aclose()


async def drafted(shelf: Shelf, *, named: bool, body: bytes = BODY) -> PartDraft:
    """A draft with all its parts."""
    draft = await shelf.begin("a", len(body), NAME if named else None)
    await fill(draft, body)
    assert isinstance(draft, PartDraft)
    return draft


@pytest.mark.parametrize("kind", ["reset", "500", "error in 200", "lost", "denied"])
async def test_a_part_that_is_not_stored(shelf: Shelf, proxy: Proxy, kind: Kind) -> None:
    """Its sender hears of it in one sentence, and the same part can come again."""
    draft = await shelf.begin("a", len(BODY), NAME)
    assert isinstance(draft, PartDraft)
    proxy.harm(kind, "PUT", PART)
    with pytest.raises(StorageFailed if kind == "denied" else Unavailable) as caught:
        await draft.store(0, 5 * MIB, streamed(BODY[: 5 * MIB]))
    assert str(caught.value).startswith("the storage ")
    await fill(draft, BODY)
    assert await draft.publish(NAME, unique=True, size=len(BODY)) == str(NAME)
    await draft.discard()
    assert await content(shelf, str(NAME)) == BODY


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("kind", ["reset", "lost", "500", "error in 200", "truncated", "slow"])
async def test_an_answer_to_the_completion(
    shelf: Shelf, proxy: Proxy, kind: Kind, named: bool
) -> None:
    """Whatever comes of it, one whole object gets the name, and just one."""
    draft = await drafted(shelf, named=named)
    proxy.harm(kind, "POST", COMPLETE)
    assert await draft.publish(NAME, unique=True, size=len(BODY)) == str(NAME)
    await draft.discard()
    assert await content(shelf, str(NAME)) == BODY
    assert await shelf.drafts() == []
    assert await store(shelf, "b", b"other", str(NAME)) == "folder/name (1)"


@pytest.mark.parametrize("kind", ["reset", "lost", "500", "error in 200", "truncated"])
async def test_an_answer_to_the_copy(shelf: Shelf, proxy: Proxy, kind: Kind) -> None:
    """The whole that has no name yet gets one, once."""
    draft = await drafted(shelf, named=False)
    proxy.harm(kind, "PUT", "folder/name")
    assert await draft.publish(NAME, unique=True, size=len(BODY)) == str(NAME)
    await draft.discard()
    assert await content(shelf, str(NAME)) == BODY


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("kind", ["reset", "500", "error in 200", "denied"])
async def test_a_server_that_stays_away(
    shelf: Shelf, proxy: Proxy, kind: Kind, named: bool
) -> None:
    """There is one sentence, and no object; when it is back the same draft gets its name."""
    draft = await drafted(shelf, named=named)
    harm = proxy.harm(kind, "POST", COMPLETE, times=99)
    with pytest.raises(FilepipeError) as caught:
        await draft.publish(NAME, unique=True, size=len(BODY))
    assert str(caught.value).startswith("the storage ")
    with pytest.raises(FilepipeError):
        await shelf.open(str(NAME))
    harm.times = 0
    assert await draft.publish(NAME, unique=True, size=len(BODY)) == str(NAME)
    await draft.discard()
    assert await content(shelf, str(NAME)) == BODY


@pytest.mark.parametrize("size", [None, len(BODY)])
@pytest.mark.parametrize("named", [True, False])
async def test_a_restart_after_a_lost_answer(
    shelf: Shelf, s3: S3, tmp_path: Path, proxy: Proxy, named: bool, size: int | None
) -> None:
    """Nobody heard that the object was made; it is found, and has its name once."""
    draft = await shelf.begin("a", size, NAME if named else None)
    await fill(draft, BODY, len(BODY))
    harms = [proxy.harm("lost", "POST", COMPLETE, 99), proxy.harm("reset", "HEAD", "", 99)]
    with pytest.raises(Unavailable):
        await draft.publish(NAME, unique=True, size=len(BODY))
    await draft.close()
    for harm in harms:
        harm.times = 0
    again = S3Shelf(s3.location(), tmp_path / "own")
    draft = await again.reopen("a", size)
    assert await draft.publish(NAME, unique=True, size=len(BODY)) == str(NAME)
    await draft.discard()
    assert await again.drafts() == []
    await again.aclose()
    assert await content(shelf, str(NAME)) == BODY


@pytest.mark.parametrize("named", [True, False])
async def test_a_server_without_conditions(shelf: Shelf, proxy: Proxy, named: bool) -> None:
    """It is asked once whether it knows them, and then without; it is looked at before."""
    draft = await drafted(shelf, named=named)
    proxy.harm("unknown", "POST" if named else "PUT", COMPLETE if named else "folder/name")
    assert await draft.publish(NAME, unique=True, size=len(BODY)) == str(NAME)
    await draft.discard()
    assert await content(shelf, str(NAME)) == BODY
    assert await store(shelf, "b", b"other", str(NAME)) == "folder/name (1)"


async def test_a_completion_copies_nothing(shelf: Shelf, proxy: Proxy) -> None:
    """An object that knows its name gets it in one request, however large it is."""
    draft = await drafted(shelf, named=True)
    proxy.seen.clear()
    await draft.publish(NAME, unique=True, size=len(BODY))
    await draft.discard()
    assert [line.split()[0] for line in proxy.seen] == ["POST", "HEAD"]


@pytest.mark.parametrize("kind", ["none", "500", "lost"])
async def test_a_large_copy(
    shelf: Shelf, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    """It takes several requests; what is begun is ended, and the whole is all of it."""
    monkeypatch.setattr(s3_copies, "LARGEST", 5 * MIB)
    monkeypatch.setattr(s3_copies, "SPAN", 5 * MIB)
    draft = await drafted(shelf, named=False)
    if kind != "none":
        proxy.harm(kind, "PUT", "partNumber=2", times=99)
        with pytest.raises(Unavailable):
            await draft.publish(NAME, unique=True, size=len(BODY))
        proxy.harms.clear()
    assert await draft.publish(NAME, unique=True, size=len(BODY)) == str(NAME)
    await draft.discard()
    assert await content(shelf, str(NAME)) == BODY
    assert any("partNumber=2" in line and "folder/name" in line for line in proxy.seen)


async def test_a_reader_of_what_is_removed(shelf: Shelf, proxy: Proxy) -> None:
    """It hears that this is the end, as one whose server stays away does."""
    path = await store(shelf, "a", BODY, str(NAME))
    kept = await shelf.open(path)
    harm = proxy.harm("reset", "GET", "folder/name", times=99)
    with pytest.raises(StorageFailed, match="middle of an object"):
        await kept.read(0, 10)
    harm.times = 0
    await shelf.remove(path)
    with pytest.raises(StorageFailed, match="replaced"):
        await kept.read(0, 10)
    await kept.close()


@pytest.mark.parametrize("kind", ["reset", "truncated", "500"])
async def test_a_reader_goes_on(shelf: Shelf, proxy: Proxy, kind: Kind) -> None:
    """A stream that breaks is opened again where it broke."""
    path = await store(shelf, "a", BODY, str(NAME))
    proxy.harm(kind, "GET", "folder/name")
    assert await content(shelf, path) == BODY


async def test_a_reader_of_what_is_replaced(shelf: Shelf) -> None:
    """It gets the one that it began with, or an end with a reason; never a mixture."""
    path = await store(shelf, "a", BODY, str(NAME))
    kept = await shelf.open(path)
    assert await kept.read(0, 10) == BODY[:10]
    await store(shelf, "b", bytes(len(BODY)), path, unique=False)
    with pytest.raises(StorageFailed, match="replaced"):
        await kept.read(MIB, 10)
    await kept.close()


async def test_a_server_that_takes_nothing(
    shelf: Shelf, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for it gives up in time; whoever waits for the sender does not."""
    monkeypatch.setattr(s3_sending, "STALL", 0.3)
    draft = await shelf.begin("a", len(BODY), NAME)
    assert isinstance(draft, PartDraft)
    proxy.harm("hang", "PUT", PART)
    with pytest.raises(Unavailable, match="cannot be reached"):
        await draft.store(0, 5 * MIB, streamed(BODY[: 5 * MIB]))
    proxy.release()
    monkeypatch.setattr(s3_sending, "STALL", 2.5)  # enough for a server on a machine that is busy

    async def slow() -> AsyncIterator[bytes]:
        yield BODY[:MIB]
        await asyncio.sleep(3.0)
        yield BODY[MIB:]

    await draft.store(0, len(BODY), slow())
    await draft.publish(NAME, unique=True, size=len(BODY))
    await draft.discard()
    assert await content(shelf, str(NAME)) == BODY


async def test_a_sender_who_leaves(shelf: Shelf) -> None:
    """What the sender's side says is what is raised, and the part is not there."""
    draft = await shelf.begin("a", len(BODY), NAME)
    assert isinstance(draft, PartDraft)

    async def leaving() -> AsyncIterator[bytes]:
        yield BODY[:MIB]
        raise ConnectionResetError("the sender left")

    with pytest.raises(ConnectionResetError, match="the sender left"):
        await draft.store(0, len(BODY), leaving())
    with pytest.raises(StorageFailed):
        await draft.publish(NAME, unique=True, size=len(BODY))
    await fill(draft, BODY)
    await draft.publish(NAME, unique=True, size=len(BODY))
    await draft.discard()


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_body_that_does_not_end_well(shelf: Shelf, at_once: bool) -> None:
    """What is wrong behind the last byte that was announced is known before that is sent."""
    draft = await shelf.begin("a", len(BODY), NAME)
    assert isinstance(draft, PartDraft)

    async def too_long() -> AsyncIterator[bytes]:
        for start in range(0, len(BODY), len(BODY) if at_once else MIB):
            yield BODY[start : start + (len(BODY) if at_once else MIB)]
        raise BadRequest("more than was announced")

    with pytest.raises(BadRequest):
        await draft.store(0, len(BODY), too_long())
    with pytest.raises(StorageFailed):
        await draft.publish(NAME, unique=True, size=len(BODY))
    await draft.discard()


async def test_leftovers_of_bad_times(shelf: Shelf, proxy: Proxy) -> None:
    """What began, or ended, while the server was away claims no name, and goes when it is back."""
    kept = await shelf.begin("kept", len(BODY), NAME)
    harms = [proxy.harm("reset", method, times=99) for method in ("GET", "POST", "DELETE")]
    with pytest.raises(Unavailable):
        await shelf.begin("new", len(BODY), PurePosixPath("other"))
    await kept.discard()
    assert await shelf.drafts() == ["kept", "new"]
    for harm in harms:
        harm.times = 0
    for upload_id, name in (("a", NAME), ("b", PurePosixPath("other"))):
        draft = await shelf.begin(upload_id, len(BODY), name)
        assert await shelf.drafts() == [upload_id]
        await fill(draft, BODY)
        proxy.seen.clear()
        assert await draft.publish(name, unique=True, size=len(BODY)) == str(name)
        assert len(proxy.seen) == 2, "it was not begun for its name"
        await draft.discard()


async def test_a_server_that_cannot_be_reached(s3: S3, tmp_path: Path) -> None:
    """Every call says so; what is noted here stays for when it is back."""
    shelf = S3Shelf(s3.behind("http://127.0.0.1:1").location(), tmp_path / "own")
    for call in (shelf.begin("a", 5), shelf.open("a"), shelf.remove("a")):
        with pytest.raises(Unavailable, match="cannot be reached"):
            await call
    assert "cannot be reached" in (await shelf.check() or "")
    assert await shelf.drafts() == ["a"]
    await shelf.aclose()
    shelf = S3Shelf(s3.location(), tmp_path / "own")
    await shelf.drop("a")
    assert await shelf.drafts() == []
    await shelf.aclose()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [({"secret": "wrong"}, "refuses our account"), ({"bucket": "none"}, "does not exist")],
)
async def test_a_setting_that_is_wrong(
    s3: S3, tmp_path: Path, options: dict[str, str], sentence: str
) -> None:
    """The check of health says which, without names."""
    bucket = options.pop("bucket", None)
    location = s3.location(**options)
    if bucket:
        location = bucket + location[location.index("/") :]
    shelf = S3Shelf(location, tmp_path / "own")
    assert sentence in (await shelf.check() or "")
    await shelf.aclose()
