"""Objects of a bucket that are being read: one stream, opened anew where the reader jumps."""

from __future__ import annotations

import asyncio
from typing import Any

from botocore.exceptions import BotoCoreError

from filepipe.errors import NotFound, StorageFailed, Unavailable
from filepipe_backends.s3_bucket import ATTEMPTS, Bucket, Stored
from filepipe_backends.s3_sending import CHANGED, LOST, STALL


class S3Object:
    """An object as it was when it was opened; another one under its name is not read."""

    def __init__(self, bucket: Bucket, key: str, stored: Stored) -> None:
        self.size = stored.size
        self._bucket = bucket
        self._key = key
        self._etag = stored.etag
        self._turn = asyncio.Lock()
        self._body: Any = None
        self._next = 0

    async def read(self, offset: int, limit: int) -> bytes:
        """Read up to `limit` bytes from `offset`; what follows is on its way already."""
        if offset >= self.size:
            return b""
        async with self._turn:
            for _ in range(ATTEMPTS):
                if data := await self._read(offset, limit):
                    return data
        raise StorageFailed("the storage failed: it ends in the middle of an object")

    async def _read(self, offset: int, limit: int) -> bytes:
        """What the stream has next; nothing when it broke."""
        if self._body is None or self._next != offset:
            self._let_go()
            try:
                self._body = await self._bucket.get(self._key, offset, self._etag)
            except Unavailable:
                return b""
            except NotFound as error:
                raise StorageFailed(CHANGED) from error
            self._next = offset
        try:
            async with asyncio.timeout(STALL):
                data: bytes = await self._body.read(limit)
        except (BotoCoreError, *LOST):
            self._let_go()
            return b""
        except BaseException:  # what a call that was cancelled has read is lost
            self._let_go()
            raise
        self._next += len(data)
        if not data:
            self._let_go()
        return data

    async def descriptor(self) -> int:
        """There is none."""
        return -1

    async def close(self) -> None:
        """Let go of the stream."""
        self._let_go()

    def _let_go(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            body.close()
