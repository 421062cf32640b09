"""How an upload that grows by its offset ends: one job publishes its draft and notes it.

Rule 1: the job has the upload's turn until it ends.
Rule 2: the draft gets its name, then the record is complete, then the draft goes. After a crash
        between these the same is done again, with the same name.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import PurePosixPath

from filepipe.channels import offset_steps as steps
from filepipe.channels.offset_plan import in_log, offset_of
from filepipe.channels.offset_session import OffsetSession
from filepipe.channels.offset_sessions import OffsetSessions
from filepipe.channels.opened import Opened
from filepipe.channels.upload_activity import UploadActivity
from filepipe.channels.upload_files import Files
from filepipe.channels.upload_keys import UploadKeys
from filepipe.channels.upload_plan import UploadRules
from filepipe.errors import Broken, FilepipeError, StorageFailed
from filepipe.logs import get_logger
from filepipe.records import uploads as records
from filepipe.records.uploads import Upload
from filepipe.storage.interface import Kept

log = get_logger("filepipe.uploads")


class Finishing:
    """Finishes uploads, so many at once as the rules say."""

    def __init__(
        self,
        sessions: OffsetSessions,
        keys: UploadKeys,
        files: Files,
        rules: UploadRules,
        activity: UploadActivity,
    ) -> None:
        self._sessions = sessions
        self._run = sessions.run
        self._free = sessions.free
        self._keys = keys
        self._files = files
        self._rules = rules
        self._activity = activity
        self._finishers = asyncio.Semaphore(rules.finishing_at_once)

    async def begin(self, session: OffsetSession) -> None:
        """Begin the job that finishes it; lets go of the turn where there is none to begin."""
        begun = False
        try:
            if session.failure is not None:
                raise session.failure
            upload = await self._run(lambda conn: steps.begin_finishing(conn, session.id))
            if upload is not None:
                session.finishing = self._sessions.jobs.start(self._finish(session, upload))
                begun = True
        finally:
            if not begun:
                session.turns.release()
                self._sessions.leave(session)

    async def _finish(self, session: OffsetSession, upload: Upload) -> None:
        try:
            with self._activity.working():
                await self._publish(session, upload)
        except FilepipeError as error:  # it stays as it is; completing it again tries it again
            log.warning("upload cannot be recorded", upload=in_log(upload.id), reason=str(error))
        finally:
            session.finishing = None
            session.turns.release()

    async def _publish(self, session: OffsetSession, upload: Upload) -> None:
        path = PurePosixPath(upload.folder or "", upload.filename)
        async with contextlib.AsyncExitStack() as held:
            try:
                await held.enter_async_context(self._finishers)
                # until it is recorded whose the file is, nobody replaces or removes it
                await held.enter_async_context(self._files.turn(str(path)))
                draft = await held.enter_async_context(session.blob.draft.using())
                final = await draft.publish(path, unique=upload.unique, size=offset_of(upload))
            except FilepipeError as error:
                await self._fail(session, upload, error)
                return
            expires = time.time() + self._rules.ttl
            done = await self._free(lambda conn: steps.complete(conn, upload.id, final, expires))
        await self._end(session, done)

    async def _fail(self, session: OffsetSession, upload: Upload, error: FilepipeError) -> None:
        reason = str(error)
        log.warning("upload failed", upload=in_log(upload.id), reason=reason)
        await self._free(lambda conn: records.fail(conn, upload.id, reason))
        if isinstance(error, StorageFailed):
            self._sessions.abandon(session, error)

    async def _end(self, session: OffsetSession, done: Upload) -> None:
        self._sessions.forget(session)
        self._activity.open -= 1
        session.become(self.whole(done), done)
        if done.key is None:
            self._sessions.give_back(done.id)
            self._keys.drop(done.id, Broken("the upload was ended"))
        await self._sessions.discard(done, session)

    def whole(self, upload: Upload) -> Opened[Kept]:
        """The finished object, opened when somebody reads it."""
        return Opened(lambda: self._files.open(upload))
