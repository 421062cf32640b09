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
"""

from __future__ import annotations

from collections.abc import Sequence
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
