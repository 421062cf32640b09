"""The channels of uploads: those with a key are in the directory, all are found by their upload.

A channel is there from the beginning of the upload until its record goes, over restarts.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Coroutine
from typing import Any

from filepipe.channels.channel import Channel, Kind
from filepipe.channels.directory import Directory
from filepipe.channels.retention import Retention
from filepipe.channels.state import State
from filepipe.channels.upload_blob import UploadBlob
from filepipe.errors import Draining, FilepipeError
from filepipe.keys import Key
from filepipe.storage.interface import Blob


def etag_of(upload_id: str) -> str:
    """The ETag of an upload: its id may not be told to readers, who could write with it."""
    return f'"{hashlib.sha256(upload_id.encode()).hexdigest()[:16]}"'


class UploadKeys:
    """Which channel belongs to which upload."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._channels: dict[str, Channel] = {}
        self._uploads: dict[Channel, str] = {}
        self._jobs: set[asyncio.Task[None]] = set()

    def claim(self, upload_id: str, key: str | None) -> Channel:
        """The channel of an upload, which nobody sees yet; it takes its key, if it has one.

        Raises as `Directory.enter` does.
        """
        name = Key(upload_id if key is None else key)
        on_change = self._changed if key is None else self._changed_at_key
        channel = Channel(name, Kind.UPLOAD, Retention(0.0), on_change, self._waste)
        # the same after a restart, and each upload has an id of its own
        channel.etag = etag_of(upload_id)
        if key is not None:
            self._directory.enter(channel)
        self._channels[upload_id] = channel
        self._uploads[channel] = upload_id
        return channel

    def of(self, upload_id: str) -> Channel | None:
        """The channel of an upload."""
        return self._channels.get(upload_id)

    def upload_at(self, channel: Channel) -> str | None:
        """The upload whose channel it is."""
        return self._uploads.get(channel)

    def drop(self, upload_id: str, failure: FilepipeError) -> None:
        """Free the key. Whoever reads what is not whole gets the failure."""
        channel = self._channels.pop(upload_id, None)
        if channel is None:
            return
        del self._uploads[channel]
        if channel.state in (State.CLAIMED, State.WRITING):
            channel.break_off(failure)
        self._directory.forget(channel)

    async def aclose(self) -> None:
        """Return when what nobody reads any more is closed."""
        for upload_id in list(self._channels):
            self.drop(upload_id, Draining("server is shutting down"))
        while self._jobs:
            await asyncio.wait(self._jobs)

    def _changed_at_key(self, channel: Channel) -> None:
        self._directory.changed(channel)
        self._changed(channel)

    def _changed(self, channel: Channel) -> None:
        if channel.state is State.FINISHED and not channel.readers:
            self._do(_rest(channel))

    def _waste(self, blob: Blob) -> None:
        self._do(blob.discard())

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        job = asyncio.get_running_loop().create_task(work)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)


async def _rest(channel: Channel) -> None:
    blob = channel.blob
    assert isinstance(blob, UploadBlob)
    await blob.rest(lambda: channel.readers > 0)
