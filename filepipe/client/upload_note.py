"""What a later run must know to go on with an upload, in a file for each.

Rule 1: the upload is noted before its first part is sent.
Rule 2: one run at a time has the note.
Rule 3: no secret is in it. Tokens are issued again to who has the API key.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from filepipe.client.own_files import locked, own, replace
from filepipe.client.part_file import Facts

# A note that is older than the parts of the last seconds costs reading these once more.
SAVE_SECONDS: Final = 2.0
# No server keeps an upload that nobody goes on with for so long.
FORGET_SECONDS: Final = 90 * 24 * 3600.0


@dataclass(slots=True)
class Note:
    """An upload: which one, of what, and the SHA-256 of each part that was sent, as hex."""

    id: str
    facts: Facts
    chunk_size: int
    hashes: dict[int, str] = field(default_factory=dict)


def state_folder() -> Path:
    """Return where notes are, below the user's folder for such things."""
    home = os.environ.get("XDG_STATE_HOME", "")
    # A relative path there is to be ignored (XDG base directory specification).
    base = Path(home) if home.startswith("/") else Path.home() / ".local" / "state"
    return base / "filepipe" / "client"


class NoteFile:
    """The note of one file, server and target; `open` it first. Its methods block."""

    def __init__(self, folder: Path, server: str, path: Path, target: str) -> None:
        self._about = {"server": server, "path": os.path.realpath(path), "target": target}
        name = hashlib.sha256(json.dumps(self._about, sort_keys=True).encode()).hexdigest()[:32]
        self._path = folder / f"{name}.json"
        self._lock_path = folder / f"{name}.lock"
        self._lock = -1
        self._saved = 0.0

    def open(self) -> Note | None:
        """Lock it and return what an earlier run noted; raises OSError if another run has it."""
        folder = self._path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = locked(self._lock_path, "another upload of this file is running", 0o600)
        try:
            _tidy(folder)
            return self._load()
        except OSError:
            self.close()
            raise

    def save(self, note: Note, *, now: bool = False) -> None:
        """Write the note, unless it was written a moment ago and `now` is not asked for."""
        if not now and time.monotonic() - self._saved < SAVE_SECONDS:
            return
        fields = {
            **self._about,
            "id": note.id,
            "size": note.facts.size,
            "modified": note.facts.modified,
            "chunk_size": note.chunk_size,
            "parts": note.hashes,
        }
        replace(self._path, json.dumps(fields).encode())
        self._saved = time.monotonic()

    def forget(self) -> None:
        """Remove the note: nothing is left to go on with."""
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let the next run have it."""
        if self._lock >= 0:
            self._lock_path.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = -1

    def _load(self) -> Note | None:
        try:
            with os.fdopen(own(self._path, os.O_RDONLY), "rb") as stream:
                return _note(json.load(stream))
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None


def _note(fields: Any) -> Note:
    """Read a note; raises ValueError, TypeError or KeyError for what is none."""
    hashes = {int(number): str(sha) for number, sha in dict(fields["parts"]).items()}
    facts = Facts(int(fields["size"]), int(fields["modified"]))
    return Note(str(fields["id"]), facts, int(fields["chunk_size"]), hashes)


def _tidy(folder: Path) -> None:
    for path in folder.glob("*.json"):
        # Another run may be doing the same.
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > FORGET_SECONDS:
                path.unlink()
