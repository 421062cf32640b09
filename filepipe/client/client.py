"""The client: one object for one server, and a method for each thing a key can be asked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import aiohttp
from yarl import URL

from filepipe.client.address import base_url, key_url, whole_url, with_query, without_secrets
from filepipe.client.answers import GetResult, Metadata, PutResult, metadata, refusal
from filepipe.client.backoff import Backoff
from filepipe.client.blocking import BlockingThread
from filepipe.client.connection import open_session, our_errors
from filepipe.client.download import Download
from filepipe.client.errors import BadAddress, Interrupted, Refused, Unreachable
from filepipe.client.progress import Progress
from filepipe.client.resume import Ask, Fetch
from filepipe.client.sink import open_sink
from filepipe.client.source import Source, open_body
from filepipe.client.upload import Upload
from filepipe.protocols.disposition import attachment

# Below this, asking first costs more than sending for nothing.
EXPECT_ABOVE: Final = 1024 * 1024

_MAX_ANSWER: Final = 8 * 1024
_SENTENCE_SECONDS: Final = 5.0


class Client:
    """Speaks to the server at `url`; use it as an async context manager.

    `connect_timeout` bounds the connecting, `timeout` each silence of the server (None: as long
    as it likes, for a pipe may be idle); both in seconds. Proxies are taken from the environment.
    """

    def __init__(
        self, url: str, *, connect_timeout: float = 10.0, timeout: float | None = None
    ) -> None:
        self._base = base_url(url)
        self._connect_timeout = connect_timeout
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = open_session(self._connect_timeout, self._timeout)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def address(self, key: str | URL) -> URL:
        """Return the URL of a key; a URL stands for itself."""
        return key_url(self._base, key)

    async def put(
        self,
        key: str | URL,
        source: Source,
        *,
        content_type: str | None = None,
        filename: str | None = None,
        length: int | None = None,
        max_age: float | None = None,
        progress: Progress | None = None,
    ) -> PutResult:
        """Upload a source; returns when the server has every byte.

        `length` is for streams that cannot tell theirs. `max_age` asks the server to keep the
        object for so many seconds. Raises `Busy` when the key is in use.
        """
        url = with_query(self.address(key), max_age=max_age)
        headers = {"Content-Type": content_type} if content_type else {}
        if filename:
            headers["Content-Disposition"] = attachment(filename)
        async with open_body(source, length) as body:
            upload = Upload(body, progress)
            try:
                return await self._upload(url, headers, upload)
            except Interrupted as why:
                if upload.failure is not None:
                    raise upload.failure from None
                raise Interrupted(f"{why} after {upload.sent} bytes", upload.sent) from why

    async def _upload(self, url: URL, headers: dict[str, str], upload: Upload) -> PutResult:
        length = upload.body.length
        if length is not None:
            headers["Content-Length"] = str(length)
        expect = length is None or length > EXPECT_ABOVE
        options = {"data": upload.chunks(), "expect100": expect}
        async with self._request("PUT", url, headers, **options) as response:
            if response.status not in {200, 201, 204}:
                raise await _refusal(response)
            if not upload.whole:
                raise Interrupted("the server ended the upload", upload.sent)
            with our_errors(url):
                answer = await response.content.read(_MAX_ANSWER)
        return PutResult(_stored_at(answer, url), upload.sent)

    @asynccontextmanager
    async def get(
        self,
        key: str | URL,
        *,
        offset: int = 0,
        etag: str | None = None,
        wait: float | None = None,
    ) -> AsyncIterator[Download]:
        """Begin a download, from `offset` if the object is still the one that `etag` names.

        A `Download` whose own offset is 0 means that it is another object. `wait` is how many
        seconds the server shall wait for a writer. Raises `NotThere`, `RangeRefused`.
        """
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        if offset and etag is not None:
            headers["If-Range"] = etag
        url = with_query(self.address(key), wait=wait)
        async with self._request("GET", url, headers) as response:
            if response.status not in {200, 206}:
                raise await _refusal(response)
            yield Download(response)

    async def download(
        self,
        key: str | URL,
        target: Path | BinaryIO,
        *,
        wait: float | None = None,
        resume: bool = True,
        retry_window: float = 60.0,
        progress: Progress | None = None,
    ) -> GetResult:
        """Download into a file, a folder or an open stream; goes on where a connection broke.

        A file gets its name when it is whole; until then its bytes are in `NAME.part`, and the
        next call goes on from there. A broken connection is tried again until `retry_window`
        seconds brought nothing. Raises `Interrupted` or `Changed` when the rest cannot be had.
        """
        url = self.address(key)
        ask = Ask(
            begin=lambda offset, etag, first: self.get(
                url, offset=offset, etag=etag, wait=wait if first else 0
            ),
            head=lambda: self.head(url),
            resume=resume,
            progress=progress,
        )
        with BlockingThread() as thread:
            sink = await open_sink(target, url, thread, keep=resume)
            return await Fetch(ask, sink, Backoff(retry_window)).run()

    async def head(self, key: str | URL) -> Metadata:
        """Ask what is there, without waiting and without taking anything."""
        async with self._request("HEAD", self.address(key), {}) as response:
            if response.status != 200:
                raise await _refusal(response)
            return metadata(response.headers)

    async def delete(self, key: str | URL) -> None:
        """Remove the object; most servers do not allow it."""
        async with self._request("DELETE", self.address(key), {}) as response:
            if response.status not in {200, 202, 204}:
                raise await _refusal(response)

    @asynccontextmanager
    async def _request(
        self, method: str, url: URL, headers: dict[str, str], **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
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
            if method == "PUT":
                raise
            origin = without_secrets(url).origin()
            raise Unreachable(f"{origin} gave no answer: {why}") from why
        async with response:
            yield response


async def _refusal(response: aiohttp.ClientResponse) -> Refused:
    body = b""
    # The status says enough when its sentence is cut off or late.
    with contextlib.suppress(Interrupted, TimeoutError), our_errors(response.url):
        async with asyncio.timeout(_SENTENCE_SECONDS):
            while len(body) < _MAX_ANSWER and (chunk := await response.content.readany()):
                body += chunk
    return refusal(response.status, response.headers, body)


def _stored_at(answer: bytes, asked: URL) -> str:
    lines = answer.decode("utf-8", "replace").splitlines()
    try:
        return str(whole_url(lines[0].strip()))
    except (BadAddress, IndexError):
        # Other servers of this kind answer without a word.
        return str(without_secrets(asked))
