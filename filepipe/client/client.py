"""The client: one object for one server, and a method for each thing a key can be asked."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from yarl import URL

from filepipe.client.address import base_url, key_url, whole_url, with_query, without_secrets
from filepipe.client.answers import GetResult, Metadata, PutResult, SendResult
from filepipe.client.backoff import Backoff
from filepipe.client.channels import Channels
from filepipe.client.download import Download
from filepipe.client.errors import BadAddress
from filepipe.client.handover import hand_over, meet
from filepipe.client.line import Line
from filepipe.client.logs import Appender, follow
from filepipe.client.progress import Progress
from filepipe.client.replay import open_replay
from filepipe.client.resume import RETRY_WINDOW, Ask, fetch
from filepipe.client.sending import Sending
from filepipe.client.source import Source
from filepipe.client.turns import Turns
from filepipe.client.uploads import Uploads
from filepipe.protocols.disposition import attachment


class Client:
    """Speaks to the server at `url`; use it as an async context manager.

    `connect_timeout` bounds the connecting, `timeout` each silence of the server (None: as long
    as it likes, for a pipe may be idle); both in seconds. `api_key` is for `uploads` only. Proxies
    are taken from the environment.
    """

    def __init__(
        self,
        url: str,
        *,
        connect_timeout: float = 10.0,
        timeout: float | None = None,
        api_key: str | None = None,
    ) -> None:
        self._base = base_url(url)
        self._line = Line(connect_timeout, timeout)
        self.channels = Channels(self._base, self._line)
        self.uploads = Uploads(self._base, self._line, api_key)

    async def __aenter__(self) -> Self:
        self._line.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all connections."""
        await self._line.close()

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
        retry_window: float = RETRY_WINDOW,
        progress: Progress | None = None,
    ) -> PutResult:
        """Upload a source; returns when the server has every byte.

        A connection that breaks, or goes silent, is replaced until `retry_window` seconds brought
        nothing; readers do not notice. `length` is for streams that cannot tell theirs. `max_age`
        asks the server to keep the object for so many seconds. Raises `Busy` when the key is in
        use, `Interrupted` or `Changed` when the rest cannot be sent.
        """
        url = with_query(self.address(key), max_age=max_age)
        headers = _description(content_type, filename)
        async with open_replay(source, length) as replay:
            sending = Sending(self._line, url, headers, replay, Backoff(retry_window), progress)
            answer = await sending.run()
        return PutResult(_stored_at(answer, url), sending.sent)

    async def send(
        self,
        key: str | URL,
        source: Source,
        *,
        receivers: int | None = None,
        wait: float | None = None,
        content_type: str | None = None,
        filename: str | None = None,
        progress: Progress | None = None,
    ) -> SendResult:
        """Hand a source to exactly `receivers` (one); returns when they have every byte.

        Nothing is read of it, and nothing stored, before they are there. `wait` is how many seconds
        to wait for them; None leaves that to the server. Raises `Busy` when the key is in use, and
        `Refused`: 408 when nobody came, 502 when a receiver left.
        """
        url = with_query(self.address(key), n=receivers)
        headers = _description(content_type, filename)
        # The end of a turn sends those away who are there already, while others are missing.
        turns = Turns(wait) if receivers in {None, 1} else Turns(wait, longest=math.inf)
        return await hand_over(self._line, url, source, headers, turns, progress)

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
        url = with_query(self.address(key), wait=wait)
        async with self._line.get(url, offset=offset, etag=etag) as download:
            yield download

    async def download(
        self,
        key: str | URL,
        target: Path | BinaryIO,
        *,
        wait: float | None = None,
        resume: bool = True,
        retry_window: float = RETRY_WINDOW,
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
        return await fetch(ask, target, url, retry_window)

    async def receive(
        self,
        key: str | URL,
        target: Path | BinaryIO,
        *,
        receivers: int | None = None,
        wait: float | None = None,
        progress: Progress | None = None,
    ) -> GetResult:
        """Take what is sent, or put, into a file, a folder or an open stream.

        `wait` is how many seconds to wait for the sender; None leaves that to the server. What was
        sent cannot be resumed: when it breaks off, no file is left, and this raises `Interrupted`.
        Raises `NotThere` when nobody came. `receivers`, if given, must be what the sender says.
        """
        url = with_query(self.address(key), n=receivers)
        turns = Turns(wait)
        ask = Ask(
            begin=lambda offset, etag, first: (
                meet(self._line, url, turns, offset=offset, etag=etag)
                if first
                else self.get(url, offset=offset, etag=etag, wait=0)
            ),
            head=lambda: self.head(url),
            resume=True,
            progress=progress,
        )
        return await fetch(ask, target, url, RETRY_WINDOW)

    @asynccontextmanager
    async def append(
        self,
        key: str | URL,
        *,
        content_type: str | None = None,
        close: bool = False,
        retry_window: float = RETRY_WINDOW,
    ) -> AsyncIterator[Appender]:
        """Append to the log under `key`, which is made if there is none, with `content_type`.

        What `Appender.write` has returned from is on the server's disk, once. A line that breaks is
        replaced until `retry_window` seconds brought nothing. With `close` the log is closed, for
        ever, on leaving without an exception.
        """
        appender = Appender(self._line, self.address(key), content_type, retry_window)
        yield appender
        if close:
            await appender.close()

    async def follow(
        self,
        key: str | URL,
        *,
        offset: int = 0,
        wait: float | None = None,
        retry_window: float = RETRY_WINDOW,
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of a log from `offset` on: its history, then what is appended, each once.

        Ends when the log is closed, or the stream that was under way has ended. `wait` is how many
        seconds the server shall wait for a log that is not there. A line that breaks is replaced
        until `retry_window` seconds brought nothing. Raises `NotThere`, `Interrupted`, `Refused`.
        """
        async with aclosing(
            follow(self._line, self.address(key), offset, wait, retry_window)
        ) as log:
            async for chunk in log:
                yield chunk

    async def head(self, key: str | URL) -> Metadata:
        """Ask what is there, without waiting and without taking anything."""
        return await self._line.head(self.address(key))

    async def delete(self, key: str | URL) -> None:
        """Remove the object; most servers do not allow it."""
        await self._line.delete(self.address(key))


def _description(content_type: str | None, filename: str | None) -> dict[str, str]:
    headers = {"Content-Type": content_type} if content_type else {}
    if filename:
        headers["Content-Disposition"] = attachment(filename)
    return headers


def _stored_at(answer: str, asked: URL) -> str:
    try:
        return str(whole_url(answer.splitlines()[0].strip()))
    except (BadAddress, IndexError):
        # Other servers of this kind answer without a word.
        return str(without_secrets(asked))
