"""Where objects are in a bucket: a prefix, then the path; drafts have a folder of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from filepipe.errors import Conflict, NotFound, StorageFailed
from filepipe_backends.publication import names

DRAFTS = ".filepipe-parts"
"""The folder of wholes that have no name yet."""

LONGEST = 1024
"""Bytes of a key."""

GONE = "the storage failed: the draft is gone"

_HANDLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}", re.ASCII)


class Names:
    """From paths to keys, and from handles to the keys of drafts."""

    def __init__(self, prefix: str) -> None:
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def draft(self, handle: str) -> str:
        """The key of a whole that has no name yet. Raises `StorageFailed` for an odd handle."""
        if not _HANDLE.fullmatch(handle):
            raise StorageFailed(GONE)
        return f"{self._prefix}{DRAFTS}/{handle}"

    def key(self, path: str) -> str:
        """The key of a path. Raises `NotFound` where no object can be."""
        parts = path.split("/")
        key = self._prefix + path
        odd = {"", ".", ".."}.intersection(parts) or parts[0] == DRAFTS
        if odd or len(key.encode()) > LONGEST:
            raise NotFound("the object is gone")
        return key

    def candidates(self, name: PurePosixPath, handle: str, *, unique: bool) -> Iterator[str]:
        """The paths that an object may get, the best first. Raises `Conflict`."""
        for last in names(name.name, handle) if unique else (name.name,):
            path = str(name.with_name(last)) if name.name else str(name)
            try:
                self.key(path)
            except NotFound:
                raise Conflict("the name cannot be had") from None
            yield path
