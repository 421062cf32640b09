"""What a storage must do, and what its caller owes it.

A `Storage` makes `Blob`s; a blob is one growing sequence of bytes. The base interface is small.
Whatever else a blob can do is a further Protocol here, asked for once with `isinstance`.

What the caller guarantees:
- one writer: `append`, `finish` and `grow` of one blob never overlap;
- `discard` is called exactly once, after every `read` and `append` has returned;
- the buffers handed to `append` are never changed afterwards.

What the storage guarantees:
- it never keeps the event loop waiting: what may block runs on its own bounded threads;
- its own exceptions stay inside: full → `DiskFull`, no descriptors → `TooManyFiles`,
  anything else → `StorageFailed`;
- nothing that it made survives a crash of the process, unless it says that it is durable.

A `Shelf` keeps whole objects under names, durably: that is what an upload is written to. An object
begins as a `Draft`, which is read by nobody but us, and gets its name when it is whole. One whose
size is known at the beginning is written in any order; one that begins without a size grows, and is
written in order only. What else a draft can do is asked for with `isinstance`: a `PartDraft` takes
whole parts as streams and has no other way in, a `FileDraft` has a file.

What the caller of a shelf guarantees:
- one `Draft` of a handle at a time; one daemon at a time uses the shelf;
- writes to the same bytes never overlap; only bytes that were written are read, and where
  `Traits.live` is false only those behind the last `sync`, or all when every byte was written; no
  byte is written at or behind the size that was announced;
- a draft without a size is written at its end, or again from where a `sync` left it: bytes that
  are durable are not written over. Before `sync` is called once more, the caller has noted the end
  that the last one left: from there it goes on after a crash;
- `publish` is called when every byte was written, and after a failure or a crash with the same
  arguments as before, until it returned; then the caller notes the path durably, and only then
  calls `discard`, which removes what the draft still holds and leaves the object;
- `discard` or `close` is the last call on a draft, after all others have returned or were
  cancelled, and on an object `close` is.

What the shelf guarantees:
- what was written before `sync` was called survives a crash and a power cut once `sync` returned,
  and so does the object once `publish` returned;
- a name that can be seen is the whole object, never a part, at any moment and after any crash;
- a write to the disk that failed when it was to become durable is not tried again: from then on
  `sync` and `publish` of this draft raise `StorageFailed`;
- a call that was cancelled has had its whole effect or none when the next one on the same draft has
  one, and it cancels nobody else's;
- the event loop never waits, and its own exceptions stay inside, as of a storage.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol, runtime_checkable


class Blob(Protocol):
    """One growing sequence of bytes."""

    @property
    def size(self) -> int:
        """How many bytes can be read now."""

    async def append(self, chunks: Sequence[bytes]) -> None:
        """Add the chunks at the end, all of them or, when it raises, none that `size` counts.

        Raises `DiskFull`, `TooManyFiles` or `StorageFailed`.
        """

    async def read(self, offset: int, limit: int) -> bytes:
        """Between 1 and `limit` bytes from `offset`; b"" only where `offset` ≥ `size`.

        May run beside `append` and beside other reads. Raises `StorageFailed`.
        """

    async def finish(self) -> None:
        """Nothing more will be appended. Raises as `append` does."""

    async def discard(self) -> None:
        """Let go of every byte and descriptor. Raises nothing."""


class Storage(Protocol):
    """Makes blobs. Built by its entry point as `Factory` says; closed once, after its blobs."""

    async def create(self, expected: int | None = None) -> Blob:
        """Make an empty blob; `expected` is its final size in bytes where it is known.

        Raises `OverBudget`, `DiskFull`, `TooManyFiles` or `StorageFailed`.
        """

    async def aclose(self) -> None:
        """Let go of threads and folders."""


@runtime_checkable
class Descriptor(Protocol):
    """A capability of a blob: a file behind it, for the kernel to write to and read from."""

    async def descriptor(self) -> int:
        """Write out what is still buffered and name the open file; -1 while there is none.

        The number stays valid until `discard`. Called by the writer, or after `finish`.
        Raises as `append` does.
        """

    def grow(self, size: int) -> None:
        """`size` bytes were written through the descriptor at the old end of the blob."""


class Factory(Protocol):
    """What an entry point in the group `filepipe.storage` names: usually the storage's class."""

    def __call__(self, location: str) -> Storage:
        """Build a storage at `location`, the text after `scheme:` (a folder, a bucket, "").

        May read the disk; runs before the daemon serves. Raises `ConfigError`.
        """


@dataclass(frozen=True, slots=True)
class Traits:
    """What a caller has to know of a shelf."""

    live: bool
    """Whether drafts can be read while they arrive."""
    smallest_part: int
    """Bytes that each stored part has to have, but for the last."""
    largest_part: int
    """Bytes that a stored part may have."""
    local_disk: bool
    """Whether the bytes are on this machine's disk, and so in its ledger."""


class Draft(Protocol):
    """An object that has no name yet."""

    @property
    def handle(self) -> str:
        """What `Shelf.reopen` knows the draft by, also after a restart."""

    async def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write all of `data` at `offset`. Writes may run side by side where the size is known.

        Raises `DiskFull`, `TooManyFiles` or `StorageFailed`.
        """

    async def sync(self) -> None:
        """Return once all that was written before the call is durable. Raises as `write` does.

        Callers that come while one waits for the disk share the next wait.
        """

    async def read(self, offset: int, limit: int) -> bytes:
        """Between 1 and `limit` bytes from `offset`, b"" at the end. Raises `StorageFailed`."""

    async def publish(self, name: PurePosixPath, *, unique: bool, size: int) -> str:
        """Give the draft its name, below the shelf's root, and return the path that it got.

        The object is the first `size` bytes: the size that was announced, or where a draft
        without one ends, which is cut to it.
        With `unique` nothing is ever replaced: where the name is taken, a number is added to it.
        Without it, whatever has the name is replaced in one step. The folders are made. A retry
        returns the path of the first time. The draft can still be read.

        Raises `Conflict` where the name cannot be had (a part of it is no folder, or the whole of
        it is one), `DiskFull`, `TooManyFiles` or `StorageFailed`.
        """

    async def discard(self) -> None:
        """Remove every byte that has no name, and let go of the descriptor. Raises nothing."""

    async def close(self) -> None:
        """Let go of the descriptor and keep the bytes for `Shelf.reopen`. Raises nothing."""


@runtime_checkable
class PartDraft(Protocol):
    """A capability of a draft with a size: it takes parts whole, and no `write`."""

    async def store(self, number: int, size: int, body: AsyncIterator[bytes]) -> None:
        """Take part `number`, counted from 0, as a stream of `size` bytes; durable when it returns.

        Parts may come side by side and in any order; one that comes again takes the place of the
        one before. What `body` raises is passed on, and then nothing has changed.
        Raises `Unavailable` where it may be tried again, `StorageFailed`.
        """


@runtime_checkable
class FileDraft(Protocol):
    """A capability of a draft: a file behind it, for the kernel to write to and read from."""

    async def descriptor(self) -> int:
        """The open file, valid until `discard` or `close`; no write of ours is under way."""


@runtime_checkable
class TrimmedDraft(Protocol):
    """A capability of a draft without a size: what is behind its end may take room from others."""

    async def trim(self, size: int) -> None:
        """Keep the first `size` bytes only, as far as that can be done. Raises nothing."""


class Kept(Protocol):
    """A whole object that is being read."""

    @property
    def size(self) -> int:
        """Its length in bytes."""

    async def read(self, offset: int, limit: int) -> bytes:
        """Between 1 and `limit` bytes from `offset`, b"" at the end. Raises `StorageFailed`."""

    async def descriptor(self) -> int:
        """An open file for the kernel to read from, valid until `close`; -1 where there is none."""

    async def close(self) -> None:
        """Let go of the descriptor. Raises nothing."""


class Shelf(Protocol):
    """Keeps whole objects under names. Closed once, after its drafts and objects."""

    @property
    def traits(self) -> Traits:
        """What a caller has to know, always the same."""

    async def begin(
        self, upload_id: str, size: int | None, name: PurePosixPath | None = None
    ) -> Draft:
        """Make a draft with room for `size` bytes; with None it grows with what is written.

        `upload_id` is new here: letters, digits, "-" and "_", at most 64, first no "-".
        `name` is what it will be published as if all goes well: a shelf that cannot rename asks.
        Raises `DiskFull`, `TooManyFiles` or `StorageFailed`.
        """

    async def reopen(self, handle: str, size: int | None) -> Draft:
        """The draft as `close` or a crash left it; `size` is the one that it began with.

        Raises `TooManyFiles`, or `StorageFailed`, also when it is gone.
        """

    async def drafts(self) -> list[str]:
        """The handles of all drafts, also of those that a crash left. Raises `StorageFailed`."""

    async def drop(self, handle: str) -> None:
        """Remove a draft that is not open; one that is gone is fine. Raises `StorageFailed`."""

    async def open(self, path: str) -> Kept:
        """The object that `publish` called `path`.

        Raises `NotFound` when it is gone, `TooManyFiles` or `StorageFailed`.
        """

    async def remove(self, path: str) -> None:
        """Remove the object, durably; one that is gone is fine. Raises `StorageFailed`."""

    async def check(self) -> str | None:
        """None when the shelf can be used; else one sentence, without places or secrets."""

    async def aclose(self) -> None:
        """Let go of threads and folders."""


@runtime_checkable
class Addressed(Protocol):
    """A capability of a shelf: objects have URLs at which others can read them."""

    async def address(self, path: str, filename: str) -> str | None:
        """A URL of the object for about an hour, which saves it as `filename`; None if unwanted.

        Raises `StorageFailed`.
        """


@runtime_checkable
class Naming(Protocol):
    """A capability of a shelf: there are names that it cannot keep."""

    def judge(self, name: PurePosixPath) -> None:
        """Look at a name before anything is sent.

        Raises `BadRequest` where no object of the shelf can be called so.
        """


class ShelfFactory(Protocol):
    """What an entry point in the group `filepipe.uploads` names: usually the shelf's class."""

    def __call__(self, location: str, folder: Path) -> Shelf:
        """Build a shelf at `location`, the text after `scheme:` (a folder, a bucket).

        `folder` is a place on the local disk for what the shelf needs besides; it makes it (0700)
        if it needs it. May read the disk; runs before the daemon serves. Raises `ConfigError`.
        """
