"""Whole objects in a folder of the local disk: one preallocated file for each draft.

Drafts are kept in the daemon's own folder where that is on the same file system as the objects,
else in a hidden folder (0700) beside them: a draft gets its name without being copied.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, ParamSpec, TypeVar

from filepipe.errors import ConfigError, FilepipeError, NotFound, StorageFailed
from filepipe.storage.interface import Traits
from filepipe.storage.system_calls import translated
from filepipe_backends import drafts, objects
from filepipe_backends.calls import Calls, made
from filepipe_backends.flushes import Flushes, Shared
from filepipe_backends.objects import Place
from filepipe_backends.publication import Wish, publish

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 4
"""Enough for calls that mostly copy between the kernel and us."""

FLUSHERS = 8
"""More, since these wait for the disk, which likes to be asked for several things at once."""

TRAITS = Traits(live=True, smallest_part=0, largest_part=sys.maxsize, local_disk=True)

_HANDLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}", re.ASCII)


class Threads(NamedTuple):
    """Who does what may block: quick calls, and flushes."""

    calls: ThreadPoolExecutor
    flushes: ThreadPoolExecutor


class LocalDraft:
    """A file under its handle in the folder of drafts, of the object's length where it is known."""

    def __init__(
        self, place: Place, threads: Threads, handle: str, size: int | None, fd: int
    ) -> None:
        self.handle = handle
        self._size = size
        self._place = place
        self._threads = threads
        self._calls = Calls(fd, threads.calls)
        self._flushes = Flushes()
        self._shared = Shared(self._flush)

    async def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write all of `data` at `offset`."""
        calls = self._calls
        await calls.run(_write, calls.fd, data, offset, calls.orphans())

    async def sync(self) -> None:
        """Return once all that was written before the call is durable."""
        await self._shared.wait()

    async def _flush(self) -> None:
        calls = self._calls
        await calls.run_on(self._threads.flushes, self._flushes.data, calls.fd)

    async def read(self, offset: int, limit: int) -> bytes:
        """Read up to `limit` bytes from `offset`."""
        calls = self._calls
        if self._size is None:
            return await calls.run(os.pread, calls.fd, limit, offset)
        return await _read(calls, offset, limit, self._size)

    async def descriptor(self) -> int:
        """Name the open file, once no cancelled write of ours can still change it."""
        await self._calls.settle()
        return self._calls.fd

    async def trim(self, size: int) -> None:
        """Cut off what no record names."""
        calls = self._calls
        with suppress(FilepipeError):
            await calls.run(_trim, calls.fd, size, calls.orphans())

    async def publish(self, name: PurePosixPath, *, unique: bool, size: int) -> str:
        """Give the draft its name; the path that it got."""
        calls = self._calls
        wish = Wish(self.handle, name, unique)
        return await calls.run_on(
            self._threads.flushes,
            _publish, self._place, self._flushes, calls.fd, size, wish, calls.orphans(),
        )  # fmt: skip

    async def discard(self) -> None:
        """Remove what has no name, and close the file."""
        await self._calls.close(first=self._remove)

    def _remove(self) -> None:
        with suppress(OSError):
            drafts.drop(self._place, self.handle)

    async def close(self) -> None:
        """Close the file and keep it."""
        await self._calls.close()


class LocalObject:
    """A published file that is being read."""

    def __init__(self, threads: Threads, fd: int) -> None:
        self.size = os.fstat(fd).st_size
        self._calls = Calls(fd, threads.calls)

    async def read(self, offset: int, limit: int) -> bytes:
        """Read up to `limit` bytes from `offset`."""
        return await _read(self._calls, offset, limit, self.size)

    async def descriptor(self) -> int:
        """Name the open file."""
        return self._calls.fd

    async def close(self) -> None:
        """Close the file."""
        await self._calls.close()


class LocalShelf:
    """Keeps objects below a folder, which it makes when it is missing."""

    def __init__(self, location: str, folder: Path) -> None:
        if not location:
            raise ConfigError("uploads on the local disk need a folder, as in local:/srv/uploads")
        self._root = Path(location).absolute()
        self._open = ExitStack()
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            _judge(self._root, folder)
            root = self._opened(os.open(self._root, objects.FOLDER))
            drafts.lock_folder(root)  # a daemon knows only its own objects
            self._place = Place(root, self._drafts_folder(folder))
        except OSError as error:
            self._open.close()
            raise ConfigError(f"local:{location} cannot be used: {error.strerror}") from error
        except ConfigError:
            self._open.close()
            raise
        self._threads = Threads(
            ThreadPoolExecutor(THREADS, thread_name_prefix="filepipe-local"),
            ThreadPoolExecutor(FLUSHERS, thread_name_prefix="filepipe-flush"),
        )

    def _opened(self, fd: int) -> int:
        self._open.callback(os.close, fd)
        return fd

    def _drafts_folder(self, folder: Path) -> int:
        own = self._opened(drafts.private(folder))
        if drafts.can_be_moved(own, self._root):
            return own
        inside = self._opened(drafts.private(self._root / drafts.INSIDE))
        self._opened(drafts.lock(inside))
        return inside

    @property
    def traits(self) -> Traits:
        """Drafts are files of this machine, and parts of any size."""
        return TRAITS

    async def begin(
        self, upload_id: str, size: int | None, name: PurePosixPath | None = None
    ) -> LocalDraft:
        """Make the file, with all its blocks where the file system gives them."""
        if not _HANDLE.fullmatch(upload_id):
            raise StorageFailed("the storage failed: an upload has an odd id")
        fd = await made(self._threads.flushes, drafts.begin, self._place, upload_id, size)
        return LocalDraft(self._place, self._threads, upload_id, size, fd)

    async def reopen(self, handle: str, size: int | None) -> LocalDraft:
        """Open the file again, wherever it is by now."""
        if not _HANDLE.fullmatch(handle):
            raise StorageFailed(drafts.GONE)
        fd = await made(self._threads.calls, drafts.reopen, self._place, handle, size)
        return LocalDraft(self._place, self._threads, handle, size, fd)

    async def drafts(self) -> list[str]:
        """List the handles of all drafts."""
        return await self._call(drafts.handles, self._place)

    async def drop(self, handle: str) -> None:
        """Remove what a draft left."""
        if _HANDLE.fullmatch(handle):
            await self._call(drafts.drop, self._place, handle)

    async def open(self, path: str) -> LocalObject:
        """Open an object to read it."""
        fd = await made(self._threads.calls, _open, self._place, PurePosixPath(path))
        return LocalObject(self._threads, fd)

    async def remove(self, path: str) -> None:
        """Remove an object, durably."""
        await self._call(_remove, self._place, PurePosixPath(path))

    async def check(self) -> str | None:
        """Look whether the folder is there, is the same, and can be written to."""
        try:
            return await self._call(objects.check, self._root, self._place)
        except FilepipeError as error:
            return str(error)

    async def aclose(self) -> None:
        """End the threads, after what they still have to do."""
        for pool in self._threads:
            await asyncio.to_thread(pool.shutdown)
        self._open.close()

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            call = self._threads.calls.submit(function, *args, **kwargs)
            return await asyncio.wrap_future(call)
        except OSError as error:
            raise translated(error) from error


# What follows runs on threads, or before serving.


def _judge(root: Path, folder: Path) -> None:
    """The daemon's own files are no objects, and an object is no draft."""
    root, folder = root.resolve(), folder.resolve()
    if folder.is_relative_to(root) or root.is_relative_to(folder):
        raise ConfigError(f"uploads cannot be kept in {root}: the daemon's own files are there")


def _publish(
    place: Place, flushes: Flushes, fd: int, size: int, wish: Wish, orphans: tuple[Future[Any], ...]
) -> str:
    wait(orphans)
    there = os.fstat(fd).st_size
    if there < size:
        raise StorageFailed(drafts.CUT)
    if there > size:
        os.ftruncate(fd, size)
    return publish(place, flushes, fd, wish)


def _trim(fd: int, size: int, orphans: tuple[Future[Any], ...]) -> None:
    wait(orphans)
    if os.fstat(fd).st_size > size:
        os.ftruncate(fd, size)


def _open(place: Place, path: PurePosixPath) -> int:
    try:
        return objects.open_object(place, path)
    except OSError as error:
        if error.errno in objects.ABSENT:
            raise NotFound("the object is gone") from None
        raise


def _remove(place: Place, path: PurePosixPath) -> None:
    try:
        objects.remove_object(place, path)
    except OSError as error:
        if error.errno not in objects.ABSENT:
            raise


async def _read(calls: Calls, offset: int, limit: int, size: int) -> bytes:
    if offset >= size:
        return b""
    data = await calls.run(os.pread, calls.fd, min(limit, size - offset), offset)
    if not data:
        raise StorageFailed(drafts.CUT)
    return data


def _write(
    fd: int, data: bytes | memoryview, offset: int, orphans: tuple[Future[Any], ...]
) -> None:
    wait(orphans)
    view = memoryview(data).cast("B")
    while view:
        written = os.pwrite(fd, view, offset)
        offset += written
        view = view[written:]
