"""Uploads without end on a local shelf in a process that is there to be killed, and their judge.

As a program: reads a line of JSON that says what is to be gone on with, and prints what is done,
each line only when it is durable: `begun U`, `part U N`, `published U PATH`.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from filepipe.storage.interface import Draft, Shelf
from filepipe.testing import opened
from filepipe_backends.local import LocalShelf

PART = 20_000
PARTS = 12
SIZE = PART * PARTS
TOGETHER = 3
"""So many uploads at a time."""


@functools.cache
def part(upload: str, number: int) -> bytes:
    """The bytes that belong there, and nowhere else."""
    seed = f"{upload} {number}".encode()
    return hashlib.shake_256(seed).digest(PART)


def whole(upload: str) -> bytes:
    """All parts of an upload."""
    return b"".join(part(upload, number) for number in range(PARTS))


def shelf_in(folder: Path) -> LocalShelf:
    """Open the shelf."""
    return LocalShelf(str(folder / "objects"), folder / "parts")


def name_of(upload: str) -> str:
    """Several uploads want the same name, some of them in its place."""
    return f"folder{int(upload) % 3}/name{int(upload) % 5}.bin"


def unique(upload: str) -> bool:
    """Every fourth replaces what has its name; nothing else wants that name."""
    return int(upload) % 4 != 0


def size_of(upload: str) -> int | None:
    """Every third is begun without a size, and grows."""
    return None if int(upload) % 3 == 1 else SIZE


def digest(body: bytes) -> bytes:
    """What tells an object from all others."""
    return hashlib.sha256(body).digest()


@dataclass
class Ledger:
    """What was said to be done, in the order of its lines."""

    begun: dict[str, set[int]] = field(default_factory=dict)
    published: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, lines: Iterable[str]) -> Ledger:
        """Add up the lines; the last may have been cut."""
        ledger = cls()
        for line in lines:
            match line.rstrip().split(" ", 2):
                case ["begun", upload]:
                    ledger.begun[upload] = set()
                case ["part", upload, number]:
                    ledger.begun[upload].add(int(number))
                case ["published", upload, path]:
                    ledger.published[upload] = path
        return ledger

    def unfinished(self) -> dict[str, list[int]]:
        """The parts of each upload that has no name yet."""
        return {u: sorted(p) for u, p in self.begun.items() if u not in self.published}


async def judge(folder: Path, ledger: Ledger, uploads: Iterable[str]) -> None:
    """Every part that was said to be durable is there, and every name is a whole object.

    `uploads` are all that were ever begun, also those that the ledger does not know yet.
    """
    known = {digest(whole(upload)): upload for upload in uploads}
    root = folder / "objects"
    found: dict[str, str] = {}
    for path in root.rglob("*.bin"):
        body = path.read_bytes()
        assert digest(body) in known, f"{path} is no whole object: {len(body)} bytes"
        found[str(path.relative_to(root))] = known[digest(body)]
    assert len(set(found.values())) == len(found), f"an object has two names: {found}"
    for path, upload in {path: upload for upload, path in ledger.published.items()}.items():
        # one that was replacing it when the end came may have got there unsaid
        assert found[path] == upload or not unique(found[path]), f"{path} was {upload}"
    async with opened(lambda: shelf_in(folder)) as shelf:
        handles = await shelf.drafts()
        for upload, numbers in ledger.unfinished().items():
            if f"u{upload}" not in handles:  # published and discarded by now, without a word
                assert upload in found.values() or not unique(upload), f"{upload} is lost"
                continue
            draft = await shelf.reopen(f"u{upload}", size_of(upload))
            for number in numbers:
                stored = await draft.read(number * PART, PART)
                assert stored == part(upload, number), f"part {number} of {upload} is lost"
            await draft.close()


class Load:
    """The program as a child; `lines` grows while it runs."""

    def __init__(self, folder: Path, lines: list[str]) -> None:
        ledger = Ledger.of(lines)
        self.lines = lines
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdin is not None
        last = max(map(int, ledger.begun), default=0)
        state = {"unfinished": ledger.unfinished(), "last": last}
        self.process.stdin.write(json.dumps(state) + "\n")
        self.process.stdin.flush()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith("\n"):
                self.lines.append(line)

    def kill(self) -> None:
        """End it as a power cut would, and read what it still said."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


def say(*words: object) -> None:
    """Print a line in one piece, at once."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def finish(draft: Draft, upload: str, there: list[int]) -> None:
    """Write the missing parts and publish: a few at a time in any order, unless it grows."""
    missing = [number for number in range(PARTS) if number not in there]
    together = 1 if size_of(upload) is None else 4
    if together > 1:
        random.shuffle(missing)

    async def store_part(number: int) -> None:
        body = part(upload, number)
        for at in range(0, PART, PART // 4):
            await draft.write(number * PART + at, body[at : at + PART // 4])
        await draft.sync()
        say("part", upload, number)

    for at in range(0, len(missing), together):
        await asyncio.gather(*map(store_part, missing[at : at + together]))
    path = await draft.publish(PurePosixPath(name_of(upload)), unique=unique(upload), size=SIZE)
    say("published", upload, path)
    await draft.discard()


async def load(shelf: Shelf, state: dict[str, Any]) -> None:
    """Go on with what was begun, drop what nobody knows of, and begin more for ever."""
    unfinished: dict[str, list[int]] = state["unfinished"]
    for handle in await shelf.drafts():
        if handle[1:] not in unfinished:
            await shelf.drop(handle)
    for upload, there in unfinished.items():
        await finish(await shelf.reopen(f"u{upload}", size_of(upload)), upload, there)

    async def upload_after(number: int) -> None:
        while True:
            draft = await shelf.begin(f"u{number}", size_of(str(number)))
            say("begun", number)
            await finish(draft, str(number), [])
            number += TOGETHER

    await asyncio.gather(*(upload_after(state["last"] + 1 + lane) for lane in range(TOGETHER)))


async def main() -> None:
    """Work until killed."""
    state = json.loads(sys.stdin.readline())
    async with opened(lambda: shelf_in(Path(sys.argv[1]))) as shelf:
        await load(shelf, state)


if __name__ == "__main__":
    asyncio.run(main())
