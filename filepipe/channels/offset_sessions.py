"""The sessions of uploads that grow by their offset: made when needed, given up when they fail.

Rule 1: one session at a time of an upload has its draft; a new one waits until the old has closed.
Rule 2: the shelf is asked to make bytes durable again only when the record knows of the last time.
Rule 3: a session that has failed is given up, its readers are cut, and the next one begins with
        what the record says. The key stays taken meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TypeVar

from filepipe.accountant import Budget
from filepipe.channels.offset_plan import in_log, offset_of
from filepipe.channels.offset_session import OffsetSession
from filepipe.channels.one_by_one import ToTheEnd
from filepipe.channels.opened import Opened, idle_drafts
from filepipe.channels.shelves import Shelves
from filepipe.channels.upload_blob import Room
from filepipe.channels.upload_keys import UploadKeys
from filepipe.channels.upload_plan import UploadRules
from filepipe.errors import (
    Broken,
    Conflict,
    DiskFull,
    Draining,
    FilepipeError,
    Gone,
    NotFound,
)
from filepipe.logs import get_logger
from filepipe.records import offsets
from filepipe.records.database import Database
from filepipe.records.uploads import Upload
from filepipe.storage.interface import Draft, TrimmedDraft

log = get_logger("filepipe.uploads")

T = TypeVar("T")


class OffsetSessions:
    """What the daemon has to do with each upload that is not complete."""

    def __init__(
        self,
        database: Database,
        shelves: Shelves,
        keys: UploadKeys,
        disk: Budget,
        rules: UploadRules,
    ) -> None:
        self._database = database
        self._shelves = shelves
        self._keys = keys
        self._disk = disk
        self._rules = rules
        self._sessions: dict[str, OffsetSession] = {}
        self._rooms: dict[str, Room] = {}
        self._closing: dict[str, asyncio.Task[None]] = {}
        self._idle: OrderedDict[str, None] = OrderedDict()
        self.jobs = ToTheEnd()
        self.closed = False
        """Whether no session is made any more."""

    def __iter__(self) -> Iterator[OffsetSession]:
        return iter(list(self._sessions.values()))

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """As `Database.run`."""
        return await self._database.run(work)

    async def free(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """As `Database.free`."""
        return await self._database.free(work)

    # -- room

    def new_room(self, storage: str, length: int | None) -> Room:
        """Room for an upload, of which nothing is held yet."""
        on_disk = self._shelves.on_local_disk(storage)
        return Room(self._disk if on_disk else None, self._rules.max_size, length)

    def keep_room(self, upload_id: str, room: Room) -> None:
        """Hold it until `give_back`."""
        self._rooms[upload_id] = room

    def room_again(self, upload: Upload) -> None:
        """After a start: hold what an upload has, also where it does not fit any more."""
        room = self._rooms[upload.id] = self.new_room(upload.storage, upload.total_size)
        room.adopt(upload.total_size or offset_of(upload))

    def give_back(self, upload_id: str) -> None:
        """Hold nothing of the disk for it any more."""
        if (room := self._rooms.pop(upload_id, None)) is not None:
            room.release()

    # -- one session

    def get(self, upload_id: str) -> OffsetSession | None:
        """The session, if there is one."""
        return self._sessions.get(upload_id)

    def of(self, upload: Upload) -> OffsetSession:
        """The session, made anew after a restart. Raises `Conflict` once it is complete."""
        session = self._sessions.get(upload.id)
        if session is not None:
            return session
        channel = self._keys.of(upload.id)
        if upload.status == "complete" or (channel is not None and channel.ended is not None):
            raise Conflict("the upload is complete")
        return self.make(upload)

    def withdraw(self, session: OffsetSession) -> None:
        """Take back a session that was made for an upload that had just ended."""
        if self._sessions.get(session.id) is session:
            self.forget(session)
            self.give_back(session.id)
            self._keys.drop(session.id, Broken("the upload was ended"))

    def make(self, upload: Upload, draft: Draft | None = None) -> OffsetSession:
        """A session, whose draft may be open already. Raises as `UploadKeys.claim` does."""
        if self.closed:
            raise Draining("server is shutting down")
        shelf = self._shelves.of(upload.storage)

        async def reopen() -> Draft:
            if (closing := self._closing.get(upload.id)) is not None:
                await asyncio.shield(closing)
            return await shelf.reopen(upload.handle, None)

        if upload.id not in self._rooms:
            self.room_again(upload)
        channel = self._keys.of(upload.id) or self._keys.claim(upload.id, upload.key)
        session = OffsetSession(
            upload,
            Opened(reopen, draft),
            self._rooms[upload.id],
            channel,
            live=shelf.traits.live,
        )
        self._sessions[upload.id] = session
        return session

    async def secure(self, session: OffsetSession) -> None:
        """Make what came durable, and then the record of it. Raises as both do."""
        # an end that is durable and not recorded may not be followed by another one
        await self.jobs.do(self._secure(session))

    async def _secure(self, session: OffsetSession) -> None:
        async with session.recording:
            try:
                await session.blob.flush()
            finally:
                await self._record(session)

    async def _record(self, session: OffsetSession) -> None:
        if session.blob.written == session.recorded:
            return
        reach = await session.blob.secure()
        now = time.time()
        expires = now + self._rules.ttl
        await self.run(lambda conn: offsets.append(conn, session.id, reach, now, expires))
        session.recorded = reach

    def abandon(self, session: OffsetSession, failure: FilepipeError) -> None:
        """Give up a session that has failed; the next one begins with what is recorded."""
        if self._sessions.get(session.id) is not session:
            return
        log.warning(
            "upload goes back to what is recorded", upload=in_log(session.id), reason=str(failure)
        )
        session.failure = failure
        session.turns.end(failure)
        del self._sessions[session.id]
        self._idle.pop(session.id, None)
        # only of a full disk it is sure that the last record did not become durable after all
        self._close(session, trim=isinstance(failure, DiskFull))
        self._keys.drop(session.id, failure)
        if isinstance(failure, NotFound | Gone):
            return
        with contextlib.suppress(FilepipeError):  # the daemon goes down; else it is tried again
            self.make(session.upload)

    def _close(self, session: OffsetSession, *, trim: bool = False) -> asyncio.Task[None]:
        before = self._closing.get(session.id)

        async def close() -> None:
            if before is not None:
                await before
            if (draft := await session.blob.draft.retire()) is not None:
                if trim and isinstance(draft, TrimmedDraft):
                    await draft.trim(session.recorded)
                await draft.close()

        closing = self._closing[session.id] = asyncio.create_task(close())
        closing.add_done_callback(lambda task: self._closed(session.id, task))
        return closing

    def _closed(self, upload_id: str, task: asyncio.Task[None]) -> None:
        if self._closing.get(upload_id) is task:
            del self._closing[upload_id]

    def leave(self, session: OffsetSession) -> None:
        """Nobody works at it now: the draft that has been idle for longest may be closed."""
        self._idle.pop(session.id, None)
        if self._sessions.get(session.id) is not session:
            return
        self._idle[session.id] = None
        while len(self._idle) > idle_drafts():
            oldest = self._sessions.get(self._idle.popitem(last=False)[0])
            if oldest is not None:
                self._rest(oldest)

    def _rest(self, session: OffsetSession) -> None:
        self.jobs.start(session.blob.rest(lambda: session.turns.taken))

    # -- the end of one

    def forget(self, session: OffsetSession) -> None:
        """It has no session any more, since it is complete or gone."""
        if self._sessions.get(session.id) is session:
            del self._sessions[session.id]
        self._idle.pop(session.id, None)

    async def discard(self, upload: Upload, session: OffsetSession | None) -> None:
        """Remove every byte that has no name."""
        draft = None if session is None else await session.blob.draft.retire()
        if (closing := self._closing.get(upload.id)) is not None:
            await closing
        if draft is not None:
            await draft.discard()
        else:
            await self._shelves.of(upload.storage).drop(upload.handle)

    async def aclose(self) -> None:
        """Close every draft and keep it."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await self._close(session)
        while self._closing:
            await asyncio.wait(set(self._closing.values()))
            await asyncio.sleep(0)
        await self.jobs.settle()
