"""One answer with a body, as the client hands it out."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import aiohttp

from filepipe.client.answers import content_range, metadata
from filepipe.client.connection import our_errors
from filepipe.client.errors import Interrupted


class Download:
    """A body on its way: iterate it once; `offset` is the place of its first byte.

    `length` is that of the whole object, None while it grows and nobody knows. Iterating raises
    `Interrupted` unless every byte arrived.
    """

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        about = metadata(response.headers)
        self.status = response.status
        self.etag = about.etag
        self.filename = about.filename
        self.content_type = about.content_type
        self.offset, self.length = 0, about.length
        if response.status == 206:
            first, self.length = content_range(response.headers.get("Content-Range"))
            if first is None:
                raise Interrupted("the server sent a part and did not say which", 0)
            self.offset = first
        self._response = response

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        position = self.offset
        try:
            while chunk := await self._next():
                position += len(chunk)
                yield chunk
        except Interrupted as why:
            raise Interrupted(f"{why} after {position} bytes", position) from why
        if self.length is not None and position != self.length:
            raise Interrupted(f"{position} of {self.length} bytes arrived", position)

    async def _next(self) -> bytes:
        content = self._response.content
        try:
            with our_errors(self._response.url):
                return await content.readany()
        except Interrupted:
            # aiohttp raises, again at each call, before it hands out what came ahead of the break.
            if rest := content._read_nowait(-1):
                return rest
            raise
