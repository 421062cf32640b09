"""Uploads that grow by their offset: the one engine behind tus and the resumable uploads of IETF.

Rule 1: an offset is told once the bytes below it and then the record are durable.
Rule 2: one request at a time works at an upload, and a new one ends the one before.
Rule 3: what came before a connection was lost stays; what was only staged does not.
Rule 4: readers see what has come at once, and never a byte that has to come again: where one may
        have to, they are cut.
Rule 5: one job finishes an upload; after a crash in its middle the next start runs it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Sequence
from dataclasses import replace

from filepipe.accountant import Budget
from filepipe.channels import offset_steps as steps
from filepipe.channels import upload_steps
from filepipe.channels.channel import Channel
from filepipe.channels.directory import Directory
from filepipe.channels.offset_chores import Chores
from filepipe.channels.offset_contents import Contents
from filepipe.channels.offset_finishing import Finishing
from filepipe.channels.offset_growing import Growing
from filepipe.channels.offset_plan import (
    FINAL,
    Wish,
    ends_by_itself,
    is_only_written,
    is_whole,
    new_record,
    offset_of,
    path_of,
)
from filepipe.channels.offset_removal import Removal
from filepipe.channels.offset_session import Appending, OffsetSession
from filepipe.channels.offset_sessions import OffsetSessions
from filepipe.channels.shelves import Shelves
from filepipe.channels.upload_activity import UploadActivity
from filepipe.channels.upload_blob import Hashing, Room
from filepipe.channels.upload_files import Files
from filepipe.channels.upload_keys import UploadKeys
from filepipe.channels.upload_plan import UploadRules
from filepipe.errors import (
    Broken,
    Busy,
    Draining,
    FilepipeError,
    Gone,
    NotFound,
)
from filepipe.logs import get_logger
from filepipe.records.database import Database
from filepipe.records.uploads import Upload

log = get_logger("filepipe.uploads")


class OffsetUploads:
    """Every upload that grows by its offset."""

    def __init__(
        self,
        database: Database,
        shelves: Shelves,
        files: Files,
        directory: Directory,
        disk: Budget,
        rules: UploadRules,
        activity: UploadActivity,
    ) -> None:
        self._keys = UploadKeys(directory)
        self._sessions = OffsetSessions(database, shelves, self._keys, disk, rules)
        self._jobs = self._sessions.jobs
        self._run = database.run
        self._shelves = shelves
        self._rules = rules
        self._activity = activity
        self._finishing = Finishing(self._sessions, self._keys, files, rules, activity)
        self._removal = Removal(self._sessions, self._keys, files, activity)
        self._growing = Growing(self._sessions, self._finishing, activity)
        self._contents = Contents(self._sessions, self._keys, files, activity)
        self.chores = Chores(self._sessions, self._keys, self._finishing, self._removal)

    async def find(self, upload_id: str) -> Upload:
        """The record, with an offset that is true. Raises `NotFound`, `Gone`."""
        return await self._run(lambda conn: steps.found(conn, upload_id))

    async def settle(self, upload_id: str) -> Upload:
        """The record, once whoever appends has been ended. Raises `NotFound`, `Gone`, `Busy`."""
        upload = await self.find(upload_id)
        session = self._sessions.get(upload_id)
        if session is None or session.finishing is not None or not session.turns.taken:
            return upload
        async with self._growing.turn(session):
            pass
        return await self.find(upload_id)

    # -- the beginning

    async def begin(self, wish: Wish) -> Upload:
        """Take the key, make room and a record.

        Raises `TooLarge`, `OverBudget`, `Draining`, and as `Directory.enter` and `Shelf.begin` do.
        """
        self._activity.check_draining()
        upload_id = secrets.token_hex(16)
        self._shelves.judge(wish.storage, path_of(upload_id, wish))
        room = self._sessions.new_room(wish.storage, wish.length)
        room.reach(wish.length or 0)
        try:
            self._keys.claim(upload_id, wish.key)
        except FilepipeError:
            room.release()
            raise
        # also when the client leaves now: one that is known has its draft, and the reverse
        return await self._jobs.do(self._begin(upload_id, wish, room))

    async def _begin(self, upload_id: str, wish: Wish, room: Room) -> Upload:
        try:
            path = path_of(upload_id, wish)
            name = path if is_only_written(wish) else None
            draft = await self._shelves.of(wish.storage).begin(upload_id, None, name)
            try:
                upload = new_record(upload_id, wish, draft.handle, self._rules.ttl)
                most = self._rules.max_open
                await self._run(lambda conn: upload_steps.insert(conn, upload, most))
            except BaseException:
                await draft.discard()
                raise
        except BaseException:
            room.release()
            self._keys.drop(upload_id, Broken("the upload did not begin"))
            raise
        self._sessions.keep_room(upload_id, room)
        self._activity.open += 1
        self._sessions.leave(self._sessions.make(upload, draft))
        if ends_by_itself(upload) and is_whole(upload):  # of no bytes
            return await self.complete(upload_id)
        return upload

    # -- growing

    def appending(
        self,
        upload_id: str,
        offset: int,
        *,
        length: int | None = None,
        announced: int | None = None,
        staged: bool = False,
        hashing: Hashing | None = None,
    ) -> contextlib.AbstractAsyncContextManager[Appending]:
        """As `Growing.appending`."""
        return self._growing.appending(
            upload_id, offset, length=length, announced=announced, staged=staged, hashing=hashing
        )

    async def set_length(self, upload_id: str, length: int) -> Upload:
        """Say how long the upload is. Raises `WrongLength`, `NotFound`, `Gone`."""
        upload = await self._run(lambda conn: steps.set_length(conn, upload_id, length))
        if (session := self._sessions.get(upload_id)) is not None:
            session.learn_length(length)
        return upload

    async def feed(self, upload_id: str, hashing: Hashing) -> None:
        """Give `hashing` every byte that is here. Raises `NotFound`, `Gone`, `StorageFailed`."""
        upload = await self.find(upload_id)
        async for data in self._contents.pieces(upload):
            await asyncio.to_thread(hashing.update, data)

    async def concatenate(self, wish: Wish, upload_ids: Sequence[str]) -> Upload:
        """A new upload of the bytes of others, which stay; whole when this returns.

        Raises `BadRequest` where one is not whole or no part of another, `NotFound`, `Gone`, and as
        `begin` does.
        """
        principal = wish.principal
        partials = await self._run(lambda conn: steps.partials(conn, principal, upload_ids))
        length = sum(offset_of(partial) for partial in partials)
        notes = {**wish.notes, **dict((FINAL,))}
        upload = await self.begin(replace(wish, length=length, notes=notes))
        if upload.status != "pending":
            return upload
        await self._jobs.do(self._join(upload, partials))
        return await self.complete(upload.id)

    async def _join(self, upload: Upload, partials: Sequence[Upload]) -> None:
        try:
            async with self.appending(upload.id, 0, announced=upload.total_size) as appending:
                for partial in partials:
                    async for data in self._contents.pieces(partial):
                        await appending.writer.write((data,))
        except FilepipeError:
            await self.cancel(upload.id)
            raise

    # -- finishing

    async def complete(self, upload_id: str) -> Upload:
        """Finish what is here, whose end it is; waits for that, but not for ever.

        Raises `BadRequest` where it is known that bytes are missing, `NotFound`, `Gone`, `Busy`.
        """
        upload = await self.find(upload_id)
        if upload.status != "complete":
            session = self._sessions.of(upload)
            if session.finishing is None:
                await session.turns.take()
                await self._jobs.do(self._finishing.begin(session))
            if (job := session.finishing) is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._rules.complete_wait):
                        await asyncio.shield(job)
        return await self.find(upload_id)

    async def cancel(self, upload_id: str) -> None:
        """Remove the upload and all its bytes, finished or not, and end everybody at it.

        Raises `NotFound`, `Gone`, `Busy`, and `Conflict` while it is being recorded as complete.
        """
        await self._removal.remove(upload_id)

    async def delete(self, channel: Channel) -> None:
        """Remove the upload whose channel this is, if it is still there. Raises `Busy`."""
        upload_id = self._keys.upload_at(channel)
        if upload_id is not None:
            with contextlib.suppress(NotFound, Gone):
                await self.cancel(upload_id)

    # -- reading

    def reading(self, upload: Upload) -> contextlib.AbstractAsyncContextManager[Channel]:
        """As `Contents.reading`."""
        return self._contents.reading(upload)

    # -- the daemon's own

    async def cut(self) -> None:
        """End everybody who appends; what came is recorded when this returns."""

        async def end(session: OffsetSession) -> None:
            with contextlib.suppress(Busy):
                await session.turns.take(Draining("server is shutting down"))
                session.turns.release()

        await asyncio.gather(
            *(end(session) for session in self._sessions if session.finishing is None)
        )

    async def aclose(self) -> None:
        """End everybody; what is recorded stays for the next start, and so does finishing."""
        self._sessions.closed = True
        await self.cut()
        for session in self._sessions:
            if session.finishing is not None:
                session.finishing.cancel()
        await self._jobs.settle()
        await self._sessions.aclose()
        await self._keys.aclose()
