"""Uploads in parts: durable sessions whose parts come in any order.

Rule 1: what is acknowledged is durable: the bytes first, then the record, then the answer.
Rule 2: a part that is recorded is not written over. Sent again it is compared; what differs makes
        the upload forget it, and the sender is asked for it anew.
Rule 3: one job finishes an upload; after a crash in its middle the next start runs it again.
Rule 4: a record goes before its bytes; bytes that no record names are removed at the start.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeVar

from filepipe.accountant import Budget
from filepipe.channels.channel import Channel, Metadata
from filepipe.channels.upload_session import Session, Whole, digest_of, whole
from filepipe.chunks import Plan
from filepipe.errors import (
    BadRequest,
    Busy,
    Conflict,
    Draining,
    FilepipeError,
    Gone,
    NotFound,
    OverBudget,
    TooLarge,
)
from filepipe.logs import get_logger
from filepipe.records import uploads as records
from filepipe.records.database import Database
from filepipe.records.uploads import Part, Upload
from filepipe.storage.interface import Shelf

log = get_logger("filepipe.uploads")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class UploadRules:
    """What the settings say; durations in seconds, sizes in bytes, None for unlimited."""

    ttl: float
    complete_wait: float
    max_size: int | None
    max_open: int
    finishing_at_once: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client wants to upload; `checksum` is the SHA-256 of the whole as hex."""

    path: PurePosixPath
    plan: Plan
    storage: str
    unique: bool
    checksum: str | None
    webhook_url: str | None


class Uploads:
    """Every upload; `on_end` is told of those that were completed or have failed."""

    def __init__(
        self,
        database: Database,
        shelf: Shelf,
        disk: Budget,
        rules: UploadRules,
        on_end: Callable[[Upload], None],
    ) -> None:
        self._database = database
        self._shelf = shelf
        self._disk = disk
        self._rules = rules
        self._on_end = on_end
        self._sessions: dict[str, Session] = {}
        self._opening: dict[str, asyncio.Lock] = {}
        self._finishers = asyncio.Semaphore(rules.finishing_at_once)
        self._taken: dict[str, int] = {}

    async def find(self, upload_id: str) -> Upload:
        """The record. Raises `NotFound`."""
        upload = await self._run(lambda conn: records.find(conn, upload_id))
        if upload is None:
            raise NotFound(f"Upload {upload_id} not found")
        return upload

    async def parts(self, upload_id: str) -> list[Part]:
        """The parts that are here, in order."""
        return await self._run(lambda conn: records.parts(conn, upload_id))

    async def listing(self, principal: str, limit: int, before: float | None) -> list[Upload]:
        """A page of the uploads, the newest first, of those that began before a moment."""
        return await self._run(lambda conn: records.listing(conn, principal, limit, before))

    async def trouble(self) -> str | None:
        """Why nothing can be stored, if so."""
        return await self._shelf.check() or self._database.check()

    def percent(self, upload: Upload) -> int:
        """How far the finishing is."""
        session = self._sessions.get(upload.id)
        return session.percent if session is not None else upload.progress

    # -- the life of an upload

    async def begin(self, principal: str, wanted: Wanted) -> Upload:
        """Make room and a record. Raises `TooLarge`, `OverBudget` and what `Shelf.begin` raises."""
        size = wanted.plan.total_size
        if self._rules.max_size is not None and size > self._rules.max_size:
            raise TooLarge(f"total_size exceeds the limit of {self._rules.max_size} bytes")
        open_now = await self._run(lambda conn: records.count_open(conn, principal))
        if open_now >= self._rules.max_open:
            raise OverBudget("too many open uploads, finish or cancel some", "uploads")
        upload_id = str(uuid.uuid4())
        self._take(upload_id, size)
        try:
            draft = await self._shelf.begin(upload_id, size)
            upload = _record(upload_id, principal, wanted, draft.handle, self._expiry())
            await self._run(lambda conn: records.insert(conn, upload))
        except BaseException:
            self._give_back(upload_id)
            raise
        self._sessions[upload_id] = Session(upload_id, wanted.plan, draft, ())
        return upload

    async def put_part(
        self, upload: Upload, number: int, body: AsyncIterator[bytes]
    ) -> tuple[Part, int]:
        """Take part `number`; the part, and how many parts are here then.

        Raises `BadRequest` where the body has another size, `Busy`, `Conflict`, `Gone` when the
        upload was cancelled, and what `Draft.write` raises.
        """
        session = await self._session(upload)
        async with session.writing(number):
            known = await self._run(lambda conn: records.part(conn, upload.id, number))
            if known is not None:
                await self._compare(session, upload, known, body)
                stored = len(await self.parts(upload.id))
                return known, stored
            if upload.status not in ("pending", "failed"):
                raise Conflict(f"Upload is already {upload.status}")
            digest = await session.store(number, body)
            part = Part(number, plan_of(upload).size_of(number), digest, time.time())
            # also when the sender leaves now: what is durable is recorded
            return part, await asyncio.shield(self._store(session, upload.id, part))

    async def _store(self, session: Session, upload_id: str, part: Part) -> int:
        expires = self._expiry()
        stored = await self._run(lambda conn: records.store_part(conn, upload_id, part, expires))
        session.recorded(part.number)
        return stored

    async def _compare(
        self, session: Session, upload: Upload, part: Part, body: AsyncIterator[bytes]
    ) -> None:
        if await digest_of(body, part.size) == part.sha256:
            return
        if upload.status not in ("pending", "failed"):
            raise BadRequest(f"part {part.number} is stored already, with other content")
        await self._run(lambda conn: records.forget_part(conn, upload.id, part.number))
        session.forgotten(part.number)
        raise Busy(f"part {part.number} was stored with other content, send it again")

    async def complete(self, upload_id: str) -> Upload:
        """Finish what has all its parts; waits for the end, but not for ever.

        Raises `BadRequest` while parts are missing, `NotFound`.
        """
        upload = await self.find(upload_id)
        if upload.status in ("pending", "failed"):
            stored = len(await self.parts(upload_id))
            if stored < upload.total_parts:
                raise BadRequest(f"Not all parts uploaded: {stored}/{upload.total_parts} complete")
            await self._begin_finishing(upload)
        session = self._sessions.get(upload_id)
        if session is not None and session.finishing is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._rules.complete_wait):
                    await asyncio.shield(session.finishing)
        return await self.find(upload_id)

    async def _begin_finishing(self, upload: Upload) -> None:
        if await self._run(lambda conn: records.begin_finalizing(conn, upload.id)):
            self._finish_soon(await self._session(upload), upload)

    async def cancel(self, upload_id: str) -> None:
        """Remove the upload and all its bytes, finished or not. Raises `Conflict`, `NotFound`."""
        upload = await self.find(upload_id)
        await self._run(lambda conn: _delete(conn, upload_id))
        if upload.status == "complete":
            if upload.final_path is not None:
                await self._shelf.remove(upload.final_path)
            return
        session = self._sessions.pop(upload_id, None)
        self._give_back(upload_id)
        if session is None:
            await self._shelf.drop(upload.handle)
        else:
            await session.dismiss(Gone("the upload was cancelled"))
            await session.draft.discard()

    async def touch(self, upload_id: str) -> Upload:
        """Let the upload live on from now."""
        now, expires = time.time(), self._expiry()
        await self._run(lambda conn: records.touch(conn, upload_id, now, expires))
        return await self.find(upload_id)

    # -- finishing

    def _finish_soon(self, session: Session, upload: Upload) -> None:
        session.percent = 0
        session.finishing = asyncio.create_task(self._finish(session, upload))

    async def _finish(self, session: Session, upload: Upload) -> None:
        try:
            async with self._finishers:
                await session.verify(upload.checksum_sha256)
                path = PurePosixPath(upload.folder or "", upload.filename)
                final = await session.draft.publish(path, unique=upload.unique)
        except FilepipeError as error:
            reason = str(error)
            log.warning("upload failed", upload=upload.id, reason=reason)
            await self._run(lambda conn: records.fail(conn, upload.id, reason))
        else:
            expires = self._expiry()
            await self._run(lambda conn: records.complete(conn, upload.id, final, expires))
            self._sessions.pop(upload.id, None)
            self._give_back(upload.id)
            session.end()
        self._on_end(await self.find(upload.id))

    # -- reading

    @contextlib.asynccontextmanager
    async def reading(self, upload: Upload) -> AsyncIterator[Channel]:
        """The content: whole, or what is here without a gap, and then the rest as it comes.

        Raises `NotFound` when somebody has removed the file.
        """
        meta = Metadata(length=upload.total_size, filename=upload.filename)
        if upload.status != "complete":
            yield await (await self._session(upload)).live(meta)
            return
        assert upload.final_path is not None
        kept = await self._shelf.open(upload.final_path)
        try:
            yield await whole(upload.id, Whole(kept), meta)
        finally:
            await kept.close()

    # -- the daemon's own

    async def recover(self) -> None:
        """After a start: remove what no record names, go on with what was being finished."""
        kept = await self._run(records.handles)
        for handle in await self._shelf.drafts():
            if handle not in kept:
                await self._shelf.drop(handle)
        for upload in await self._run(
            lambda conn: records.reset_finalizing(conn, "Server restarted during finalization")
        ):
            await self._begin_finishing(upload)

    async def expire(self) -> int:
        """Remove what nobody has touched for its time; how many that were."""
        count = 0
        now = time.time()
        for upload in await self._run(lambda conn: records.expired(conn, now, 100)):
            if upload.status != "complete":
                with contextlib.suppress(Conflict, NotFound):
                    await self.cancel(upload.id)
                    count += 1
        return count

    async def aclose(self) -> None:
        """End everybody; what is acknowledged stays for the next start."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.dismiss(Draining("server is shutting down"))
            if session.finishing is not None:
                await asyncio.gather(session.finishing, return_exceptions=True)
            await session.draft.close()

    # -- what they share

    async def _session(self, upload: Upload) -> Session:
        """The session, opened anew after a restart. Raises `StorageFailed`."""
        while (session := self._sessions.get(upload.id)) is None:
            lock = self._opening.setdefault(upload.id, asyncio.Lock())
            async with lock:
                if upload.id not in self._sessions:
                    draft = await self._shelf.reopen(upload.handle, upload.total_size)
                    stored = [part.number for part in await self.parts(upload.id)]
                    session = Session(upload.id, plan_of(upload), draft, stored)
                    self._sessions[upload.id] = session
            self._opening.pop(upload.id, None)
        return session

    def _expiry(self) -> float:
        return time.time() + self._rules.ttl

    def _take(self, upload_id: str, size: int) -> None:
        self._disk.take(size)
        self._taken[upload_id] = size

    def _give_back(self, upload_id: str) -> None:
        self._disk.give(self._taken.pop(upload_id, 0))

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._database.run(work)


def plan_of(upload: Upload) -> Plan:
    """Into which parts it is cut."""
    return Plan(upload.total_size, upload.chunk_size, upload.total_parts)


def _delete(connection: sqlite3.Connection, upload_id: str) -> None:
    upload = records.find(connection, upload_id)
    if upload is None:
        raise NotFound(f"Upload {upload_id} not found")
    if upload.status == "finalizing":
        raise Conflict("Upload is finalizing and cannot be cancelled")
    records.delete(connection, upload_id)


def _record(upload_id: str, principal: str, wanted: Wanted, handle: str, expires: float) -> Upload:
    now = time.time()
    folder = str(wanted.path.parent)
    return Upload(
        id=upload_id,
        principal=principal,
        filename=wanted.path.name,
        folder=None if folder == "." else folder,
        storage=wanted.storage,
        handle=handle,
        total_size=wanted.plan.total_size,
        chunk_size=wanted.plan.chunk_size,
        total_parts=wanted.plan.count,
        status="pending",
        unique=wanted.unique,
        checksum_sha256=wanted.checksum,
        webhook_url=wanted.webhook_url,
        final_path=None,
        error=None,
        progress=0,
        created=now,
        active=now,
        expires=expires,
    )
