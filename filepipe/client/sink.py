"""Where a download goes: a stream that only grows, a file, or a folder.

Rule 1: `offset` is how many bytes of the object are here, and `etag` names that object.
Rule 2: a sink never holds bytes of two objects; `begin` at offset 0 drops what was there.
Rule 3: exactly one of `finish` and `abandon` follows `begin`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol, TypeVar

from yarl import URL

from filepipe.client.address import without_secrets
from filepipe.client.blocking import BlockingThread
from filepipe.client.partial import PartialFile
from filepipe.protocols.disposition import clean_filename

T = TypeVar("T")


class Head(Protocol):
    """What a sink has to know of a body before its first byte."""

    @property
    def offset(self) -> int:
        """The place of the first byte in the object."""
        ...

    @property
    def etag(self) -> str | None:
        """The strong ETag."""
        ...

    @property
    def filename(self) -> str | None:
        """The name that the server gives, as sent."""
        ...


class Sink(Protocol):
    """A target of `fetch`."""

    offset: int
    etag: str | None

    async def prepare(self) -> None:
        """Look for bytes of an earlier run."""
        ...

    async def begin(self, head: Head) -> bool:
        """Take a body that starts at `head.offset`; False asks for one from `offset` instead."""
        ...

    async def write(self, chunk: bytes) -> None:
        """Append."""
        ...

    async def finish(self) -> Path | None:
        """Make the whole object whole on disk too, and say where."""
        ...

    async def abandon(self) -> Path | None:
        """End before the end; return the file that keeps the beginning, if one does."""
        ...


class StreamSink:
    """A stream that cannot be taken back: a pipe, a device, somebody's open file."""

    def __init__(self, stream: IO[bytes], thread: BlockingThread, *, owned: bool = False) -> None:
        self.offset = 0
        self.etag: str | None = None
        self._stream = stream
        self._thread = thread
        self._owned = owned

    async def prepare(self) -> None:
        """Nothing can be there."""

    async def begin(self, head: Head) -> bool:
        """Take what continues the bytes that went out."""
        assert head.offset == self.offset, "a stream cannot be rewound"
        self.etag = head.etag
        return True

    async def write(self, chunk: bytes) -> None:
        """Write all of it, at once."""
        await self._thread.call(_write_all, self._stream, chunk)
        self.offset += len(chunk)

    async def finish(self) -> Path | None:
        """Close the stream if it is ours."""
        if self._owned:
            await self._thread.call(self._stream.close)
        return None

    async def abandon(self) -> Path | None:
        """Keep nothing; the thread may still hang in a write, so it is not asked."""
        if self._owned:
            self._stream.close()
        return None


def _write_all(stream: IO[bytes], chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        # An unbuffered stream may take less than it was given.
        view = view[stream.write(view) :]
    stream.flush()


class FileSink:
    """A file that appears under its name only when it is whole."""

    def __init__(self, path: Path, url: str, thread: BlockingThread, *, keep: bool = True) -> None:
        self.offset = 0
        self.etag: str | None = None
        self._thread = thread
        self._keep = keep
        self._partial = PartialFile(path, url)

    async def prepare(self) -> None:
        """Open the partial file; raises OSError when that cannot be."""
        await self._call(self._partial.open, self._keep)

    async def begin(self, head: Head) -> bool:
        """Go on behind the bytes that are here, or drop them for a body from 0."""
        if head.offset == 0:
            await self._call(self._partial.restart, head.etag)
        return True

    async def write(self, chunk: bytes) -> None:
        """Append; now and then the disk has to confirm."""
        await self._call(self._partial.append, chunk)

    async def finish(self) -> Path | None:
        """Write through, rename, and write the folder through."""
        return await self._call(self._partial.publish)

    async def abandon(self) -> Path | None:
        """Keep the partial file if a later run can go on from it."""
        return await self._call(self._partial.keep if self._keep else self._partial.discard)

    async def _call(self, function: Callable[..., T], *args: Any) -> T:
        result = await self._thread.call(function, *args)
        self.offset, self.etag = self._partial.size, self._partial.etag
        return result


class FolderSink:
    """A file in a folder, under the server's name for it, else under the last part of its key."""

    def __init__(
        self, folder: Path, name: str, url: str, thread: BlockingThread, *, keep: bool
    ) -> None:
        self.offset = 0
        self.etag: str | None = None
        self._folder = folder
        self._name = name
        self._url = url
        self._thread = thread
        self._keep = keep
        self._file: FileSink | None = None

    async def prepare(self) -> None:
        """Wait for the name."""

    async def begin(self, head: Head) -> bool:
        """Choose the name, then do as the file does; an earlier beginning of it is used."""
        if self._file is None:
            path = await self._thread.call(self._choose, head.filename)
            file = FileSink(path, self._url, self._thread, keep=self._keep)
            await file.prepare()
            self._file = file
            if self._file.offset and self._file.etag == head.etag:
                self._copy(self._file)
                return False
        taken = await self._file.begin(head)
        self._copy(self._file)
        return taken

    async def write(self, chunk: bytes) -> None:
        """Append."""
        file = self._begun()
        await file.write(chunk)
        self._copy(file)

    async def finish(self) -> Path | None:
        """Publish the file."""
        return await self._begun().finish()

    async def abandon(self) -> Path | None:
        """Keep what the file keeps."""
        return None if self._file is None else await self._file.abandon()

    def _begun(self) -> FileSink:
        assert self._file is not None, "begin comes first"
        return self._file

    def _copy(self, file: FileSink) -> None:
        self.offset, self.etag = file.offset, file.etag

    def _choose(self, offered: str | None) -> Path:
        own = clean_filename(self._name) or "download"
        # A server must not make hidden files, nor write over a file that nobody named.
        name = (clean_filename(offered or "") or "").lstrip(".") or own
        path = self._folder / name
        if name != own and os.path.lexists(path):
            raise FileExistsError(17, "exists, and the name is the server's choice", str(path))
        return path


async def open_sink(
    target: Path | BinaryIO, url: URL, thread: BlockingThread, *, keep: bool
) -> Sink:
    """Choose the sink for a target; a device or a named pipe is written, never replaced."""
    if not isinstance(target, Path):
        return StreamSink(target, thread)
    try:
        mode = (await thread.call(target.stat)).st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    shown = str(without_secrets(url))
    if stat.S_ISDIR(mode):
        return FolderSink(target, url.name, shown, thread, keep=keep)
    if stat.S_ISREG(mode):
        return FileSink(target, shown, thread, keep=keep)
    return StreamSink(await thread.call(target.open, "wb", 0), thread, owned=True)
