"""`filepipe channel`: messages from one program to the next that wants them, in order."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from cyclopts import App, Parameter

from filepipe.cli.main import MISUSED, fail
from filepipe.cli.operands import (
    DEFAULT_URL,
    FILE_PARAMETER,
    Output,
    Quiet,
    Server,
    seconds,
    source_of,
    target_of,
)
from filepipe.cli.outcome import run

app = App(
    name="channel", help="Pass messages through channels: each goes to one program, in order."
)


@app.command
def put(
    channel: str,
    file: Annotated[str | None, FILE_PARAMETER] = None,
    /,
    *,
    text: str | None = None,
    content_type: Annotated[str | None, Parameter(name="--type")] = None,
    wait: str | None = None,
    url: Server = DEFAULT_URL,
    quiet: Quiet = False,
) -> None:
    """Give one message to the next program that gets from the channel.

    Waits for that one, and succeeds only if it got every byte. Messages are given out in the order
    in which they came.

    Parameters
    ----------
    channel
        The channel, such as "jobs/images"; it need not exist before.
    file
        The file that is the message; "-", or nothing, for standard input.
    text
        The message itself, instead of a file.
    content_type
        What the other side is told it is, such as "application/json".
    wait
        How long to wait for somebody to get it, such as "30s"; else as long as the server does.
    url
        The server.
    quiet
        Show no progress.

    """
    if text is not None and file is not None:
        fail("a message is either a file or --text, not both", MISUSED)
    if text is None:
        source = source_of(file or "-")
    else:
        source = io.BytesIO(os.fsencode(text))
        content_type = content_type or "text/plain; charset=utf-8"
    options = {"content_type": content_type, "wait": seconds("--wait", wait)}
    run(_put(channel, source, url, quiet=quiet, **options))


@app.command
def get(
    channel: str,
    /,
    *,
    output: Output = "-",
    wait: str | None = None,
    url: Server = DEFAULT_URL,
    quiet: Quiet = False,
) -> None:
    """Get the next message of the channel; waits for one.

    A message is given to one program only. One that breaks off leaves no file, and whoever put it
    is told.

    Parameters
    ----------
    channel
        The channel, such as "jobs/images".
    output
        A file; or a folder; or "-" for standard output.
    wait
        How long to wait for a message, such as "30s"; else as long as the server does.
    url
        The server.
    quiet
        Show no progress.

    """
    quiet = quiet or (output == "-" and sys.stdout.isatty())
    run(_get(channel, output, url, quiet=quiet, wait=seconds("--wait", wait)))


@app.command
def ls(namespace: str | None = None, /, *, url: Server = DEFAULT_URL) -> None:
    """List the namespaces, or the channels of one, in which somebody waits.

    Parameters
    ----------
    namespace
        The first part of the channels' names, such as "jobs".
    url
        The server.

    """
    run(_ls(namespace, url))


@app.command
def rm(channel: str, /, *, url: Server = DEFAULT_URL) -> None:
    """Remove a channel, or all channels of a namespace; who waits there is told so.

    Parameters
    ----------
    channel
        The channel, such as "jobs/images", or the namespace, such as "jobs".
    url
        The server.

    """
    run(_rm(channel, url))


async def _put(
    channel: str, source: Path | BinaryIO, url: str, *, quiet: bool, **options: Any
) -> None:
    from contextlib import nullcontext

    from filepipe.client import Client
    from filepipe.client.progress import terminal_progress

    async with Client(url) as client:
        reporter = terminal_progress(channel, quiet=quiet)
        with reporter or nullcontext():
            await client.channels.put(channel, source, progress=reporter, **options)


async def _get(channel: str, output: str, url: str, *, quiet: bool, wait: float | None) -> None:
    from contextlib import nullcontext

    from filepipe.client import Client
    from filepipe.client.progress import terminal_progress

    target = target_of(output)
    async with Client(url) as client:
        reporter = terminal_progress(channel, quiet=quiet)
        with reporter or nullcontext():
            result = await client.channels.get(channel, target, wait=wait, progress=reporter)
    if reporter is not None and result.path is not None:
        print(result.path, file=sys.stderr)


async def _ls(namespace: str | None, url: str) -> None:
    from filepipe.client import Client

    async with Client(url) as client:
        for name in await client.channels.names(namespace):
            print(name)


async def _rm(channel: str, url: str) -> None:
    from filepipe.client import Client

    async with Client(url) as client:
        await client.channels.delete(channel)
