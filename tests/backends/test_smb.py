"""Whole objects on an SMB share: the suite over a real Samba, and what only a share has."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from filepipe.errors import BadRequest, ConfigError, Conflict, NotFound, StorageFailed
from filepipe.storage.interface import Naming, Shelf
from filepipe.testing import ShelfSuite, opened, store
from filepipe.testing.shelf_steps import content
from filepipe_backends import smb_share
from filepipe_backends.smb import SmbShelf
from filepipe_backends.smb_names import INSIDE
from tests import smbd
from tests.smbd import Smbd

Make = Callable[[], Shelf]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """The folder of the share that is this test's own."""
    return f"{tmp_path.parent.name}-{tmp_path.name}/below"


@pytest.fixture
def make(samba: Smbd, folder: str, tmp_path: Path) -> Make:
    """Open a shelf on the share."""
    return lambda: SmbShelf(samba.location(folder), tmp_path / "own")


class TestSmb(ShelfSuite):
    """The suite that every shelf passes."""


@pytest.mark.parametrize("security", ["encrypted", "signed"])
async def test_what_protects_the_bytes(
    samba: Smbd, folder: str, tmp_path: Path, security: str
) -> None:
    """An object is the same with each kind of protection."""
    body = os.urandom(3_000_000)
    location = samba.location(folder, security=security)
    async with opened(lambda: SmbShelf(location, tmp_path / "own")) as shelf:
        path = await store(shelf, "a", body, "a")
        assert await content(shelf, path) == body
    assert (samba.share / folder / "a").read_bytes() == body


@pytest.mark.parametrize(
    ("name", "there"),
    [
        (
            'what? "this": a|b<c>*d',
            "what\uf025 \uf020this\uf020\uf022 a\uf027b\uf023c\uf024\uf021d",
        ),
        ("ends with a dot.", "ends with a dot\uf029"),
        ("folder /ends with a space ", "folder\uf028/ends with a space\uf028"),
        ("new\nline", "new\uf00aline"),
    ],
)
async def test_names_that_smb_does_not_have(
    make: Make, samba: Smbd, folder: str, name: str, there: str
) -> None:
    """They are kept; on the share they are as macOS and Linux write them."""
    async with opened(make) as shelf:
        assert await store(shelf, "a", b"body", name) == name
        assert await content(shelf, name) == b"body"
        assert (samba.share / folder / there).read_bytes() == b"body"


@pytest.mark.parametrize("name", ["con", "Aux.txt", "a/COM1.tar.gz", "lpt² .x", "nul /below"])
async def test_names_of_devices(make: Make, name: str) -> None:
    """What Windows could not open is refused at once, and at the end."""
    async with opened(make) as shelf:
        assert isinstance(shelf, Naming)
        with pytest.raises(BadRequest, match="is a device on Windows"):
            shelf.judge(PurePosixPath(name))
        draft = await shelf.begin("a", 4)
        await draft.write(0, b"body")
        with pytest.raises(Conflict, match="is a device on Windows"):
            await draft.publish(PurePosixPath(name), unique=True, size=4)
        await draft.discard()


async def test_names_that_differ_in_case_only(make: Make) -> None:
    """They are one name: a second object gets a number."""
    async with opened(make) as shelf:
        assert await store(shelf, "a", b"first", "Name.txt") == "Name.txt"
        assert await store(shelf, "b", b"second", "nAME.TXT") == "nAME (1).TXT"
        assert await content(shelf, "NAME.txt") == b"first"


@pytest.mark.parametrize("name", [INSIDE, INSIDE.upper(), f"{INSIDE}/x", f"{INSIDE.upper()}/x"])
async def test_the_folder_of_drafts_is_no_place_for_objects(make: Make, name: str) -> None:
    """Nothing is published, read or removed there, however it is spelled."""
    async with opened(make) as shelf:
        draft = await shelf.begin("x", 4)
        await draft.write(0, b"body")
        with pytest.raises(Conflict):
            await draft.publish(PurePosixPath(name), unique=False, size=4)
        with pytest.raises(NotFound):
            await shelf.open(name)
        await shelf.remove(name)
        assert await shelf.drafts() == ["x"]
        await draft.discard()


async def test_a_way_into_the_folder_of_drafts(make: Make, samba: Smbd, folder: str) -> None:
    """A folder that is the folder of drafts by another name is noticed."""
    async with opened(make) as shelf:
        draft = await shelf.begin("x", 4)
        await draft.write(0, b"body")
        (samba.share / folder / "way").symlink_to(INSIDE)
        with pytest.raises(Conflict):
            await draft.publish(PurePosixPath("way/in"), unique=False, size=4)
        with pytest.raises(NotFound):
            await shelf.open("way/x")
        await shelf.remove("way/x")
        assert await shelf.drafts() == ["x"]
        await draft.discard()


async def test_replaced_and_removed_while_it_is_read(make: Make) -> None:
    """The reader gets what it opened, and the name is free at once."""
    body = os.urandom(1_500_000)
    async with opened(make) as shelf:
        await store(shelf, "a", body, "f/name")
        first = await shelf.open("f/name")
        assert await store(shelf, "b", b"second", "f/name", unique=False) == "f/name"
        second = await shelf.open("f/name")
        await shelf.remove("f/name")
        with pytest.raises(NotFound):
            await shelf.open("f/name")
        assert await store(shelf, "c", b"third", "f/name") == "f/name"
        assert await second.read(0, 100) == b"second"
        got = b""
        while part := await first.read(len(got), 1_000_000):
            got += part
        assert got == body
        await first.close()
        await second.close()
        assert await shelf.drafts() == []
        assert await content(shelf, "f/name") == b"third"


async def test_nothing_is_left_beside_the_objects(make: Make, samba: Smbd, folder: str) -> None:
    """After an upload there is its file, and the lock."""
    async with opened(make) as shelf:
        await store(shelf, "a", b"body", "deep/er/name")
        await (await shelf.begin("b", 10)).discard()
        files = sorted(path for path in (samba.share / folder).rglob("*") if path.is_file())
        assert [path.relative_to(samba.share / folder).as_posix() for path in files] == [
            f"{INSIDE}/.lock", "deep/er/name",
        ]  # fmt: skip


async def test_two_daemons(
    samba: Smbd, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one is told at its start; when the first has ended it may."""
    monkeypatch.setattr(smb_share, "YIELD", 0.3)
    async with opened(lambda: SmbShelf(samba.location(folder), tmp_path / "one")) as shelf:
        with pytest.raises(ConfigError, match="another filepipe"):
            SmbShelf(samba.location(folder), tmp_path / "two")
        assert await shelf.check() is None
    await SmbShelf(samba.location(folder), tmp_path / "two").aclose()


async def test_a_session_that_nobody_ended(samba: Smbd, folder: str, tmp_path: Path) -> None:
    """The connection of a daemon that was cut off is ended by its next start."""
    first = SmbShelf(samba.location(folder), tmp_path / "own")
    second = SmbShelf(samba.location(folder), tmp_path / "own")
    assert await second.check() is None
    await second.aclose()
    await first.aclose()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"password": "wrong"}, "refuses the account"),
        ({"user": "nobody-at-all"}, "refuses the account"),
        ({"security": "none"}, "not known"),
        ({"user": ""}, "need a user"),
        ({"security": "rot13"}, "not known"),
        ({"odd": "1"}, "not known"),
    ],
)
def test_what_the_server_or_we_refuse(
    samba: Smbd, tmp_path: Path, change: dict[str, str], reason: str
) -> None:
    """A wrong setting is said before serving, without the password."""
    with pytest.raises(ConfigError, match=reason) as raised:
        SmbShelf(samba.location(**change), tmp_path)
    assert "wrong" not in str(raised.value)


def test_a_share_that_is_not_there(samba: Smbd, tmp_path: Path) -> None:
    """So is a wrong share, and a path that is no folder."""
    with pytest.raises(ConfigError, match="no such share"):
        SmbShelf(samba.location().replace("/shelf/", "/other/"), tmp_path)
    (samba.share / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot be used"):
        SmbShelf(samba.location("file/below"), tmp_path)
    with pytest.raises(ConfigError, match="leads elsewhere"):
        SmbShelf(samba.location("../x"), tmp_path)


async def test_a_share_that_cannot_be_written_to(tmp_path: Path) -> None:
    """That is said at the start, too."""
    smbd.need()
    server = Smbd(tmp_path, more_of_share="    read list = root nobody\n    read only = yes")
    try:
        with pytest.raises(ConfigError, match="may not write"):
            SmbShelf(server.location(), tmp_path)
    finally:
        server.kill()


async def test_a_file_that_is_planted(make: Make, samba: Smbd, folder: str) -> None:
    """A link that leads out of the share is no folder and no object."""
    async with opened(make) as shelf:
        (samba.share / folder / "out").symlink_to("/etc")
        (samba.share / folder / "passwd").symlink_to("/etc/passwd")
        draft = await shelf.begin("a", 4)
        await draft.write(0, b"body")
        with pytest.raises((Conflict, StorageFailed)):
            await draft.publish(PurePosixPath("out/x"), unique=True, size=4)
        for name in ("passwd", "out/passwd"):
            with pytest.raises((NotFound, StorageFailed)):
                await shelf.open(name)
        await draft.discard()


async def test_the_event_loop_waits_for_nothing(make: Make) -> None:
    """Everything that may wait runs on threads of the shelf, and they end with it."""
    async with opened(make) as shelf:
        await asyncio.gather(*(store(shelf, f"u{n}", b"x" * 9000, f"n{n}") for n in range(20)))
        names = {thread.name for thread in threading.enumerate()}
        assert sum(name.startswith("filepipe-smb") for name in names) <= 12
    assert not [t for t in threading.enumerate() if t.name.startswith(("filepipe-smb", "msg_"))]
