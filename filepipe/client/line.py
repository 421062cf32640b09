"""The line to one server: its session, and every request that goes over it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from weakref import WeakSet

import aiohttp
from yarl import URL

from filepipe.client.address import without_secrets
from filepipe.client.answers import Metadata, metadata, refusal
from filepipe.client.connection import open_session, our_errors
from filepipe.client.download import Download
from filepipe.client.errors import Interrupted, Refused, Unreachable
from filepipe.client.upload import Upload

_MAX_ANSWER: Final = 8 * 1024
_SENTENCE_SECONDS: Final = 5.0


class Line:
    """One session of requests by URL; `open` it first. Times are seconds."""

    def __init__(self, connect_timeout: float, timeout: float | None) -> None:
        self._connect_timeout = connect_timeout
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None
        self._transports: WeakSet[asyncio.Transport] = WeakSet()

    def open(self) -> None:
        """Make ready; connects to nobody yet."""
        self._session = open_session(self._connect_timeout, self._timeout, self._transports)

    async def close(self) -> None:
        """Close all connections, running transfers too."""
        if self._session is not None:
            await self._session.close()
            self._session = None
        for transport in list(self._transports):
            transport.abort()
        self._transports.clear()

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str] | None = None,
        good: Collection[int] = (200,),
        **options: Any,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask, and lend the answer out; raises `Refused` unless its status is among `good`."""
        if self._session is None:
            raise RuntimeError("a Client is used as an async context manager")
        try:
            with our_errors(url):
                response = await self._session.request(
                    method,
                    url,
                    headers=headers,
                    allow_redirects=False,
                    skip_auto_headers=("Content-Type",),
                    **options,
                )
        except Interrupted as why:
            if "data" in options:
                raise
            origin = without_secrets(url).origin()
            raise Unreachable(f"{origin} gave no answer: {why}") from why
        async with response:
            if response.status not in good:
                raise await _refusal(response)
            yield response

    @asynccontextmanager
    async def get(
        self,
        url: URL,
        *,
        offset: int = 0,
        etag: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Download]:
        """Begin a download, from `offset` if the object is still the one that `etag` names."""
        wanted = dict(headers or {})
        if offset:
            wanted["Range"] = f"bytes={offset}-"
            if etag is not None:
                wanted["If-Range"] = etag
        async with self.request("GET", url, headers=wanted, good={200, 206}) as response:
            yield Download(response)

    async def head(self, url: URL) -> Metadata:
        """Ask what is there."""
        async with self.request("HEAD", url) as response:
            return metadata(response.headers)

    async def delete(self, url: URL, headers: Mapping[str, str] | None = None) -> None:
        """Ask to remove it."""
        async with self.request("DELETE", url, headers=headers, good={200, 202, 204}):
            pass

    async def upload(
        self,
        method: str,
        url: URL,
        upload: Upload,
        *,
        headers: Mapping[str, str],
        good: Collection[int] = (200,),
        expect: bool = True,
    ) -> str:
        """Send a body; returns the whole answer, which comes when the server is done with it.

        With `expect` nothing of the source is read before the server invites it.
        """
        answer = bytearray()
        try:
            async with self.request(
                method,
                url,
                headers={**headers, **_sized(upload)},
                good=good,
                data=upload.chunks(),
                expect100=expect,
            ) as response:
                await _read(response, answer)
        except Interrupted as why:
            if upload.failure is not None:
                raise upload.failure from None
            raise Interrupted(f"{why} after {upload.sent} bytes", upload.sent) from why
        if not upload.whole:
            text = f"the server ended the upload after {upload.sent} bytes"
            raise Interrupted(text, upload.sent)
        return answer.decode("utf-8", "replace")


def _sized(upload: Upload) -> dict[str, str]:
    length = upload.body.length
    return {} if length is None else {"Content-Length": str(length)}


async def _refusal(response: aiohttp.ClientResponse) -> Refused:
    body = bytearray()
    # The status says enough when its sentence is cut off or late.
    with contextlib.suppress(Interrupted, TimeoutError):
        async with asyncio.timeout(_SENTENCE_SECONDS):
            await _read(response, body)
    return refusal(response.status, response.headers, bytes(body))


async def _read(response: aiohttp.ClientResponse, into: bytearray) -> None:
    """Read an answer to its end and keep its beginning; raises `Interrupted`."""
    with our_errors(response.url):
        while chunk := await response.content.readany():
            into += chunk[: _MAX_ANSWER - len(into)]
