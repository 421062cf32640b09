"""Two parties meet: a body goes from one to the other and rests nowhere.

Who waits asks in turns; whether a body may be offered once more is known, because none of it is
read before the server invites it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from yarl import URL

from filepipe.client.answers import SendResult, printable
from filepipe.client.download import Download
from filepipe.client.errors import Refused
from filepipe.client.line import Line
from filepipe.client.progress import Progress
from filepipe.client.source import Source, open_body
from filepipe.client.turns import Turns
from filepipe.client.upload import Upload

# What a server says to a receiver for whom nobody came: for a key, for a channel.
NOBODY: Final = frozenset({404, 408})


async def hand_over(
    line: Line,
    url: URL,
    source: Source,
    headers: Mapping[str, str],
    turns: Turns,
    progress: Progress | None,
) -> SendResult:
    """POST a source; returns when the server says that the other side has every byte."""
    async with open_body(source) as body:
        upload = Upload(body, progress)
        while True:
            try:
                asked = {**headers, **turns.headers()}
                answer = await line.upload("POST", url, upload, headers=asked)
            except Refused as why:
                if why.status != 408 or upload.begun or not await turns.another():
                    raise
            else:
                said = printable(answer).splitlines()
                return SendResult(upload.sent, said[-1] if said else "")


@asynccontextmanager
async def meet(
    line: Line, url: URL, turns: Turns, *, offset: int = 0, etag: str | None = None
) -> AsyncIterator[Download]:
    """GET what somebody sends or will send; raises `Refused` with one of `NOBODY` if nobody."""
    async with AsyncExitStack() as stack:
        while True:
            asked = line.get(url, offset=offset, etag=etag, headers=turns.headers())
            try:
                download = await stack.enter_async_context(asked)
                break
            except Refused as why:
                if why.status not in NOBODY or not await turns.another():
                    raise
        yield download
