"""One file on its way in parts: several side by side, each again until it is there.

Rule 1: a part counts when the server says the SHA-256 of what arrived and it is that of what was
        read here. So the whole is verified without a byte being read twice.
Rule 2: a part that an earlier run sent counts by its noted hash; one that is not noted is read.
Rule 3: a file that changes meanwhile ends it, and the server is told to drop what it has.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeVar

from filepipe.chunks import Plan
from filepipe.client.backoff import Backoff
from filepipe.client.blocking import BlockingThread
from filepipe.client.errors import (
    ClientError,
    Interrupted,
    NotThere,
    Refused,
    SourceChanged,
    Unreachable,
)
from filepipe.client.part_file import PartFile
from filepipe.client.part_meter import Meter, Tally
from filepipe.client.parts_api import PartsApi, UploadInfo, gone
from filepipe.client.resume import TRANSIENT
from filepipe.client.source import Body
from filepipe.client.upload_note import Note, NoteFile

T = TypeVar("T")

# A line that damages so many parts will not bring them.
MOST_DAMAGED: Final = 5
_LAST_WORD_SECONDS: Final = 5.0
_POLL_SECONDS: Final = (0.2, 5.0)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the server is asked for; None leaves it to the server, and `checksum` is not verified.

    `checksum` is the SHA-256 of the whole, as hex; `overwrite` whether to replace a file of that
    path; `storage` where the file shall be.
    """

    path: str
    checksum: str | None
    overwrite: bool | None
    storage: str | None


class Mismatch(ClientError):
    """What the server has of an upload is not of this file."""


@dataclass(slots=True)
class _Work:
    """An upload that is under way: the parts to be sent, and those to be compared first."""

    note: Note
    plan: Plan
    tokens: dict[int, str]
    queue: deque[int]
    stored: dict[int, str | None] = field(default_factory=dict)
    damaged: int = 0

    def damage(self, number: int) -> ClientError:
        """What to raise when a part is not on the server what it is here."""
        self.damaged += 1
        if self.damaged > MOST_DAMAGED:
            return ClientError(f"part {number} arrived damaged, as others did before")
        return Interrupted(f"part {number} arrived damaged", 0)


class UploadRun:
    """Brings one file to one server; `run` it once. `notes` None leaves nothing to resume from."""

    def __init__(
        self,
        api: PartsApi,
        file: PartFile,
        notes: NoteFile | None,
        wish: Wish,
        backoff: Backoff,
        tally: Tally,
    ) -> None:
        self._api = api
        self._file = file
        self._notes = notes
        self._wish = wish
        self._backoff = backoff
        self._tally = tally
        self._renewing = asyncio.Lock()
        self._thread = BlockingThread()
        self._work: _Work | None = None

    async def run(self, senders: int) -> UploadInfo:
        """Return when the file is complete there; an earlier run's parts are not sent again."""
        if self._notes is None:
            return await self._take_up(None, senders)
        with BlockingThread() as self._thread:
            noted = await self._thread.call(self._notes.open)
            try:
                return await self._take_up(noted, senders)
            finally:
                await self._save(now=True)
                await self._thread.call(self._notes.close)

    async def _take_up(self, noted: Note | None, senders: int) -> UploadInfo:
        found = await self._find(noted) if noted is not None else None
        if found is not None and found.status == "complete":
            await self._forget()
            return found
        try:
            return await self._bring(found, noted, senders)
        except Mismatch:
            if found is None:
                raise
            # An earlier run's upload is of no use after all.
            await self._drop(found.id)
            return await self._bring(None, None, senders)

    async def _save(self, *, now: bool = False) -> None:
        if self._notes is not None and self._work is not None:
            note = self._work.note
            seen = replace(note, hashes=dict(note.hashes))
            await self._thread.call(partial(self._notes.save, seen, now=now))

    async def _forget(self) -> None:
        self._work = None
        if self._notes is not None:
            await self._thread.call(self._notes.forget)

    # -- where to begin

    async def _find(self, note: Note) -> UploadInfo | None:
        """Return an earlier run's upload if it can be gone on with."""
        if note.facts != self._file.facts:
            await self._drop(note.id)
            return None
        try:
            info = await self._api.status(note.id)
        except Refused as why:
            if not gone(why):
                raise
            return None
        fits = (info.size, info.chunk_size) == (note.facts.size, note.chunk_size)
        return info if fits else None

    async def _bring(
        self, found: UploadInfo | None, noted: Note | None, senders: int
    ) -> UploadInfo:
        if found is None or noted is None:
            work = await self._begin()
        else:
            work = await self._go_on(found, noted)
        self._work = work
        await self._save(now=True)
        try:
            await self._send_all(work, senders)
            info = await self._complete(work, senders)
        except SourceChanged:
            await self._drop(work.note.id)
            raise
        await self._forget()
        return info

    async def _begin(self) -> _Work:
        facts, wish = self._file.facts, self._wish
        begun = await self._api.begin(
            wish.path,
            facts.size,
            checksum_sha256=wish.checksum,
            overwrite=wish.overwrite,
            storage=wish.storage,
        )
        plan = Plan(facts.size, begun.chunk_size, len(begun.tokens))
        note = Note(begun.id, facts, begun.chunk_size)
        return _Work(note, plan, dict(begun.tokens), deque(range(plan.count)))

    async def _go_on(self, found: UploadInfo, note: Note) -> _Work:
        plan = Plan(note.facts.size, note.chunk_size, found.total_parts or 0)
        work = _Work(note, plan, {}, deque())
        for number in range(plan.count):
            if number not in found.checksums:
                work.queue.append(number)
            elif (said := found.checksums[number]) == note.hashes.get(number):
                self._tally.stored(plan.size_of(number))
            else:
                work.stored[number] = said
                work.queue.append(number)
        if found.status in {"pending", "failed"} and set(work.queue) - work.stored.keys():
            work.tokens = await self._api.tokens(note.id)
        return work

    async def _drop(self, upload_id: str) -> None:
        """Tell the server, as well as that goes; what it does not hear of expires there."""
        await self._forget()
        with contextlib.suppress(ClientError, TimeoutError):
            async with asyncio.timeout(_LAST_WORD_SECONDS):
                await self._api.remove(upload_id)

    # -- the parts

    async def _send_all(self, work: _Work, senders: int) -> None:
        self._tally.show()
        tasks = [
            asyncio.create_task(self._sender(work)) for _ in range(min(senders, len(work.queue)))
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _sender(self, work: _Work) -> None:
        with BlockingThread() as thread:
            while work.queue:
                number = work.queue.popleft()
                try:
                    checksum = await self._part(work, number, thread)
                except (Unreachable, Interrupted, Refused) as why:
                    # The others go first: another connection may still hold this one.
                    work.queue.append(number)
                    await self._pause(why)
                else:
                    await self._arrived(work, number, checksum)

    async def _part(self, work: _Work, number: int, thread: BlockingThread) -> str:
        """Bring one part there, or find that it is; return its SHA-256 as hex."""
        if number in work.stored:
            return await self._compare(work, number, thread)
        token = work.tokens.get(number) or await self._renewed(work, number, None)
        if token is None:
            return await self._compare(work, number, thread)
        try:
            return await self._send(work, number, token, thread)
        except Refused as why:
            if why.status != 401:
                raise
        token = await self._renewed(work, number, token)
        if token is None:
            return await self._compare(work, number, thread)
        return await self._send(work, number, token, thread)

    async def _send(self, work: _Work, number: int, token: str, thread: BlockingThread) -> str:
        size, digest = work.plan.size_of(number), hashlib.sha256()
        chunks = self._file.read(work.plan.offset_of(number), size, digest, thread)
        with Meter(self._tally, size) as meter:
            async with meter.patience():
                said = await self._api.send_part(
                    work.note.id, number, token, Body(chunks, size), meter
                )
            self._file.check()
            if said != digest.hexdigest():
                raise work.damage(number)
        return digest.hexdigest()

    async def _compare(self, work: _Work, number: int, thread: BlockingThread) -> str:
        """Read a part that the server has; raises `Mismatch` if it is another."""
        size, digest = work.plan.size_of(number), hashlib.sha256()
        async for _ in self._file.read(work.plan.offset_of(number), size, digest, thread):
            pass
        self._file.check()
        checksum = digest.hexdigest()
        if work.stored.get(number) != checksum:
            raise Mismatch(f"the server has another part {number} than this file")
        return checksum

    async def _arrived(self, work: _Work, number: int, checksum: str) -> None:
        self._backoff.progress()
        self._tally.stored(work.plan.size_of(number))
        work.note.hashes[number] = checksum
        await self._save()

    async def _renewed(self, work: _Work, number: int, used: str | None) -> str | None:
        """Return a newer token than the one that was `used`; None: the part is stored already."""
        async with self._renewing:
            if work.tokens.get(number) == used:
                work.tokens = await self._api.tokens(work.note.id)
            if (token := work.tokens.get(number)) is None:
                info = await self._api.status(work.note.id)
                work.stored = dict(info.checksums)
            return token

    async def _pause(self, why: ClientError) -> None:
        """Wait before the next try; raises `why` if there is to be none."""
        if isinstance(why, Refused) and why.status not in TRANSIENT:
            raise why
        pause = self._backoff.pause()
        if pause is None:
            raise Interrupted(f"gave up: {why}", self._tally.done) from why
        self._tally.note(f"{why}: trying again")
        wanted = why.retry_after if isinstance(why, Refused) else 0.0
        await asyncio.sleep(max(pause, min(wanted, self._backoff.left())))

    # -- the end

    async def _complete(self, work: _Work, senders: int) -> UploadInfo:
        self._file.check()
        while True:
            try:
                info = await self._insist(lambda: self._api.complete(work.note.id))
                break
            except Refused as why:
                if why.status != 400 or not await self._missing(work):
                    raise
                await self._pause(Interrupted(str(why), 0))
            await self._send_all(work, senders)
        pause, longest = _POLL_SECONDS
        while info.status == "finalizing":
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)
            info = await self._insist(lambda: self._api.status(work.note.id))
        if info.status != "complete":
            raise ClientError(f"the server could not finish it: {info.error or info.status}")
        return info

    async def _missing(self, work: _Work) -> bool:
        """Queue what the server has lost; whether that is anything."""
        info = await self._insist(lambda: self._api.status(work.note.id))
        lost = [number for number in range(work.plan.count) if number not in info.checksums]
        work.queue.extend(lost)
        work.stored.clear()
        self._tally.stored(-sum(work.plan.size_of(number) for number in lost))
        return bool(lost)

    async def _insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                answer = await ask()
            except (Unreachable, Interrupted, Refused) as why:
                if isinstance(why, NotThere):
                    raise
                await self._pause(why)
            else:
                self._backoff.progress()
                return answer
