"""Uploads in parts: durable sessions whose parts come in any order.

Rule 1: what is acknowledged is durable: the bytes first, then the record, then the answer.
Rule 2: a part that is recorded is not written over. Sent again it is compared; what differs makes
        the upload forget it, and the sender is asked for it anew.
Rule 3: one job finishes an upload; after a crash in its middle the next start runs it again.
Rule 4: a record goes before its bytes; bytes that no record names are removed at the start. Only a
        finished file goes before its record: nobody would look for it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Callable
from pathlib import PurePosixPath

from filepipe.accountant import Budget
from filepipe.channels import upload_steps as steps
from filepipe.channels.channel import Channel, Metadata
from filepipe.channels.one_by_one import ToTheEnd
from filepipe.channels.shelves import Orphan, Shelves
from filepipe.channels.upload_activity import UploadActivity
from filepipe.channels.upload_bodies import digest_of
from filepipe.channels.upload_files import Files
from filepipe.channels.upload_plan import UploadRules, Wanted, new_record, plan_of
from filepipe.channels.upload_queries import UploadQueries
from filepipe.channels.upload_session import Session
from filepipe.channels.upload_sessions import Sessions
from filepipe.errors import (
    BadRequest,
    Busy,
    Conflict,
    Draining,
    FilepipeError,
    Gone,
    NotFound,
    StorageFailed,
    TooLarge,
)
from filepipe.logs import get_logger
from filepipe.records import uploads as records
from filepipe.records.database import Database
from filepipe.records.uploads import Part, Upload
from filepipe.storage.interface import Traits

log = get_logger("filepipe.uploads")


class Uploads(UploadQueries):
    """Every upload; `on_end` is told of those that were completed or have failed."""

    def __init__(
        self,
        database: Database,
        shelves: Shelves,
        disk: Budget,
        rules: UploadRules,
        on_end: Callable[[Upload], None],
        activity: UploadActivity,
    ) -> None:
        super().__init__(database, rules)
        self._shelves = shelves
        self._disk = disk
        self._on_end = on_end
        self._activity = activity
        self._jobs = ToTheEnd()
        self._sessions = Sessions(self._run, shelves, self._jobs)
        self.files = Files(self._run, self._free, shelves)
        self._finishers = asyncio.Semaphore(rules.finishing_at_once)
        self._taken: dict[str, int] = {}
        self._orphans: list[Orphan] = []

    def traits(self, storage: str) -> Traits:
        """What a plan has to know of the storage. Raises `Unavailable`."""
        return self._shelves.of(storage).traits

    async def trouble(self) -> str | None:
        """Why nothing can be stored, if so."""
        shelf = self._shelves.of(self._shelves.default)
        return await shelf.check() or self.database.check()

    def percent(self, upload: Upload) -> int:
        """How far the finishing is."""
        session = self._sessions.get(upload.id)
        return session.percent if session is not None else upload.progress

    # -- the life of an upload

    async def begin(self, principal: str, wanted: Wanted) -> Upload:
        """Make room and a record. Raises `TooLarge`, `OverBudget` and what `Shelf.begin` raises."""
        self._activity.check_draining()
        size = wanted.plan.total_size
        if self._rules.max_size is not None and size > self._rules.max_size:
            raise TooLarge(f"total_size exceeds the limit of {self._rules.max_size} bytes")
        self._shelves.judge(wanted.storage, wanted.path)
        # also when the client leaves now: one that is known has its draft, and the reverse
        return await self._jobs.do(self._begin(str(uuid.uuid4()), principal, wanted))

    async def _begin(self, upload_id: str, principal: str, wanted: Wanted) -> Upload:
        shelf, size = self._shelves.of(wanted.storage), wanted.plan.total_size
        if shelf.traits.local_disk:
            self._disk.take(size)
            self._taken[upload_id] = size
        try:
            # a whole that is to be verified first is not made under its name
            name = wanted.path if wanted.checksum is None else None
            draft = await shelf.begin(upload_id, size, name)
            try:
                upload = new_record(upload_id, principal, wanted, draft.handle, self._expiry())
                await self._run(lambda conn: steps.insert(conn, upload, self._rules.max_open))
            except BaseException:
                await draft.discard()
                raise
        except BaseException:
            self._give_back(upload_id)
            raise
        await self._sessions.add(Session(upload_id, wanted.plan, draft, (), self._jobs))
        self._activity.open += 1
        return upload

    async def put_part(
        self, upload: Upload, number: int, body: AsyncIterable[bytes]
    ) -> tuple[Part, int]:
        """Take part `number`; the part, and how many parts are here then.

        Raises `BadRequest` where the body has another size, `Busy`, `Conflict`, `Gone` when the
        upload was cancelled, and what `Draft.write` raises.
        """
        self._activity.check_draining()
        with self._activity.working():
            if upload.status == "complete":
                return await self._put_again(None, upload, number, body)
            async with self._sessions.using(upload) as session:
                try:
                    async with session.writing(number, body) as heard:
                        return await self._put(session, upload, number, heard)
                except StorageFailed as error:
                    await self._sessions.abandon(session, error)
                    raise

    async def _put(
        self, session: Session, upload: Upload, number: int, body: AsyncIterable[bytes]
    ) -> tuple[Part, int]:
        if session.has(number):
            return await self._put_again(session, upload, number, body)
        digest = await session.store(number, body)
        part = Part(number, plan_of(upload).size_of(number), digest, time.time())
        # also when the sender leaves now: what is durable is recorded
        return part, await self._jobs.do(self._store(session, upload.id, part))

    async def _store(self, session: Session, upload_id: str, part: Part) -> int:
        expires = self._expiry()
        stored = await self._run(lambda conn: records.store_part(conn, upload_id, part, expires))
        session.recorded(part.number)
        self._activity.stored += 1
        return stored

    async def _put_again(
        self, session: Session | None, upload: Upload, number: int, body: AsyncIterable[bytes]
    ) -> tuple[Part, int]:
        known = await self._run(lambda conn: records.part(conn, upload.id, number))
        if known is None:
            raise NotFound(f"Upload {upload.id} not found")
        if await digest_of(body, known.size) == known.sha256:
            return known, await self.stored_parts(upload.id)
        if not await self._jobs.do(self._forget(session, upload.id, number)):
            raise BadRequest(f"part {number} is stored already, with other content")
        raise Busy(f"part {number} was stored with other content, send it again")

    async def _forget(self, session: Session | None, upload_id: str, number: int) -> bool:
        forgotten = await self._run(lambda conn: steps.forget_part(conn, upload_id, number))
        if forgotten and session is not None:
            session.forgotten(number)
        return forgotten

    async def complete(self, upload_id: str) -> Upload:
        """Finish what has all its parts; waits for the end, but not for ever.

        Raises `BadRequest` while parts are missing, `NotFound`.
        """
        upload = await self.find(upload_id)
        if upload.status != "complete" and (job := await self._finishing(upload)) is not None:
            await asyncio.wait({job}, timeout=self._rules.complete_wait)
        return await self.find(upload_id)

    async def _finishing(self, upload: Upload) -> asyncio.Task[None] | None:
        """The job that finishes the upload, begun if there is none; None when it is finished."""
        async with self._sessions.using(upload) as session:
            if session.finishing is None:
                due = await self._run(lambda conn: steps.begin_finishing(conn, upload.id))
                self._sessions.check_cut()
                if due and session.finishing is None:  # nobody else began it meanwhile
                    session.percent = 0
                    session.finishing = self._jobs.start(self._finish(session, upload))
            return session.finishing

    async def cancel(self, upload_id: str) -> None:
        """Remove the upload and all its bytes, finished or not. Raises `Conflict`, `NotFound`."""
        await self._jobs.do(self._cancel(upload_id))

    async def _cancel(self, upload_id: str, since: float | None = None) -> None:
        async with self._sessions.removing(upload_id):
            upload = await self._free(lambda conn: steps.remove(conn, upload_id, since))
            if upload.status != "complete":
                await self._remove_draft(upload)
                return
        await self.files.remove(upload)

    async def _remove_draft(self, upload: Upload) -> None:
        self._activity.open -= 1
        session = self._sessions.taken(upload.id)
        try:
            if session is None:
                await self._shelves.of(upload.storage).drop(upload.handle)
            else:
                await session.dismiss(Gone("the upload was cancelled"))
                await session.draft.discard()
        finally:
            self._give_back(upload.id)

    # -- finishing

    async def _finish(self, session: Session, upload: Upload) -> None:
        try:
            with self._activity.working():
                await self._publish(session, upload)
                self._on_end(await self.find(upload.id))
        except FilepipeError as error:  # it stays as it is; completing it again tries it again
            log.warning("upload cannot be recorded", upload=upload.id, reason=str(error))
        finally:
            session.finishing = None

    async def _publish(self, session: Session, upload: Upload) -> None:
        path = PurePosixPath(upload.folder or "", upload.filename)
        async with contextlib.AsyncExitStack() as held:
            try:
                async with self._finishers:
                    await session.verify(upload.checksum_sha256)
                    # until it is recorded whose the file is, nobody replaces or removes it
                    await held.enter_async_context(self.files.turn(str(path)))
                    final = await session.publish(path, unique=upload.unique)
            except FilepipeError as error:
                await self._fail(session, upload, error)
                return
            expires = self._expiry()
            await self._free(lambda conn: steps.complete(conn, upload.id, final, expires))
        self._sessions.taken(upload.id)
        self._activity.open -= 1
        self._give_back(upload.id)
        session.end()

    async def _fail(self, session: Session, upload: Upload, error: FilepipeError) -> None:
        reason = str(error)
        log.warning("upload failed", upload=upload.id, reason=reason)
        await self._free(lambda conn: records.fail(conn, upload.id, reason))
        if isinstance(error, StorageFailed):
            await self._sessions.abandon(session, error)

    # -- reading

    @contextlib.asynccontextmanager
    async def reading(self, upload: Upload) -> AsyncIterator[Channel]:
        """The content: whole, or what is here without a gap, and then the rest as it comes.

        Raises `NotFound` when somebody has removed the file.
        """
        meta = Metadata(upload.total_size, filename=upload.filename)
        if upload.status == "complete":
            with self._activity.working():
                async with self.files.reading(upload, meta) as channel:
                    yield channel
            return
        if not self._shelves.of(upload.storage).traits.live:
            raise Conflict("the upload is not complete, and its storage shows only wholes")
        async with self._sessions.using(upload) as session:
            yield await session.live(meta)

    async def address(self, upload: Upload) -> str | None:
        """Where else the content can be read, if the storage has such a place for it."""
        return await self.files.address(upload) if upload.status == "complete" else None

    # -- the daemon's own

    async def recover(self) -> None:
        """After a start: find what no record names, go on with what was being finished."""
        kept = await self._run(records.handles)
        self._activity.open = len(kept)
        for upload in await self._run(records.open_in_parts):
            if self._shelves.on_local_disk(upload.storage):
                self._taken[upload.id] = plan_of(upload).total_size
                self._disk.adopt(self._taken[upload.id])
        self._orphans = await self._shelves.orphans(kept)
        for upload in await self._run(
            lambda conn: records.reset_finalizing(conn, "Server restarted during finalization")
        ):
            try:
                await self._finishing(upload)
            except FilepipeError as error:  # it stays failed
                log.warning("upload cannot be finished", upload=upload.id, reason=str(error))

    async def tidy(self) -> None:
        """Remove what `recover` has found; a storage that does not answer keeps it waiting."""
        orphans, self._orphans = self._orphans, []
        await self._shelves.drop(orphans)

    async def expire(self) -> int:
        """Remove what nobody has finished or touched for its time; how many that were."""
        count = 0
        now = time.time()
        for upload in await self._run(lambda conn: records.expired(conn, now, 100)):
            session = self._sessions.get(upload.id)
            if session is None or not session.receiving:
                with contextlib.suppress(Conflict, NotFound):
                    await self._jobs.do(self._cancel(upload.id, since=now))
                    count += 1
        return count

    async def rest(self, seconds: float) -> int:
        """Close the drafts that nobody has used for so long; how many that were."""
        return await self._sessions.rest(seconds)

    async def cut(self) -> None:
        """End everybody; what is acknowledged stays for the next start, and so does finishing."""
        await self._sessions.cut(Draining("server is shutting down"))

    async def aclose(self) -> None:
        """Let go of everything, after `cut`."""
        await self.cut()
        await self._sessions.aclose()

    # -- what they share

    def _give_back(self, upload_id: str) -> None:
        self._disk.give(self._taken.pop(upload_id, 0))
