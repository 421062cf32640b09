"""The folder of drafts on a share: a file under its handle for each, and notes of where they went.

All of this blocks and runs on threads.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import PurePosixPath

from filepipe.errors import Conflict, DiskFull, StorageFailed
from filepipe_backends import smb_errors as errors
from filepipe_backends.smb_errors import Refusal
from filepipe_backends.smb_file import File
from filepipe_backends.smb_link import Link, Opened
from filepipe_backends.smb_names import INSIDE, segments
from filepipe_backends.smb_share import DRAFT, FOLDER, MOVE, NEW_DRAFT, NOTE, READ, Share, waiting

MOVING = ".to"
"""Added to a handle: a note of what the draft is about to be called."""

REPLACED = ".old"
"""Added to a handle: the object that the draft takes the place of, while somebody reads it."""

GONE = "the storage failed: the draft is gone"
CUT = "the storage failed: a draft has not the size that was announced"

_LONGEST_NOTE = 64 * 1024


def begin(share: Share, handle: str, size: int | None) -> File:
    """Make a draft, as long as the object will be."""
    made: list[None] = []

    def attempt(link: Link) -> File:
        # a file that an attempt before this one made, whose answer was lost, is ours
        access = NEW_DRAFT._replace(made=5) if made else NEW_DRAFT
        made.append(None)
        if room(share, link) < (size or 0):
            raise DiskFull("disk full, try again later")
        opened = waiting(lambda: link.open(share.draft(handle), access))
        try:
            link.cut(opened, size or 0)
            link.flush(opened)
            share.flush_folder(link, share.path(INSIDE))
        except Refusal:
            link.shut(opened)
            share.remove(link, share.draft(handle))
            raise
        return File(share, share.draft(handle), DRAFT, link, opened)

    return share.run(attempt)


def room(share: Share, link: Link) -> int:
    """The bytes that the share has room for now; what others write meanwhile nobody knows."""
    folder = link.open(share.path(INSIDE), FOLDER)
    try:
        return link.free(folder)
    finally:
        link.shut(folder)


def reopen(share: Share, handle: str, size: int | None) -> File:
    """Open a draft, wherever it is by now. Raises `StorageFailed` where it is not as it was."""

    def attempt(link: Link) -> File:
        moved = moved_to(share, link, handle)
        path = share.draft(handle) if moved is None else share.path(*segments(moved))
        try:
            opened = waiting(lambda: link.open(path, DRAFT))
        except Refusal as refusal:
            if refusal.status in errors.ABSENT:
                raise StorageFailed(GONE) from refusal
            raise
        if size is not None and link.size(opened) != size:
            link.shut(opened)
            raise StorageFailed(CUT)
        return File(share, path, DRAFT, link, opened)

    return share.run(attempt)


def handles(share: Share) -> list[str]:
    """The handle of each draft, published ones included."""

    def listed(link: Link) -> list[str]:
        folder = link.open(share.path(INSIDE), FOLDER)
        try:
            return sorted({name.partition(".")[0] for name in link.names(folder)} - {""})
        finally:
            link.shut(folder)

    return share.run(listed, patient=False)  # whoever starts does not wait for it


def drop(share: Share, handle: str) -> None:
    """Remove what there is of a draft; its object stays, and one that it was to replace."""

    def dropped(link: Link) -> None:
        note = share.draft(handle + MOVING)
        if share.exists(link, share.draft(handle)) and share.exists(link, note):
            put_back(share, link, handle, read_note(link, note))
        for name in (handle, handle + REPLACED, handle + MOVING):
            share.remove(link, share.draft(name))

    share.run(dropped)


def note_move(share: Share, link: Link, handle: str, path: PurePosixPath) -> None:
    """Write down, durably, what a draft is about to be called."""
    text = str(path).encode()
    note = link.open(share.draft(handle + MOVING), NOTE)
    try:
        # what says the same already is not written over: it may be all that is known
        if link.read(note, 0, _LONGEST_NOTE) != text:
            link.cut(note, 0)
            link.write(note, 0, memoryview(text))
        link.flush(note)
    finally:
        link.shut(note)
    share.flush_folder(link, share.path(INSIDE))


def moved_to(share: Share, link: Link, handle: str) -> PurePosixPath | None:
    """The path of a draft that has been moved; None for one that has its own name still."""
    if share.exists(link, share.draft(handle)):
        return None
    try:
        return read_note(link, share.draft(handle + MOVING))
    except Refusal as refusal:
        if refusal.status in errors.ABSENT:
            raise StorageFailed(GONE) from refusal
        raise


def read_note(link: Link, path: str) -> PurePosixPath:
    """What a note says."""
    note = link.open(path, READ)
    try:
        return PurePosixPath(link.read(note, 0, _LONGEST_NOTE).decode())
    finally:
        link.shut(note)


def put_aside(share: Share, link: Link, handle: str, path: str) -> None:
    """Move an object that somebody reads out of the way of the draft."""
    _move(link, path, share.draft(handle + REPLACED))


def put_back(share: Share, link: Link, handle: str, path: PurePosixPath) -> None:
    """Give it its name again, if there is one and nothing else has the name."""
    with suppress(Refusal, Conflict):  # the note may be empty, after a crash
        _move(link, share.draft(handle + REPLACED), share.path(*segments(path)))


def _move(link: Link, old: str, new: str) -> None:
    opened: Opened = link.open(old, MOVE)
    try:
        link.rename(opened, new, replace=False)
    finally:
        link.shut(opened)
