"""The uploads that somebody is at: each opened when it is needed, and closed when nobody is left.

Rule 1: one draft of an upload is open at a time: whoever opens, closes or removes one does it in
        its turn, and waits for those who let go of it.
Rule 2: whoever works on a session is counted as long as that takes; what is closed has nobody.
Rule 3: what nobody uses stays open for a while, but only so much of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from filepipe.channels import upload_steps as steps
from filepipe.channels.one_by_one import OneByOne, ToTheEnd
from filepipe.channels.opened import idle_drafts
from filepipe.channels.shelves import Shelves
from filepipe.channels.upload_plan import plan_of
from filepipe.channels.upload_session import Session
from filepipe.channels.upload_steps import Run
from filepipe.errors import FilepipeError
from filepipe.records.uploads import Upload


class Sessions:
    """The open sessions by upload; `run` does one transaction."""

    def __init__(self, run: Run, shelves: Shelves, jobs: ToTheEnd) -> None:
        self._run = run
        self._shelves = shelves
        self._jobs = jobs
        self._open: dict[str, Session] = {}
        self._turns = OneByOne()
        self._failure: FilepipeError | None = None

    def __len__(self) -> int:
        return len(self._open)

    def get(self, upload_id: str) -> Session | None:
        """The session, if it is open."""
        return self._open.get(upload_id)

    async def add(self, session: Session) -> None:
        """A new upload begins; after `cut` it is closed at once."""
        if self._failure is not None:
            await session.draft.close()
        else:
            self._open[session.id] = session
            self._rest_oldest()

    @contextlib.asynccontextmanager
    async def using(self, upload: Upload) -> AsyncIterator[Session]:
        """The session, opened if it is not.

        Raises `NotFound`, `Busy` when the upload has just been completed, `StorageFailed`.
        """
        while (session := self._open.get(upload.id)) is None:
            await self._jobs.do(self._opened(upload))
        try:
            with session.used():
                yield session
        finally:
            self._rest_oldest()

    async def _opened(self, upload: Upload) -> None:
        async with self._turns.turn(upload.id):
            if upload.id in self._open:
                return
            self.check_cut()
            stored = await self._run(lambda conn: steps.numbers(conn, upload.id))
            plan = plan_of(upload)
            shelf = self._shelves.of(upload.storage)
            draft = await shelf.reopen(upload.handle, plan.total_size)
            await self.add(Session(upload.id, plan, draft, stored, self._jobs))
            self.check_cut()

    def check_cut(self) -> None:
        """Raise what `cut` was given."""
        if self._failure is not None:
            raise self._failure

    @contextlib.asynccontextmanager
    async def removing(self, upload_id: str) -> AsyncIterator[None]:
        """Nobody opens the upload meanwhile."""
        async with self._turns.turn(upload_id):
            yield

    def taken(self, upload_id: str) -> Session | None:
        """The session, which is the caller's to end from now on."""
        return self._open.pop(upload_id, None)

    async def abandon(self, session: Session, failure: FilepipeError) -> None:
        """Let go of a draft that has failed; what is recorded of it is opened anew."""
        if self._open.get(session.id) is session:
            await self._jobs.do(self._abandon(session, failure))

    async def _abandon(self, session: Session, failure: FilepipeError) -> None:
        async with self._turns.turn(session.id):
            if self._open.get(session.id) is not session:
                return
            del self._open[session.id]
            await session.dismiss(failure)
            await session.draft.close()

    async def rest(self, seconds: float) -> int:
        """Close what nobody has used for so long; how many that were."""
        limit = time.monotonic() - seconds
        resting = self._unused_since(limit)
        for session in resting:
            await self._rest(session, limit)
        return len(resting)

    def _rest_oldest(self) -> None:
        """Let those go that have been unused for longest, where too many are open."""
        unused = self._unused_since(time.monotonic())
        for session in unused[: max(0, len(unused) - idle_drafts())]:
            self._jobs.start(self._rest(session, time.monotonic()))

    def _unused_since(self, limit: float) -> list[Session]:
        unused = [session for session in self._open.values() if session.unused_since(limit)]
        return sorted(unused, key=lambda session: session.left)

    async def _rest(self, session: Session, limit: float) -> None:
        async with self._turns.turn(session.id):
            if self._open.get(session.id) is session and session.unused_since(limit):
                del self._open[session.id]
                await session.draft.close()

    async def cut(self, failure: FilepipeError) -> None:
        """End everybody, and open nothing any more; what is acknowledged stays."""
        self._failure = failure
        await asyncio.gather(*(session.stop(failure) for session in self._open.values()))

    async def aclose(self) -> None:
        """Let go of every draft; after `cut`."""
        await self._jobs.settle()
        sessions, self._open = self._open, {}
        for session in sessions.values():
            await session.draft.close()
