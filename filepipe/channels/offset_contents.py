"""What can be read of uploads that grow by their offset: by their readers, and by ourselves."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from filepipe.channels import offset_steps as steps
from filepipe.channels.channel import Channel
from filepipe.channels.offset_plan import meta_of, offset_of
from filepipe.channels.offset_sessions import OffsetSessions
from filepipe.channels.upload_activity import UploadActivity
from filepipe.channels.upload_files import Files
from filepipe.channels.upload_keys import UploadKeys
from filepipe.errors import Conflict, StorageFailed
from filepipe.records.uploads import Upload

COPY_SIZE = 1024 * 1024
"""Bytes of one read where an upload is read for ourselves."""


class Contents:
    """The bytes of uploads, wherever they are by now."""

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

    @contextlib.asynccontextmanager
    async def reading(self, upload: Upload) -> AsyncIterator[Channel]:
        """The content: whole, or what is here and then the rest as it comes.

        Raises `NotFound` when somebody has removed the file, `Gone`, and `Conflict` where it
        cannot be read before it is whole.
        """
        upload = await self._run(lambda conn: steps.found(conn, upload.id))
        channel = self._keys.of(upload.id)
        if upload.status == "complete" and channel is None:
            with self._activity.working():
                async with self._files.reading(upload, meta_of(upload)) as whole:
                    yield whole
            return
        if upload.status != "complete":
            session = self._sessions.of(upload)
            if not session.live:
                raise Conflict("the upload is not complete, and its storage shows only wholes")
            channel = session.channel
        assert channel is not None
        yield channel

    async def pieces(self, upload: Upload) -> AsyncIterator[bytes]:
        """What is here of an upload that is not complete. Raises `StorageFailed`, `Broken`."""
        blob = self._sessions.of(upload).blob
        offset, end = 0, offset_of(upload)
        while offset < end:
            data = await blob.read(offset, min(COPY_SIZE, end - offset))
            if not data:
                raise StorageFailed("the storage failed: a draft is shorter than it was")
            yield data
            offset += len(data)
