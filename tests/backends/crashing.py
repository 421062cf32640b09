"""Publishes a draft in a child process that ends in the middle, and once more in a new one.

Arguments: folder, unique|replace, links|moves. Prints, for each system call of `publish` before
which the child ended, a line: the name that the second try got, and all names that are there.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import itertools
import os
import sys
from pathlib import Path, PurePosixPath
from typing import Any

from filepipe.testing import opened, store
from filepipe_backends.local import LocalShelf

CALLS = ("fsync", "open", "mkdir", "link", "rename", "unlink", "write", "stat", "close")
NAME = PurePosixPath("some/folder/name.txt")
BODY = b"whole" * 1000


def shelf_in(folder: Path) -> LocalShelf:
    """Open the shelf."""
    return LocalShelf(str(folder / "objects"), folder / "parts")


def no_links(*_args: Any, **_more: Any) -> None:
    """Stand in for `os.link` where the file system has none."""
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def end_before(number: int) -> None:
    """From now on, end the process before its `number`th system call."""
    count = itertools.count(1)

    def counted(real: Any, *args: Any, **more: Any) -> Any:
        if next(count) == number:
            os._exit(9)
        return real(*args, **more)

    for call in CALLS:
        setattr(os, call, functools.partial(counted, getattr(os, call)))


async def first(folder: Path, unique: bool, number: int) -> None:
    """Write and publish, as far as it goes."""
    async with opened(lambda: shelf_in(folder)) as shelf:
        await store(shelf, "older", b"older", str(NAME))
        draft = await shelf.begin("draft", len(BODY))
        await draft.write(0, BODY)
        await draft.sync()
        end_before(number)
        await draft.publish(NAME, unique=unique, size=len(BODY))


async def second(folder: Path, unique: bool) -> str:
    """Go on after the crash; the path."""
    async with opened(lambda: shelf_in(folder)) as shelf:
        assert await shelf.drafts() == ["draft"]
        for path in (folder / "objects").rglob("*.txt"):
            assert path.read_bytes() in (b"older", BODY), "a part was published"
        draft = await shelf.reopen("draft", len(BODY))
        path = await draft.publish(NAME, unique=unique, size=len(BODY))
        await draft.discard()
        assert await shelf.drafts() == []
        assert (folder / "objects" / path).read_bytes() == BODY
        return path


def main() -> None:
    """Run the child once for each system call, until it gets through."""
    base, unique = Path(sys.argv[1]), sys.argv[2] == "unique"
    if sys.argv[3] == "moves":
        os.link = no_links
    for number in itertools.count(1):
        folder = base / str(number)
        child = os.fork()
        if not child:
            asyncio.run(first(folder, unique, number))
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        path = asyncio.run(second(folder, unique))
        objects = folder / "objects"
        names = sorted(str(p.relative_to(objects)) for p in objects.rglob("*") if p.is_file())
        print(path, *names, sep="\t", flush=True)
        if status == 0:
            return
        assert status == 9, status


if __name__ == "__main__":
    main()
