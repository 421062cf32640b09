"""What is to be done for uploads that grow by their offset at the start, and now and then."""

from __future__ import annotations

import contextlib
import functools
import time

from filepipe.channels import offset_steps as steps
from filepipe.channels.offset_finishing import Finishing
from filepipe.channels.offset_plan import FINAL, ends_by_itself, in_log, is_whole, notes_of
from filepipe.channels.offset_removal import Removal
from filepipe.channels.offset_session import show
from filepipe.channels.offset_sessions import OffsetSessions
from filepipe.channels.upload_keys import UploadKeys
from filepipe.errors import Busy, Conflict, FilepipeError, Gone, NotFound
from filepipe.logs import get_logger
from filepipe.records import offsets, tombstones
from filepipe.records import uploads as records
from filepipe.records.uploads import Upload

log = get_logger("filepipe.uploads")

REMEMBERED = 24 * 3600.0
"""Seconds for which the id of an upload that is gone is known."""


class Chores:
    """Begins where a crash has ended, and removes what nobody wants any more."""

    def __init__(
        self,
        sessions: OffsetSessions,
        keys: UploadKeys,
        finishing: Finishing,
        removal: Removal,
    ) -> None:
        self._sessions = sessions
        self._run = sessions.run
        self._keys = keys
        self._finishing = finishing
        self._removal = removal

    async def recover(self) -> None:
        """After a start: the keys are taken again, what was being finished goes on."""
        reason = "Server restarted during finalization"
        reset = await self._run(lambda conn: records.reset_finalizing(conn, reason, by_offset=True))
        finishing = {upload.id for upload in reset}
        for upload in await self._run(offsets.unfinished):
            try:
                await self._recover(upload, due=upload.id in finishing)
            except FilepipeError as error:  # it stays as it is
                log.warning("upload cannot go on", upload=in_log(upload.id), reason=str(error))

    async def _recover(self, upload: Upload, *, due: bool) -> None:
        if FINAL in notes_of(upload).items() and not is_whole(upload):
            await self._removal.remove(upload.id)  # nobody has heard of it yet
            return
        if upload.status != "complete":
            session = self._sessions.make(upload)
            if due or (ends_by_itself(upload) and is_whole(upload)):
                await session.turns.take()
                await self._finishing.begin(session)
        elif upload.key is not None:
            self._sessions.room_again(upload)
            show(self._keys.claim(upload.id, upload.key), upload, self._finishing.whole(upload))

    async def expire(self) -> int:
        """Remove what nobody has gone on with for its time; how many that were.

        What is complete and has a key goes with its file, else the file stays.
        """
        now = time.time()
        await self._run(lambda conn: tombstones.forget(conn, now - REMEMBERED))
        count = 0
        for upload in await self._run(lambda conn: offsets.expired(conn, now, 100)):
            if self._in_use(upload):
                continue
            with contextlib.suppress(NotFound, Gone, Busy, Conflict):
                if upload.status == "complete" and upload.key is None:
                    await self._run(functools.partial(steps.remove, upload_id=upload.id))
                else:
                    await self._removal.remove(upload.id, now)
                count += 1
        return count

    def _in_use(self, upload: Upload) -> bool:
        """Whether somebody reads a finished one, or sends; who only waits does not count."""
        if upload.status == "complete":
            channel = self._keys.of(upload.id)
            return channel is not None and channel.readers > 0
        session = self._sessions.get(upload.id)
        return session is not None and session.turns.taken
