"""How an upload grows by its offset: whose turn it is, what they send, what stays of it.

Rule 1: who leaves, however they leave, first has what came made durable and recorded, and holds the
        turn until then.
Rule 2: bytes that cannot be made durable are forgotten, and so is the session that had them.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator

from filepipe.channels import offset_steps as steps
from filepipe.channels.offset_finishing import Finishing
from filepipe.channels.offset_session import Appending, OffsetSession, keeping_pace
from filepipe.channels.offset_sessions import OffsetSessions
from filepipe.channels.upload_activity import UploadActivity
from filepipe.channels.upload_blob import Hashing
from filepipe.errors import Busy, Conflict, FilepipeError, Gone, NotFound


class Growing:
    """Lets one request at a time append to an upload."""

    def __init__(
        self, sessions: OffsetSessions, finishing: Finishing, activity: UploadActivity
    ) -> None:
        self._sessions = sessions
        self._run = sessions.run
        self._finishing = finishing
        self._activity = activity

    @contextlib.asynccontextmanager
    async def appending(
        self,
        upload_id: str,
        offset: int,
        *,
        length: int | None = None,
        announced: int | None = None,
        staged: bool = False,
        hashing: Hashing | None = None,
    ) -> AsyncIterator[Appending]:
        """Be the one who appends at `offset`; on leaving, what came is durable and recorded.

        `length` is what the whole upload is said to have, `announced` how many bytes come now,
        where that is known: only then the kernel may write them. With `staged` nothing stays and
        nothing is read unless `commit` was called; `hashing` gets every byte that comes.
        Raises `NotFound`, `Gone`, `WrongOffset`, `WrongLength`, `Conflict` when it takes no bytes,
        `PastLength`, `TooLarge`, `OverBudget`, `Busy`, `Draining`, and `Broken` inside when another
        request comes.
        """
        self._activity.check_draining()
        upload = await self._run(lambda conn: steps.found(conn, upload_id))
        with self._activity.working():
            session = self._sessions.of(upload)
            async with self.turn(session):
                await self._admit(session, offset, length)
                async with self._writing(session, announced, staged, hashing) as appending:
                    yield appending

    async def _admit(self, session: OffsetSession, offset: int, length: int | None) -> None:
        try:
            upload = await self._run(lambda conn: steps.admit(conn, session.id, offset, length))
        except (NotFound, Gone):
            self._sessions.withdraw(session)
            raise
        if upload.status == "complete":
            self._sessions.withdraw(session)
            raise Conflict("the upload is complete")
        if upload.status == "finalizing":
            raise Busy("the upload is being finished, try again later")
        if upload.total_size is not None:
            session.learn_length(upload.total_size)

    @contextlib.asynccontextmanager
    async def _writing(
        self,
        session: OffsetSession,
        announced: int | None,
        staged: bool,
        hashing: Hashing | None,
    ) -> AsyncIterator[Appending]:
        if announced is not None:
            session.blob.room.reach(session.blob.size + announced)
        appending = Appending(session, session.intake(staged=staged), staged=staged)
        blob = appending.blob
        blob.announced, blob.hashing = announced is not None, hashing
        try:
            async with session.turns.endable(), appending.writer:
                if staged:
                    yield appending
                else:
                    async with keeping_pace(
                        session, functools.partial(self._sessions.secure, session)
                    ):
                        yield appending
        finally:
            blob.announced, blob.hashing = False, None

    @contextlib.asynccontextmanager
    async def turn(self, session: OffsetSession) -> AsyncIterator[None]:
        """Be the only one at the upload; on leaving, what came is durable and recorded."""
        await session.turns.take()
        left = False
        try:
            if session.failure is not None:
                raise session.failure
            yield
            left = True
        finally:
            leaving = self._sessions.jobs.do(self._leave(session))
            if left:
                await leaving
            else:  # there is a better reason to tell already
                with contextlib.suppress(FilepipeError):
                    await leaving

    async def _leave(self, session: OffsetSession) -> None:
        whole = False
        try:
            await self._secure(session)
            whole = session.failure is None and session.ends_here
        finally:
            if not whole:
                session.turns.release()
                self._sessions.leave(session)
        if whole:
            await self._finishing.begin(session)

    async def _secure(self, session: OffsetSession) -> None:
        if session.failure is not None:
            return
        try:
            await self._sessions.secure(session)
        except FilepipeError as error:
            self._sessions.abandon(session, error)
            raise
        session.catch_up()
