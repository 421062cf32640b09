"""Message channels: each body goes to one consumer, in order, and rests nowhere.

A channel is "NAMESPACE/NAME"; both come into being by being used.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import BinaryIO

from yarl import URL

from filepipe.client.address import key_url
from filepipe.client.answers import GetResult, SendResult
from filepipe.client.connection import our_errors
from filepipe.client.errors import BadAddress, ClientError
from filepipe.client.handover import hand_over, meet
from filepipe.client.line import Line
from filepipe.client.progress import Progress
from filepipe.client.resume import RETRY_WINDOW, Ask, fetch
from filepipe.client.source import Source
from filepipe.client.turns import Turns


class Channels:
    """The channels of one server, as `Client.channels`."""

    def __init__(self, base: URL, line: Line) -> None:
        self._base = base
        self._line = line

    def address(self, channel: str) -> URL:
        """Return the URL of a channel; raises `BadAddress` unless it has two parts."""
        namespace, _, name = channel.partition("/")
        if not namespace or not name or "/" in name:
            raise BadAddress(f"{channel!r} is not a channel such as jobs/images")
        return self._below(channel)

    async def put(
        self,
        channel: str,
        source: Source,
        *,
        wait: float | None = None,
        content_type: str | None = None,
        progress: Progress | None = None,
    ) -> SendResult:
        """Give a message to the next consumer; returns when that one has every byte.

        Nothing is read of the source before a consumer is there; `wait` is how many seconds to
        wait for one, None leaves that to the server. Raises `Refused`: 408 when none came, 410 when
        the channel was deleted, 502 when the consumer left.
        """
        url = self.address(channel)
        headers = {"Content-Type": content_type} if content_type else {}
        return await hand_over(self._line, url, source, headers, _turns(wait), progress)

    async def get(
        self,
        channel: str,
        target: Path | BinaryIO,
        *,
        wait: float | None = None,
        progress: Progress | None = None,
    ) -> GetResult:
        """Take the next message into a file, a folder or an open stream.

        Waits as `put`. Raises `Interrupted` when it breaks off, and leaves no file then; `Refused`:
        408 when there was none, 410 when the channel was deleted.
        """
        url = self.address(channel)
        turns = _turns(wait)
        ask = Ask(
            begin=lambda offset, etag, first: meet(self._line, url, turns),
            head=lambda: self._line.head(url),
            resume=False,
            progress=progress,
        )
        return await fetch(ask, target, url, RETRY_WINDOW)

    async def names(self, namespace: str | None = None) -> list[str]:
        """List the channels of a namespace, or all namespaces, where somebody waits.

        Raises `NotThere` for a namespace without any.
        """
        url = self._namespace(namespace) if namespace is not None else self._below("namespaces")
        async with self._line.request("GET", url) as response:
            with our_errors(url):
                body = await response.read()
        return _listed(body)

    async def delete(self, channel: str) -> None:
        """Remove a channel, or a whole namespace; who waits there is told so (410).

        Raises `NotThere`.
        """
        url = self.address(channel) if "/" in channel else self._namespace(channel)
        await self._line.delete(url)

    def _namespace(self, namespace: str) -> URL:
        if not namespace or "/" in namespace:
            raise BadAddress(f"{namespace!r} is not a namespace such as jobs")
        return self._below(namespace)

    def _below(self, path: str) -> URL:
        return key_url(self._base, f"channels/{path}")


def _turns(wait: float | None) -> Turns:
    # Who asks anew stands at the end of the line.
    return Turns(wait, longest=math.inf)


def _listed(body: bytes) -> list[str]:
    try:
        names = json.loads(body)
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ClientError("the server's answer is no list of channels")
    return sorted(names)
