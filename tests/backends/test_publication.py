"""A draft gets its name in one step: whole or not at all, once, and the same after a crash."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from filepipe.errors import Conflict, DiskFull, FilepipeError, StorageFailed
from filepipe.storage.interface import Shelf
from filepipe.testing import ShelfSuite, opened, store
from filepipe_backends import publication
from filepipe_backends.publication import names
from tests.backends import crashing
from tests.backends.conftest import Failing

NAME = "some/folder/name.txt"
NUMBERED = "some/folder/name (1).txt"


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system where a file has one name."""
    monkeypatch.setattr(os, "link", crashing.no_links)


@pytest.mark.usefixtures("no_links")
class TestLocalWithoutLinks(ShelfSuite):
    """The suite on a file system that knows no hard links."""


@pytest.mark.parametrize(
    ("name", "second"),
    [
        ("a", "a (1)"),
        ("a.txt", "a (1).txt"),
        ("a.tar.gz", "a (1).tar.gz"),
        ("a.b.gz", "a.b (1).gz"),
        (".profile", ".profile (1)"),
        ("a (1).txt", "a (1) (1).txt"),
        ("x" * 255, "x" * 251 + " (1)"),
        ("x" * 251 + ".txt", "x" * 247 + " (1).txt"),
        ("é" * 127, "é" * 125 + " (1)"),
        ("a." + "x" * 253, "a." + "x" * 249 + " (1)"),
    ],
)
def test_a_number_is_added_before_the_suffix(name: str, second: str) -> None:
    """The second name has the first one's suffix, whole characters, and no more than 255 bytes."""
    several = list(names(name, "last" * 16))
    assert several[:2] == [name, second]
    assert len(set(several)) == len(several) == publication.NUMBERS + 1
    assert all(len(one.encode()) <= 255 for one in several)
    assert "lastlast" in several[-1]


@pytest.mark.parametrize("links", [True, False])
async def test_all_numbers_taken(
    make: Callable[[], Shelf], monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """The draft's own handle makes the name unique then; where even that is taken, it says so."""
    if not links:
        monkeypatch.setattr(os, "link", crashing.no_links)
    monkeypatch.setattr(publication, "NUMBERS", 3)
    async with opened(make) as shelf:
        paths = [await store(shelf, f"u{number}", b"", "a.b") for number in range(5)]
        assert paths == ["a.b", "a (1).b", "a (2).b", "a (u3).b", "a (u4).b"]
        draft = await shelf.begin("u4", 0)
        with pytest.raises(Conflict, match="taken"):
            await draft.publish(PurePosixPath("a.b"), unique=True, size=0)
        await draft.discard()


@pytest.mark.parametrize("way", ["links", "moves"])
@pytest.mark.parametrize("mode", ["unique", "replace"])
def test_a_crash_before_each_system_call(tmp_path: Path, mode: str, way: str) -> None:
    """Wherever it ended, no part is seen, and the second try ends as if there had been one."""
    command = [sys.executable, crashing.__file__, str(tmp_path), mode, way]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    expected = [NUMBERED, NUMBERED, NAME] if mode == "unique" else [NAME, NAME]
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(lines) > 10
    assert lines == [expected] * len(lines)


@pytest.mark.parametrize("way", ["links", "moves"])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("mode", ["unique", "replace"])
async def test_each_system_call_fails(
    make: Callable[[], Shelf], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    mode: str, code: int, way: str,
) -> None:  # fmt: skip
    """Whichever call fails, the named error comes, and nothing new is seen, or all of it."""
    error = StorageFailed if code == errno.EIO else DiskFull
    if way == "moves":
        monkeypatch.setattr(os, "link", crashing.no_links)
    seen = 0
    for call in ("fsync", "open", "mkdir", "link", "rename", "write", "stat", "dup"):
        for number in range(1, 10):
            (tmp_path / "objects").mkdir(exist_ok=True)
            (tmp_path / "objects" / "name").write_bytes(b"older")
            failed = await _fails(make, monkeypatch, (call, number, code), mode == "unique")
            found = {p: p.read_bytes() for p in (tmp_path / "objects").rglob("*") if p.is_file()}
            for path in found:
                path.unlink()
            if failed is None:
                break
            assert type(failed) is error, (call, number, failed)
            assert "secret" not in str(failed)
            bodies = list(found.values())
            assert bodies == [b"older"] or (bodies == [b"whole"] and mode == "replace"), call
            seen += 1
    assert seen >= 5


async def _fails(
    make: Callable[[], Shelf], patch: pytest.MonkeyPatch, fault: tuple[str, int, int], unique: bool
) -> FilepipeError | None:
    """Publish with the fault; the error, or None when so many calls were never made."""
    call, number, code = fault
    async with opened(make) as shelf:
        draft = await shelf.begin("draft", 5)
        await draft.write(0, b"whole")
        with patch.context() as during:
            failing = Failing(during, call, code, number)
            try:
                await draft.publish(PurePosixPath("name"), unique=unique, size=5)
            except FilepipeError as error:
                return error
            finally:
                await draft.discard()
    assert not failing.failed, "a failure was not noticed"
    return None


async def test_a_published_name_was_flushed(
    make: Callable[[], Shelf], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The file comes first, then its name; every folder on the way, also one that was there."""
    steps: list[Any] = []

    def note(call: str) -> None:
        real = getattr(os, call)

        def noted(*args: Any, **more: Any) -> Any:
            steps.append(os.readlink(f"/proc/self/fd/{args[0]}") if call == "fsync" else call)
            return real(*args, **more)

        monkeypatch.setattr(os, call, noted)

    if sys.platform != "linux":
        pytest.skip("descriptors are named by /proc, on Linux only")
    async with opened(make) as shelf:
        draft = await shelf.begin("draft", 0)
        (tmp_path / "objects" / "some").mkdir()
        note("fsync")
        note("link")
        await draft.publish(PurePosixPath(NAME), unique=True, size=0)
        monkeypatch.undo()
        await draft.discard()
    root = str(tmp_path / "objects")
    folders = [root, f"{root}/some", "link", f"{root}/some/folder"]
    assert steps == [str(tmp_path / "own/parts/draft"), *folders]


async def test_a_second_draft_of_an_id(make: Callable[[], Shelf]) -> None:
    """A retry is known by its file, not by its id: a new draft of the same id is a new object."""
    async with opened(make) as shelf:
        assert await store(shelf, "a", b"one", "name") == "name"
        assert await store(shelf, "a", b"two", "name") == "name (1)"
