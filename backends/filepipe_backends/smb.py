"""Whole objects on an SMB share.

A draft is a file in a hidden folder of the share, written at its offsets, flushed, and renamed in
the end. Nothing is staged on the local disk. What blocks runs on a bounded number of threads.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, ParamSpec, TypeVar

from filepipe.errors import (
    BadRequest,
    ConfigError,
    Conflict,
    FilepipeError,
    NotFound,
    StorageFailed,
)
from filepipe.storage.interface import Traits
from filepipe_backends import smb_drafts as drafts
from filepipe_backends import smb_publication as publication
from filepipe_backends.calls import NO_FILE, Calls
from filepipe_backends.flushes import Shared
from filepipe_backends.publication import Wish
from filepipe_backends.smb_errors import Lost, Refusal, Rejected, Unreachable, translated
from filepipe_backends.smb_file import GONE, File, reading
from filepipe_backends.smb_link import Link
from filepipe_backends.smb_location import parse
from filepipe_backends.smb_names import segments
from filepipe_backends.smb_share import READ, Share

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 8
"""So many requests are under way at a time; the connection has room for twice as many."""

FLUSHERS = 4
"""Beside them those that wait for the server's disk."""

TRAITS = Traits(live=True, smallest_part=0, largest_part=sys.maxsize, local_disk=False)

_HANDLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}", re.ASCII)


class Threads(NamedTuple):
    """Who does what may block: quick calls, and flushes."""

    calls: ThreadPoolExecutor
    flushes: ThreadPoolExecutor


class SmbDraft:
    """A file under its handle in the folder of drafts of the share."""

    def __init__(
        self, share: Share, threads: Threads, handle: str, size: int | None, file: File
    ) -> None:
        self.handle = handle
        self._size = size
        self._share = share
        self._threads = threads
        self._file = file
        self._calls = Calls(NO_FILE, threads.calls)
        self._shared = Shared(self._flush)

    async def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write all of `data` at `offset`."""
        await self._calls.run(_write, self._file, offset, data, self._calls.orphans())

    async def sync(self) -> None:
        """Return once all that was written before the call is durable."""
        await self._shared.wait()

    async def _flush(self) -> None:
        await self._calls.run_on(self._threads.flushes, _safely(self._file.flush))

    async def read(self, offset: int, limit: int) -> bytes:
        """Read up to `limit` bytes from `offset`."""
        return await _read(self._calls, self._file, offset, limit, self._size)

    async def publish(self, name: PurePosixPath, *, unique: bool, size: int) -> str:
        """Give the draft its name; the path that it got."""
        wish = Wish(self.handle, name, unique)
        orphans = self._calls.orphans()
        return await self._calls.run_on(
            self._threads.flushes, _publish, self._share, self._file, wish, size, orphans
        )

    async def discard(self) -> None:
        """Remove what has no name, and close the file."""
        await self._calls.close(first=self._remove)

    def _remove(self) -> None:
        with suppress(FilepipeError):
            _close(self._file)
            _safely(drafts.drop)(self._share, self.handle)

    async def close(self) -> None:
        """Close the file and keep it."""
        await self._calls.close(first=lambda: _close(self._file))


class SmbObject:
    """A published file that is being read."""

    def __init__(self, threads: Threads, file: File) -> None:
        self.size = file.size
        self._file = file
        self._calls = Calls(NO_FILE, threads.calls)

    async def read(self, offset: int, limit: int) -> bytes:
        """Read up to `limit` bytes from `offset`."""
        return await _read(self._calls, self._file, offset, limit, self.size)

    async def descriptor(self) -> int:
        """There is none."""
        return NO_FILE

    async def close(self) -> None:
        """Close the file."""
        await self._calls.close(first=lambda: _close(self._file))


class SmbShelf:
    """Keeps objects below a folder of a share, which it makes when it is missing."""

    def __init__(self, location: str, folder: Path) -> None:
        """Connect, if the server can be reached; one that cannot be is tried again when needed.

        Raises `ConfigError` where the server does not take us, or the folder cannot be used.
        """
        account, root = parse(location)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._share = Share(account, root, folder / "smb-session")
        self._threads = Threads(
            ThreadPoolExecutor(THREADS, thread_name_prefix="filepipe-smb"),
            ThreadPoolExecutor(FLUSHERS, thread_name_prefix="filepipe-smb-flush"),
        )
        try:
            with suppress(Unreachable):  # `check` says so, and it may come
                self._share.link()
        except Rejected as error:
            raise ConfigError(f"uploads by SMB: {error}") from error

    @property
    def traits(self) -> Traits:
        """Drafts are files, which are read while they arrive, on the disk of another machine."""
        return TRAITS

    def judge(self, name: PurePosixPath) -> None:
        """Refuse what Windows keeps for devices, and our own folder."""
        try:
            segments(name)
        except Conflict as error:
            raise BadRequest(str(error)) from None

    async def begin(
        self, upload_id: str, size: int | None, name: PurePosixPath | None = None
    ) -> SmbDraft:
        """Make the file, as long as it will be."""
        if not _HANDLE.fullmatch(upload_id):
            raise StorageFailed("the storage failed: an upload has an odd id")
        begin = self._opened(drafts.begin, self._share, upload_id, size)
        return SmbDraft(self._share, self._threads, upload_id, size, await begin)

    async def reopen(self, handle: str, size: int | None) -> SmbDraft:
        """Open the file again, wherever it is by now."""
        if not _HANDLE.fullmatch(handle):
            raise StorageFailed(drafts.GONE)
        file = await self._opened(drafts.reopen, self._share, handle, size)
        return SmbDraft(self._share, self._threads, handle, size, file)

    async def drafts(self) -> list[str]:
        """List the handles of all drafts."""
        return await self._call(drafts.handles, self._share)

    async def drop(self, handle: str) -> None:
        """Remove what a draft left."""
        if _HANDLE.fullmatch(handle):
            await self._call(drafts.drop, self._share, handle)

    async def open(self, path: str) -> SmbObject:
        """Open an object to read it."""
        return SmbObject(self._threads, await self._opened(_open, self._share, path))

    async def remove(self, path: str) -> None:
        """Remove an object, durably."""
        await self._call(publication.remove, self._share, PurePosixPath(path))

    async def check(self) -> str | None:
        """Ask the server how much room there is; while it is known to be away, say so at once."""
        if (trouble := self._share.trouble) is not None:
            return str(translated(trouble))
        try:
            return await self._call(_check, self._share)
        except FilepipeError as error:
            return str(error)

    async def aclose(self) -> None:
        """End the connection and the threads; what still waits for the server fails."""
        await asyncio.to_thread(self._share.close)
        for pool in self._threads:
            await asyncio.to_thread(pool.shutdown)

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        call = self._threads.calls.submit(_safely(function), *args, **kwargs)
        return await asyncio.wrap_future(call)

    async def _opened(self, function: Callable[P, File], *args: P.args, **kwargs: P.kwargs) -> File:
        """Do as `_call` does; a file that nobody waits for any more is closed."""
        call = self._threads.calls.submit(_safely(function), *args, **kwargs)
        try:
            return await asyncio.wrap_future(call)
        except asyncio.CancelledError:
            if not call.cancel():
                self._threads.calls.submit(_close_result, call)
            raise


# What follows runs on threads.


def _safely(function: Callable[P, T]) -> Callable[P, T]:
    """The function, raising our errors."""

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except (Lost, Refusal, Rejected, Unreachable) as error:
            raise translated(error) from error

    return call


@_safely
def _write(
    file: File, offset: int, data: bytes | memoryview, orphans: tuple[Future[Any], ...]
) -> None:
    wait(orphans)
    file.write(offset, memoryview(data).cast("B"))


@_safely
def _publish(
    share: Share, file: File, wish: Wish, size: int, orphans: tuple[Future[Any], ...]
) -> str:
    wait(orphans)
    return publication.publish(share, file, wish, size)


async def _read(calls: Calls, file: File, offset: int, limit: int, size: int | None) -> bytes:
    if size is not None:
        limit = min(limit, size - offset)
    if limit <= 0:
        return b""
    data = await calls.run(_safely(file.read), offset, limit)
    if not data and size is not None:
        raise StorageFailed(drafts.CUT)
    return data


@_safely
def _close(file: File) -> None:
    file.close()


def _close_result(call: Future[File]) -> None:
    with suppress(FilepipeError):
        _close(call.result())


def _open(share: Share, path: str) -> File:
    try:
        where = segments(PurePosixPath(path))
    except Conflict:
        raise NotFound(GONE) from None

    def checked(link: Link) -> None:
        publication.check_folders(share, link, where)

    try:
        share.run(checked)
    except Refusal as refusal:
        raise NotFound(GONE) from refusal
    return reading(share, share.path(*where), READ)


def _check(share: Share) -> str | None:
    free = share.run(lambda link: drafts.room(share, link), patient=False)
    return None if free else "the disk of uploads is full"
