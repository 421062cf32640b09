"""How a draft on a share gets its name: by a rename in one step, after a note of what it will be.

Where an answer is lost the note tells what was meant, and whether the draft still has its own name
tells whether it was done.

All of this blocks and runs on threads.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import PurePosixPath

from filepipe.errors import Conflict, NotFound, StorageFailed
from filepipe_backends import smb_drafts as drafts
from filepipe_backends import smb_errors as errors
from filepipe_backends.publication import Wish, names
from filepipe_backends.smb_errors import Lost, Refusal
from filepipe_backends.smb_file import GONE, File
from filepipe_backends.smb_link import Link, Opened
from filepipe_backends.smb_names import segments
from filepipe_backends.smb_share import DELETE, FOLDER, NEW_FOLDER, READ, Share

TAKEN = "every name like this one is taken"

REMOVED = ".gone-"
"""What an object is called from when it is removed until nobody reads it any more."""


def publish(share: Share, file: File, wish: Wish, size: int) -> str:
    """Give the whole draft its name, durably; the path that it got, below the root."""
    segments(wish.path)
    return share.run(lambda link: _attempt(share, link, file, wish, size))


def _attempt(share: Share, link: Link, file: File, wish: Wish, size: int) -> str:
    moved = drafts.moved_to(share, link, wish.handle)
    if moved is not None:
        file.moved(share.path(*segments(moved)))
    opened = file.on(link)
    if moved is None:
        _fit(link, opened, size)
        file.flush_on(link, opened)
        _make_folders(share, link, segments(wish.path)[:-1])
        moved = _take(share, link, opened, wish)
        file.moved(share.path(*segments(moved)))
    try:
        share.flush_folder(link, share.path(*segments(moved)[:-1]))
    except Refusal:
        file.fail()
        if wish.unique:
            with suppress(Refusal, Lost):
                link.rename(opened, share.draft(wish.handle), replace=False)
        raise
    return str(moved)


def _fit(link: Link, opened: Opened, size: int) -> None:
    there = link.size(opened)
    if there < size:
        raise StorageFailed(drafts.CUT)
    if there > size:
        link.cut(opened, size)


def _make_folders(share: Share, link: Link, folders: tuple[str, ...]) -> None:
    for end, name in enumerate(folders, 1):
        path = share.path(*folders[:end])
        try:
            made = link.open(path, NEW_FOLDER)
        except Refusal as refusal:
            if refusal.status in errors.TAKEN | errors.NOT_TO_BE_HAD:
                raise Conflict(f"the name cannot be had: {name} is no folder") from refusal
            raise
        strange = share.is_drafts(link, made)
        link.shut(made)
        if strange:
            raise Conflict("the name cannot be had: it leads elsewhere")
        # also when it was there: perhaps only in memory
        share.flush_folder(link, share.path(*folders[: end - 1]))


def _take(share: Share, link: Link, opened: Opened, wish: Wish) -> PurePosixPath:
    for name in names(wish.path.name, wish.handle):
        path = wish.path.with_name(name)
        wire = share.path(*segments(path))
        try:
            if wish.unique and share.exists(link, wire):
                continue
            drafts.note_move(share, link, wish.handle, path)
            if wish.unique:
                link.rename(opened, wire, replace=False)
            else:
                _replace(share, link, opened, wish.handle, wire)
        except Refusal as refusal:
            if refusal.status in errors.TAKEN and wish.unique:
                continue
            if refusal.status in errors.TAKEN | errors.NOT_TO_BE_HAD:
                raise Conflict("the name cannot be had on this share") from refusal
            raise
        return path
    raise Conflict(TAKEN)


def _replace(share: Share, link: Link, opened: Opened, handle: str, path: str) -> None:
    """Take the place of what has the name; of what is being read in two steps, not in one."""
    try:
        link.rename(opened, path, replace=True)
    except Refusal as refusal:
        if refusal.status not in errors.IN_USE or not _is_file(link, path):
            raise
    else:
        return
    drafts.put_aside(share, link, handle, path)
    link.rename(opened, path, replace=True)
    share.remove(link, share.draft(handle + drafts.REPLACED))


def _is_file(link: Link, path: str) -> bool:
    try:
        link.shut(link.open(path, READ))
    except Refusal:
        return False
    return True


def remove(share: Share, path: PurePosixPath) -> None:
    """Remove an object, durably; its name is free at once, also while somebody reads it."""
    try:
        where = segments(path)
    except Conflict:
        return

    def removed(link: Link) -> None:
        try:
            check_folders(share, link, where)
            opened = link.open(share.path(*where), DELETE)
        except (Refusal, NotFound) as error:
            if isinstance(error, Refusal) and error.status not in errors.ABSENT:
                raise
            return
        try:
            link.rename(opened, share.draft(REMOVED + secrets.token_hex(8)), replace=False)
        finally:
            link.shut(opened)
        share.flush_folder(link, share.path(*where[:-1]))

    share.run(removed)


def check_folders(share: Share, link: Link, where: tuple[str, ...]) -> None:
    """Raises `NotFound` where a path leads into the folder of drafts by another name of it."""
    for end in range(1, len(where)):
        folder = link.open(share.path(*where[:end]), FOLDER)
        strange = share.is_drafts(link, folder)
        link.shut(folder)
        if strange:
            raise NotFound(GONE)
