"""Objects in a bucket, at a real server."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from filepipe.errors import ConfigError, Conflict
from filepipe.storage.interface import PartDraft, Shelf
from filepipe.storage.plugins import open_shelf
from filepipe.testing import ShelfSuite, opened, store
from filepipe.testing.shelf_steps import MIB, content, fill, streamed
from filepipe_backends.s3 import S3Shelf
from tests.s3 import ACCOUNT, S3


@pytest.fixture
def make(s3: S3, tmp_path: Path) -> Callable[[], Shelf]:
    """Open the shelf of this test."""
    return lambda: S3Shelf(s3.location(), tmp_path / "own")


class TestS3(ShelfSuite):
    """The suite that every shelf passes."""


async def test_a_name_that_is_free(make: Callable[[], Shelf]) -> None:
    """Whoever knows the name from the beginning gets it; the second one gets another."""
    name = PurePosixPath("f/name")
    async with opened(make) as shelf:
        drafts = [await shelf.begin(upload_id, 6 * MIB, name) for upload_id in "ab"]
        for draft, byte in zip(drafts, (b"a", b"b"), strict=True):
            await fill(draft, byte * 6 * MIB)
        paths = [await draft.publish(name, unique=True, size=6 * MIB) for draft in reversed(drafts)]
        assert paths == ["f/name (1)", "f/name"]
        for draft in drafts:
            await draft.discard()
        assert await content(shelf, "f/name") == b"a" * 6 * MIB
        assert await content(shelf, "f/name (1)") == b"b" * 6 * MIB


async def test_a_name_that_is_taken_meanwhile(make: Callable[[], Shelf]) -> None:
    """The other's object stays; ours can have the name when it is free again."""
    name = PurePosixPath("name")
    async with opened(make) as shelf:
        draft = await shelf.begin("a", 4, name)
        await fill(draft, b"ours")
        await store(shelf, "b", b"theirs", "name", unique=False)
        with pytest.raises(Conflict, match="taken the name meanwhile"):
            await draft.publish(name, unique=True, size=4)
        assert await content(shelf, "name") == b"theirs"
        await shelf.remove("name")
        assert await draft.publish(name, unique=True, size=4) == "name"
        await draft.discard()
        assert await content(shelf, "name") == b"ours"


async def test_a_part_that_changes_after_all(make: Callable[[], Shelf]) -> None:
    """A whole that was read, and was not what it should be, is repaired part by part."""
    body = os.urandom(12 * MIB)
    async with opened(make) as shelf:
        draft = await shelf.begin("a", len(body))
        assert isinstance(draft, PartDraft)
        await fill(draft, body)
        assert (await draft.read(0, 9))[:1] == body[:1]
        await draft.store(1, 5 * MIB, streamed(bytes(5 * MIB)))
        await draft.close()
    async with opened(make) as shelf:
        draft = await shelf.reopen("a", len(body))
        changed = body[: 5 * MIB] + bytes(5 * MIB) + body[10 * MIB :]
        assert await draft.read(5 * MIB, 1) == b"\0"
        assert await draft.publish(PurePosixPath("name"), unique=True, size=len(body)) == "name"
        await draft.discard()
        assert await content(shelf, "name") == changed


async def test_one_that_grows_goes_on_after_it_was_read(make: Callable[[], Shelf]) -> None:
    """Its bytes are at the server by then; they stay in it."""
    body = os.urandom(20 * MIB)
    async with opened(make) as shelf:
        draft = await shelf.begin("a", None)
        await draft.write(0, body[: 17 * MIB])
        for _ in range(3):
            await draft.sync()
        assert (await draft.read(3, 9))[:1] == body[3:4]
        await draft.write(17 * MIB, body[17 * MIB :])
        await draft.sync()
        assert await draft.publish(PurePosixPath("name"), unique=True, size=len(body)) == "name"
        await draft.discard()
        assert await content(shelf, "name") == body


async def test_only_what_is_not_sent_is_here(make: Callable[[], Shelf], tmp_path: Path) -> None:
    """The file of a full segment goes once its end was noted, which the next sync shows."""
    async with opened(make) as shelf:
        draft = await shelf.begin("a", None)
        for start in range(0, 32, 4):
            await draft.write(start * MIB, bytes(4 * MIB))
            await draft.sync()
        here = {path.suffix for path in (tmp_path / "own").iterdir()}
        assert here == {".json", ".parts", ".3"}
        await draft.discard()
        assert list((tmp_path / "own").iterdir()) == []


@pytest.mark.parametrize("location", ["", "/prefix", "?region=x"])
def test_a_bucket_has_a_name(location: str, tmp_path: Path) -> None:
    """Without one there is nothing to keep uploads in."""
    with pytest.raises(ConfigError, match="need a bucket"):
        S3Shelf(location, tmp_path)


@pytest.mark.parametrize("options", [{"checksums": "when_supported"}, {"addressing": "path"}])
async def test_ways_of_speaking(s3: S3, tmp_path: Path, options: dict[str, str]) -> None:
    """What a server may need to be told does not change what is kept."""
    body = os.urandom(6 * MIB)
    async with opened(lambda: S3Shelf(s3.location(**options), tmp_path)) as shelf:
        for number, name in enumerate((None, PurePosixPath("b"))):
            draft = await shelf.begin(f"u{number}", len(body), name)
            await fill(draft, body)
            path = await draft.publish(name or PurePosixPath("a"), unique=True, size=len(body))
            await draft.discard()
            assert await content(shelf, path) == body


@pytest.mark.parametrize("option", ["account", "secret"])
def test_half_an_account(option: str, tmp_path: Path) -> None:
    """It is a wrong setting, and not one that is looked for elsewhere."""
    with pytest.raises(ConfigError, match="both its name and its secret"):
        S3Shelf(f"bucket/?{option}=x", tmp_path)


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has to be installed is said."""
    monkeypatch.setitem(sys.modules, "aiobotocore.config", None)
    for name in [name for name in sys.modules if name.startswith("filepipe_backends.s3")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ConfigError, match=r"install it with pip install 'filepipe\[s3\]'$"):
        open_shelf("s3:bucket", tmp_path)


async def test_credentials_of_a_session(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token of the environment goes with the account of the environment."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token")
    shelf = S3Shelf(s3.location(downloads="redirect"), tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    assert "a-token" not in (await shelf.address("a", "a") or "")
    await shelf.aclose()
    shelf = S3Shelf(s3.location(downloads="redirect"), tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCOUNT)
    assert "a-token" in (await shelf.address("a", "a") or "")
    await shelf.aclose()
