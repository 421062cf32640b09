"""How an upload that grows by its offset goes: with its file, or before it ever had one.

Rule 1: of what is not complete the record goes before the bytes, which the next start would find;
        of what is complete the file goes before the record, which names it.
Rule 2: whoever removes has the upload's turn, and of a file that of its name.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from filepipe.channels import offset_steps as steps
from filepipe.channels.offset_session import OffsetSession
from filepipe.channels.offset_sessions import OffsetSessions
from filepipe.channels.upload_activity import UploadActivity
from filepipe.channels.upload_files import Files
from filepipe.channels.upload_keys import UploadKeys
from filepipe.errors import Gone
from filepipe.records.uploads import Upload


class Removal:
    """Removes uploads and ends whoever is at them."""

    def __init__(
        self,
        sessions: OffsetSessions,
        keys: UploadKeys,
        files: Files,
        activity: UploadActivity,
    ) -> None:
        self._sessions = sessions
        self._run = sessions.run
        self._keys = keys
        self._files = files
        self._activity = activity

    async def remove(self, upload_id: str, since: float | None = None) -> None:
        """Remove the upload and all its bytes; with `since`, a time, only if it had expired then.

        Raises `NotFound`, `Gone`, `Busy`, and `Conflict` where somebody has gone on with it or it
        is being recorded as complete.
        """
        await self._sessions.jobs.do(self._remove(upload_id, since))

    async def _remove(self, upload_id: str, since: float | None) -> None:
        upload = await self._run(lambda conn: steps.expired(conn, upload_id, since))
        if upload.status == "complete":
            await self._remove_file(upload)
            return
        session = self._sessions.of(upload)
        async with self._alone(session):
            # by now it may be complete, or another session has it
            if session.failure is None and self._sessions.get(upload_id) is session:
                await self._remove_draft(session, since)
                return
        await self._remove(upload_id, since)

    @contextlib.asynccontextmanager
    async def _alone(self, session: OffsetSession) -> AsyncIterator[None]:
        await session.turns.take(_gone())
        try:
            yield
        finally:
            session.turns.release()

    async def _remove_draft(self, session: OffsetSession, since: float | None) -> None:
        upload = await self._sessions.free(lambda conn: steps.remove_open(conn, session.id, since))
        self._activity.open -= 1
        session.failure = _gone()
        self._sessions.forget(session)
        self._keys.drop(upload.id, _gone())
        try:
            await self._sessions.discard(upload, session)
        finally:
            self._sessions.give_back(upload.id)

    async def _remove_file(self, upload: Upload) -> None:
        await self._files.remove(upload, steps.remove)
        self._keys.drop(upload.id, _gone())
        self._sessions.give_back(upload.id)


def _gone() -> Gone:
    return Gone("the upload was cancelled")
