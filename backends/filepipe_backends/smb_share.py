"""The share over lost connections: one link at a time, a new one when it is lost, one daemon.

All of this blocks and runs on threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from filepipe_backends import smb_errors as errors
from filepipe_backends.smb_errors import Lost, Refusal, Rejected, Unreachable
from filepipe_backends.smb_link import Access, Account, Link, Opened
from filepipe_backends.smb_names import INSIDE

T = TypeVar("T")

PATIENCE = 10.0
"""Seconds for which everybody waits for a server that has gone; then they fail until it is back."""

PAUSE = 0.2
"""Seconds between two attempts to connect."""

FRESH = 2.0
"""Seconds for which it is not asked once more why there is no connection."""

AGAIN = 3
"""So many connections may be lost with the same request before it is given up."""

YIELD = 5.0
"""Seconds that a connection before ours has to let go of what it has open."""

LOCK = ".lock"

# rights: read, write, delete, attributes; who else may: read 1, write 2, delete 4;
# made: open 1, create 2, open or create 3; kind: folder 0x01, no folder 0x40, gone when it is
# closed 0x1000; looks: hidden 0x02
FOLDER = Access(0x100087, 7, 1, 0x01)
NEW_FOLDER = FOLDER._replace(made=3)
READ = Access(0x120089, 7, 1, 0x40)
DRAFT = Access(0x13019F, 1, 1, 0x40)
NEW_DRAFT = DRAFT._replace(made=2)
NOTE = DRAFT._replace(made=3)
MOVE = Access(0x110080, 7, 1, 0x40)
DELETE = MOVE._replace(kind=0x1040)
_HIDDEN = NEW_FOLDER._replace(looks=0x02)
_ALONE = Access(0x110083, 0, 3, 0x40)


class Share:
    """The folder `root` of a share. Only one daemon at a time can have it."""

    def __init__(self, account: Account, root: tuple[str, ...], memory: Path) -> None:
        self._account = account
        self._root = root
        self._memory = memory
        """Where the number of our session is noted, so that the next one can end it."""
        self._connecting = threading.Lock()
        self._closing = threading.Event()
        self._link: Link | None = None
        self._known: int | None = None
        """The number of the folder of drafts."""
        self._failure: Exception | None = None
        self._failed_at = 0.0
        self._down_since: float | None = None

    def path(self, *segments: str) -> str:
        """Below the share, as a server has it."""
        return "\\".join((*self._root, *segments))

    def draft(self, name: str) -> str:
        """The path of something in the folder of drafts."""
        return self.path(INSIDE, name)

    # -- the link

    def run(self, action: Callable[[Link], T], *, patient: bool = True) -> T:
        """Do it, again where the connection is lost meanwhile.

        Raises what `action` does, and `Lost`, `Unreachable` or `Rejected`, after `PATIENCE` or
        at once.
        """
        losses = 0
        while True:
            try:
                link = self.link()
            except Unreachable:
                if not patient or self._closing.is_set() or not self._may_come_back():
                    raise
                self._closing.wait(PAUSE)
                continue
            try:
                return action(link)
            except Lost:
                link.close()
                losses += 1
                if losses > AGAIN:
                    raise

    def _may_come_back(self) -> bool:
        since = self._down_since
        return since is None or time.monotonic() - since < PATIENCE

    def link(self) -> Link:
        """The link, made anew if it is lost. Raises `Unreachable` or `Rejected`."""
        link = self._link
        if link is not None and link.alive:
            return link
        with self._connecting:
            if self._link is not None and self._link.alive:
                return self._link
            if self._closing.is_set():
                raise Unreachable("the storage is closed")
            if self._failure is not None and time.monotonic() - self._failed_at < PAUSE:
                raise self._failure
            self._link = self._connect()
            return self._link

    def _connect(self) -> Link:
        if self._link is not None:
            self._link.close()
        try:
            link = Link(self._account, self._before())
            try:
                self._enter(link)
            except BaseException:
                link.close()
                raise
        except (Lost, Refusal, Unreachable, Rejected) as error:
            self._failure = _told(error, first=self._known is None)
            self._failed_at = time.monotonic()
            if self._down_since is None:
                self._down_since = self._failed_at
            raise self._failure from error
        self._failure = self._down_since = None
        with suppress(OSError):  # then the next session has to wait until this one is missed
            self._memory.write_text(str(link.session))
        return link

    @property
    def trouble(self) -> Exception | None:
        """Why the share could not be used just now."""
        known = self._down_since is not None and time.monotonic() - self._failed_at < FRESH
        return self._failure if known else None

    def _before(self) -> int:
        """The session that is to end: of ours, or of the process that was killed before us."""
        with suppress(OSError, ValueError):
            return int(self._memory.read_text())
        return 0

    def _enter(self, link: Link) -> None:
        """Find the folders, made at the first time, and keep every other daemon out of them."""
        first = self._known is None
        for end in range(1, len(self._root) + 1) if first else ():
            link.shut(link.open("\\".join(self._root[:end]), NEW_FOLDER))
        folder = link.open(self.path(INSIDE), _HIDDEN if first else FOLDER)
        number = link.number(folder)
        if not first and number != self._known:
            raise Unreachable("the folder of uploads is not the one that was there at the start")
        waiting(lambda: link.open(self.draft(LOCK), _ALONE))
        self._known = number

    def close(self) -> None:
        """Let go of the connection; nobody waits for the server any more."""
        self._closing.set()
        with self._connecting:
            if self._link is not None:
                self._link.close()
                with suppress(OSError):
                    self._memory.unlink()

    # -- what is done in few steps

    def is_drafts(self, link: Link, folder: Opened) -> bool:
        """Whether it is the folder of drafts, by whatever name it was opened."""
        return link.number(folder) == self._known

    def exists(self, link: Link, path: str) -> bool:
        """Whether a file has the name."""
        try:
            link.shut(link.open(path, READ._replace(rights=0x100080, kind=0)))
        except Refusal as refusal:
            if refusal.status in errors.ABSENT:
                return False
            raise
        return True

    def remove(self, link: Link, path: str) -> None:
        """Remove a file; one that is gone is fine."""
        try:
            link.shut(link.open(path, DELETE))
        except Refusal as refusal:
            if refusal.status not in errors.ABSENT:
                raise

    def flush_folder(self, link: Link, path: str) -> None:
        """Make the names in a folder durable, where the server can."""
        folder = link.open(path, FOLDER)
        try:
            link.flush(folder)
        except Refusal as refusal:
            if refusal.status not in errors.UNABLE:
                raise
        finally:
            link.shut(folder)


def waiting(open_: Callable[[], Opened]) -> Opened:
    """Open what a connection before ours may still have open, for a while."""
    deadline = time.monotonic() + YIELD
    while True:
        try:
            return open_()
        except Refusal as refusal:
            if refusal.status != errors.SHARED or time.monotonic() > deadline:
                raise
        time.sleep(PAUSE)


def _told(error: Exception, *, first: bool) -> Exception:
    """Why the share cannot be used, as `Unreachable` or `Rejected`."""
    if isinstance(error, Lost):
        return Unreachable("the SMB server cannot be reached")
    if not isinstance(error, Refusal):
        return error
    if error.status == errors.SHARED:
        return Rejected("another filepipe keeps its uploads there")
    if error.status in errors.IN_USE:
        return Rejected("the account may not write to the share")
    if error.status in errors.ABSENT and not first:
        return Unreachable("the folder of uploads is gone")
    return Rejected(f"the folder of uploads cannot be used: {error}")
