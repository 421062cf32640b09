"""`filepipe append` and `filepipe follow`: what is kept, and grows."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

from cyclopts import Parameter

from filepipe.cli.operands import (
    DEFAULT_URL,
    FILE_PARAMETER,
    Server,
    Whole,
    key_or_url,
    seconds,
    source_of,
)
from filepipe.cli.outcome import run

if TYPE_CHECKING:
    from yarl import URL


def append(
    key: str,
    file: Annotated[str, FILE_PARAMETER] = "-",
    /,
    *,
    content_type: Annotated[str | None, Parameter(name="--type")] = None,
    close: Annotated[bool, Parameter(negative="")] = False,
    url: Server = DEFAULT_URL,
) -> None:
    """Append a file or standard input to a log, which is kept; each byte once.

    Prints where the log ends. What is read is on the server's disk soon after, and can be followed.
    A broken connection is taken up again, and nothing is there twice.

    Parameters
    ----------
    key
        The name of the log, or a whole URL; the log is made if there is none.
    file
        The file; "-", or nothing, for standard input.
    content_type
        What a new log is said to be, such as "text/plain".
    close
        Close the log at the end: nothing can be appended any more, and its followers end.
    url
        The server.

    """
    run(_append(key_or_url(key), source_of(file), url, content_type, close=close))


def follow(
    key: str,
    /,
    *,
    offset: Whole = 0,
    lines: Annotated[bool, Parameter(negative="")] = False,
    wait: str | None = None,
    url: Server = DEFAULT_URL,
) -> None:
    """Follow a log to standard output: what it has, then what is appended.

    Ends when the log is closed, or when the stream ends that was being appended. A broken
    connection is taken up again where it broke.

    Parameters
    ----------
    key
        The name of the log, or a whole URL.
    offset
        The byte to begin at.
    lines
        Write whole lines only.
    wait
        How long to wait for a log that is not there, such as "30s"; else as long as the server
        does.
    url
        The server.

    """
    run(_follow(key_or_url(key), offset, url, lines=lines, wait=seconds("--wait", wait)))


async def _append(
    key: str | URL, source: Path | BinaryIO, url: str, content_type: str | None, *, close: bool
) -> None:
    from filepipe.client import Client
    from filepipe.client.source import open_body

    async with (
        Client(url) as client,
        open_body(source) as body,
        client.append(key, content_type=content_type, close=close) as log,
    ):
        async for chunk in body.chunks:
            await log.write(chunk)
        if log.end is None:
            await log.write(b"")
    print(log.end)


async def _follow(key: str | URL, offset: int, url: str, *, lines: bool, wait: Any) -> None:
    from contextlib import aclosing

    from filepipe.client import Client
    from filepipe.client.blocking import BlockingThread

    rest: list[bytes] = []
    with BlockingThread() as thread:
        async with (
            Client(url) as client,
            aclosing(client.follow(key, offset=offset, wait=wait)) as log,
        ):
            async for chunk in log:
                end = chunk.rfind(b"\n") + 1 if lines else len(chunk)
                if end:
                    await thread.call(_write, b"".join((*rest, chunk[:end])))
                    rest.clear()
                rest.append(chunk[end:])
        await thread.call(_write, b"".join(rest))


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]
