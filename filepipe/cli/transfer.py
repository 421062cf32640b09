"""`filepipe put` and `filepipe get`: one key, stored for a while and resumed where it broke."""

from __future__ import annotations

import base64
import secrets
import sys
from typing import TYPE_CHECKING, Annotated, Any

from filepipe.cli.operands import (
    DEFAULT_URL,
    FILE_PARAMETER,
    Output,
    Quiet,
    Server,
    key_or_url,
    own_name,
    seconds,
    source_of,
    target_of,
)
from filepipe.cli.outcome import run

if TYPE_CHECKING:
    from yarl import URL


def put(
    file: Annotated[str, FILE_PARAMETER],
    key: str | None = None,
    /,
    *,
    url: Server = DEFAULT_URL,
    content_type: str | None = None,
    name: str | None = None,
    max_age: str | None = None,
    timeout: str | None = None,
    quiet: Quiet = False,
) -> None:
    """Upload a file, or standard input, and print the URL to read it from.

    Parameters
    ----------
    file
        The file, or "-" for standard input.
    key
        Where to put it, such as "big.iso", or a URL; else the file's name, or a random one.
    url
        The server.
    content_type
        What the server shall tell readers it is, such as "text/plain".
    name
        The file name that readers shall see; otherwise that of the file.
    max_age
        How long the server shall keep it, such as "10m".
    timeout
        Give up when the server says nothing for so long after the last byte, such as "30s".
    quiet
        Show no progress.

    """
    piped = file == "-"
    run(
        _put(
            file,
            key_or_url(key or (_random_key() if piped else own_name(file))),
            url,
            quiet=quiet,
            timeout=seconds("--timeout", timeout),
            content_type=content_type,
            filename=name or (None if piped else own_name(file)),
            max_age=seconds("--max-age", max_age),
        )
    )


def get(
    key: str,
    /,
    *,
    output: Output = "-",
    url: Server = DEFAULT_URL,
    wait: str | None = None,
    timeout: str | None = None,
    quiet: Quiet = False,
) -> None:
    """Download what somebody put, or puts right now.

    Parameters
    ----------
    key
        What to get, such as "big.iso", or a whole URL.
    output
        A file; or a folder, for a file with the server's name for it; "-" is standard output.
    url
        The server.
    wait
        How long the server shall wait for somebody to put it, such as "10m".
    timeout
        Take a connection on which nothing comes for so long as broken, such as "30s".
    quiet
        Show no progress.

    """
    run(
        _get(
            key_or_url(key),
            output,
            url,
            quiet=quiet or (output == "-" and sys.stdout.isatty()),
            timeout=seconds("--timeout", timeout),
            wait=seconds("--wait", wait),
        )
    )


async def _put(
    file: str, key: str | URL, url: str, *, quiet: bool, timeout: float | None, **options: Any
) -> None:
    from contextlib import nullcontext

    from filepipe.client import Client
    from filepipe.client.address import without_secrets
    from filepipe.client.progress import terminal_progress

    source = source_of(file)
    async with Client(url, timeout=timeout) as client:
        address = without_secrets(client.address(key))
        reporter = terminal_progress(address.name, quiet=quiet)
        if reporter is not None:
            print(address, file=sys.stderr)
        with reporter or nullcontext():
            result = await client.put(key, source, progress=reporter, **options)
    print(result.url)


async def _get(
    key: str | URL,
    output: str,
    url: str,
    *,
    quiet: bool,
    timeout: float | None,
    wait: float | None,
) -> None:
    from contextlib import nullcontext

    from filepipe.client import Client
    from filepipe.client.progress import terminal_progress

    target = target_of(output)
    async with Client(url, timeout=timeout) as client:
        reporter = terminal_progress(client.address(key).name, quiet=quiet)
        with reporter or nullcontext():
            result = await client.download(key, target, wait=wait, progress=reporter)
    if reporter is not None and result.path is not None:
        print(result.path, file=sys.stderr)


def _random_key() -> str:
    """128 bits, in letters that survive a telephone."""
    return base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()
