"""How a draft gets its name, in one step and below one folder, whatever is planted there.

The draft stays under its own name beside the new one (a hard link) until it is discarded, which
makes a retry after a crash plain: the name that shows the same file is the one that we gave.

Where the file system knows no hard links, the draft is moved. What it is to be called is noted
beforehand, so that a retry finds it; only there a name that another program makes in that very
moment would be replaced.

All of this runs on threads and raises OSError, or `Conflict`.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import PurePosixPath
from typing import NamedTuple

from filepipe.errors import Conflict, StorageFailed
from filepipe_backends.drafts import REPLACING, moved_to, note_move
from filepipe_backends.flushes import Flushes
from filepipe_backends.objects import Place, enter, exists

NUMBERS = 100
"""So many names with a number are tried before the draft's own handle makes the name unique."""

LONGEST = 255
"""So many bytes a name has on nearly every file system."""

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
_NOT_TO_BE_HAD = (errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENOTEMPTY, errno.ENAMETOOLONG)

_moving = threading.Lock()


class Wish(NamedTuple):
    """What a draft is to be called."""

    handle: str
    path: PurePosixPath
    unique: bool


def publish(place: Place, flushes: Flushes, fd: int, wish: Wish) -> str:
    """Give the whole draft `fd` its name, durably; the path that it got, below the root."""
    flushes.file(fd)
    try:
        return _publish(place, flushes, wish)
    except OSError as error:
        if error.errno not in _NOT_TO_BE_HAD:
            raise
        raise Conflict(f"the name cannot be had: {error.strerror}") from error


def _publish(place: Place, flushes: Flushes, wish: Wish) -> str:
    moved = moved_to(place, wish.handle)
    path = wish.path if moved is None else moved
    folder = enter(place, path, flushes)
    try:
        if moved is not None:
            name, undo = path.name, _nothing
        else:
            name, undo = _take(place, folder, wish)
        try:
            flushes.folder(folder)
        except (OSError, StorageFailed):
            with suppress(OSError):
                undo()
            raise
    finally:
        os.close(folder)
    return str(path.with_name(name))


def _nothing() -> None:
    pass


def _take(place: Place, folder: int, wish: Wish) -> tuple[str, Callable[[], None]]:
    """Make the new name; it, and how to take it back where nothing was replaced."""
    mine = os.stat(wish.handle, dir_fd=place.drafts, follow_symlinks=False)
    try:
        if not wish.unique:
            _replace(place, folder, wish, mine)
            return wish.path.name, _nothing
        name = _link(place, folder, wish, mine)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _move(place, folder, wish)
    return name, lambda: os.unlink(name, dir_fd=folder)


def _replace(place: Place, folder: int, wish: Wish, mine: os.stat_result) -> None:
    if _is(folder, wish.path.name, mine):
        return
    second = wish.handle + REPLACING
    with suppress(FileNotFoundError):
        os.unlink(second, dir_fd=place.drafts)
    os.link(wish.handle, second, src_dir_fd=place.drafts, dst_dir_fd=place.drafts)
    os.rename(second, wish.path.name, src_dir_fd=place.drafts, dst_dir_fd=folder)


def _link(place: Place, folder: int, wish: Wish, mine: os.stat_result) -> str:
    if mine.st_nlink > 1:
        for name in names(wish.path.name, wish.handle):
            if _is(folder, name, mine):
                return name
    for name in names(wish.path.name, wish.handle):
        with suppress(FileExistsError):
            os.link(wish.handle, name, src_dir_fd=place.drafts, dst_dir_fd=folder)
            return name
    raise Conflict("every name like this one is taken")


def _move(place: Place, folder: int, wish: Wish) -> tuple[str, Callable[[], None]]:
    with _moving:
        for name in names(wish.path.name, wish.handle):
            if not wish.unique or not exists(folder, name):
                break
        else:
            raise Conflict("every name like this one is taken")
        note_move(place, wish.handle, str(wish.path.with_name(name)))
        os.rename(wish.handle, name, src_dir_fd=place.drafts, dst_dir_fd=folder)
    if not wish.unique:
        return name, _nothing
    return name, lambda: os.rename(name, wish.handle, src_dir_fd=folder, dst_dir_fd=place.drafts)


def names(name: str, last: str) -> Iterator[str]:
    """The name, then the name with numbers before its suffix, then with `last`."""
    yield name
    path = PurePosixPath(name)
    suffix = path.suffix if len(os.fsencode(path.suffix)) < LONGEST // 4 else ""
    if suffix and path.stem.endswith(".tar"):
        suffix = ".tar" + suffix
    stem = os.fsencode(name.removesuffix(suffix))
    for addition in (*range(1, NUMBERS), last):
        end = f" ({addition}){suffix}"
        yield stem[: LONGEST - len(os.fsencode(end))].decode(errors="ignore") + end


def _is(folder: int, name: str, file: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(name, dir_fd=folder, follow_symlinks=False), file)
    except FileNotFoundError:
        return False
