"""`filepipe uploads`: what was uploaded in parts, or is being."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from cyclopts import App

from filepipe.cli.operands import ANYBODY, AsJson, Uploader
from filepipe.cli.outcome import run
from filepipe.sizes import format_size

if TYPE_CHECKING:
    from filepipe.client import Client, UploadInfo

app = App(name="uploads", help="List, look at and remove what was uploaded in parts.")

_LABELS: Final = ("ID", "STATUS", "SIZE", "EXPIRES", "PATH")


@app.command
def ls(*, as_json: AsJson = False, server: Uploader = ANYBODY) -> None:
    """List all uploads, the newest first.

    Parameters
    ----------
    as_json
        Print what the server says of each, as JSON, one a line.
    server
        The server.

    """

    async def ask(client: Client) -> None:
        found = await client.uploads.listing()
        if as_json:
            for info in found:
                print(json.dumps(info.answer))
        else:
            _print_table([_LABELS, *(_row(info) for info in found)])

    _with_client(server, ask)


@app.command
def status(
    upload_id: str,
    /,
    *,
    as_json: AsJson = False,
    server: Uploader = ANYBODY,
) -> None:
    """Say how far an upload is.

    Parameters
    ----------
    upload_id
        Its id, as `uploads ls` shows it.
    as_json
        Print all that the server says of it, as JSON.
    server
        The server.

    """

    async def ask(client: Client) -> None:
        info = await client.uploads.status(upload_id)
        if as_json:
            print(json.dumps(info.answer))
        else:
            _print_table(_facts(info))

    _with_client(server, ask)


@app.command
def rm(
    upload_id: str,
    /,
    *more: str,
    server: Uploader = ANYBODY,
) -> None:
    """Cancel uploads, or remove complete ones with their files.

    Parameters
    ----------
    upload_id
        Its id, as `uploads ls` shows it.
    more
        More ids.
    server
        The server.

    """

    async def ask(client: Client) -> None:
        for each in (upload_id, *more):
            await client.uploads.remove(each)

    _with_client(server, ask)


@app.command
def tokens(
    upload_id: str,
    /,
    *,
    as_json: AsJson = False,
    server: Uploader = ANYBODY,
) -> None:
    """Print a new token for each part that is missing.

    A token lets whoever has it send that one part, and nothing else.

    Parameters
    ----------
    upload_id
        Its id, as `uploads ls` shows it.
    as_json
        Print them as a JSON object, by the numbers of the parts.
    server
        The server.

    """

    async def ask(client: Client) -> None:
        issued = await client.uploads.tokens(upload_id)
        if as_json:
            print(json.dumps(issued))
        else:
            _print_table([("PART", "TOKEN"), *((str(n), text) for n, text in issued.items())])

    _with_client(server, ask)


def _with_client(server: Uploader, ask: Callable[[Client], Awaitable[None]]) -> None:
    async def talk() -> None:
        async with server.client() as client:
            await ask(client)

    run(talk())


def _row(info: UploadInfo) -> tuple[str, ...]:
    path = info.final_path or info.path
    return (info.id, info.status, format_size(info.size), _expiry(info) or "never", path)


def _expiry(info: UploadInfo) -> str | None:
    """When it is removed; what is complete stays, whatever the server says of it."""
    return None if info.status == "complete" else info.expires_at


def _facts(info: UploadInfo) -> list[tuple[str, str]]:
    facts = {
        "id": info.id,
        "path": info.final_path or info.path,
        "size": format_size(info.size),
        "status": info.status,
        "parts": f"{info.uploaded_parts} of {info.total_parts}",
        "error": info.error,
        "expires": _expiry(info),
    }
    return [(name, value) for name, value in facts.items() if value]


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    from filepipe.client.answers import printable

    safe = [[printable(cell).replace("\n", " ") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*safe, strict=True)]
    for row in safe:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
