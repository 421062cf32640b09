"""What is known of drafts here: a small file for each, on the local disk, and its last bytes.

All of this runs on threads and raises OSError.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

SUFFIX = ".json"
_NEW = ".new"


@dataclass(slots=True)
class Note:
    """A draft. Its parts are those of the upload `upload` to `key`; both are of the server."""

    key: str
    size: int | None
    name: str | None = None
    """The path that the object gets at once, since `key` is that of the path."""
    upload: str | None = None
    mark: str = ""
    """What the objects of that upload bear."""
    end: int = 0
    """How much of a draft without a size is durable."""
    sealed: list[int] = field(default_factory=list)
    """The sizes of the parts of which the whole was made, under `key`, to be read."""
    target: str | None = None
    """The path to which the whole is copied."""
    copying: tuple[str, str] | None = None
    """The key and the upload of a copy that takes several requests."""
    path: str | None = None
    """The path that was given."""
    given_up: bool = False
    """Whether only what is left of it is to be removed."""


class Part(NamedTuple):
    """A part that is stored; `number` counts from 1."""

    number: int
    size: int
    etag: str


class Notes:
    """The notes in a folder, by the handles of drafts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def handles(self) -> list[str]:
        """Those of all drafts."""
        return sorted(path.name.removesuffix(SUFFIX) for path in self._folder.glob("*" + SUFFIX))

    def read(self, handle: str) -> Note | None:
        """The note of a draft, if there is one."""
        try:
            text = self._folder.joinpath(handle + SUFFIX).read_text()
        except FileNotFoundError:
            return None
        note = Note(**json.loads(text))
        if note.copying is not None:
            note.copying = (note.copying[0], note.copying[1])
        return note

    def all(self) -> dict[str, Note]:
        """Every note."""
        found = {handle: self.read(handle) for handle in self.handles()}
        return {handle: note for handle, note in found.items() if note is not None}

    def claimed(self) -> set[str]:
        """The names that drafts are to get, and nobody else."""
        found = self.all().values()
        return {note.name for note in found if note.name is not None and not note.given_up}

    def write(self, handle: str, note: Note) -> None:
        """Keep the note, durably and in one step."""
        new = self._folder / (handle + _NEW)
        with open(new, "w", opener=_private) as file:
            json.dump(asdict(note), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self._folder / (handle + SUFFIX))
        self.flush()

    def begin_parts(self, handle: str) -> None:
        """A new upload begins, which has no part; durable with the next note."""
        open(self._parts(handle), "wb", opener=_private).close()

    def add_part(self, handle: str, part: Part) -> None:
        """Note a part that is stored, durably; it takes the place of one of its number."""
        line = f"{part.number} {part.size} {part.etag}\n".encode()
        fd = os.open(self._parts(handle), os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        try:
            os.write(fd, line)
            os.fsync(fd)
        finally:
            os.close(fd)

    def parts(self, handle: str) -> dict[int, Part]:
        """The parts that are stored, by number, in the order of their numbers."""
        try:
            lines = self._parts(handle).read_text().splitlines(keepends=True)
        except FileNotFoundError:
            return {}
        whole = (line.split() for line in lines if line.endswith("\n"))
        found = [Part(int(number), int(size), etag) for number, size, etag in whole]
        return {part.number: part for part in sorted(found, key=lambda part: part.number)}

    def _parts(self, handle: str) -> Path:
        return self._folder / f"{handle}.parts"

    def drop(self, handle: str) -> None:
        """Forget a draft; the note goes last, so that the rest is found again."""
        for path in self._folder.glob(f"{handle}.*"):
            if path.suffix != SUFFIX:
                path.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            os.unlink(self._folder / (handle + SUFFIX))
        self.flush()

    def segment(self, handle: str, number: int) -> Path:
        """The file of a part that is not whole yet, or not safely stored."""
        return self._folder / f"{handle}.{number}"

    def segments(self, handle: str) -> list[int]:
        """The numbers of those that are there."""
        found = (path.suffix[1:] for path in self._folder.glob(f"{handle}.*"))
        return sorted(int(number) for number in found if number.isdigit())

    def flush(self) -> None:
        """Make the names in the folder durable."""
        fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
