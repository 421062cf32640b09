"""`filepipe upload`: files in parts, durable on the server, resumed by the same command."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from filepipe.cli.main import MISUSED, fail
from filepipe.cli.operands import (
    ANYBODY,
    FILE_PARAMETER,
    AsJson,
    Quiet,
    Uploader,
    own_name,
)
from filepipe.cli.outcome import run

# More connections to one server help nobody.
MOST_PARTS: Final = 64


def upload(
    *files: Annotated[str, FILE_PARAMETER],
    to: str | None = None,
    parts: int = 4,
    sha256: str | None = None,
    overwrite: Annotated[bool | None, Parameter(negative="--no-overwrite")] = None,
    server: Uploader = ANYBODY,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Upload files in parts and print where the server keeps them.

    Parameters
    ----------
    files
        The file, or several.
    to
        Where the server shall keep it, such as "films/big.mov"; with a slash at the end a folder.
    parts
        How many parts go side by side.
    sha256
        What the SHA-256 of the whole must be, as hex; the server keeps nothing else.
    overwrite
        Replace a file of that name, or find another name for ours; else as the server is set.
    server
        The server.
    as_json
        Print all that the server says of each upload, as JSON, one a line.
    quiet
        Show no progress.

    """
    if not files:
        fail("upload which file?", MISUSED)
    if not 1 <= parts <= MOST_PARTS:
        fail(f"--parts: {parts} is not a number from 1 to {MOST_PARTS}", MISUSED)
    if len(files) > 1 and (sha256 or (to is not None and not to.endswith("/"))):
        fail("several files need a folder in --to, such as backups/, and no --sha256", MISUSED)
    for file in files:
        _check(file)
    targets = {file: _target(file, to) for file in files}
    options = {"parts": parts, "checksum": sha256, "overwrite": overwrite}
    run(_upload(server, targets, quiet=quiet, as_json=as_json, **options))


def _check(file: str) -> None:
    """End the command before anything is sent if a file can be no upload."""
    if file == "-":
        fail("standard input cannot be read in parts: `filepipe put -` takes it", MISUSED)
    try:
        mode = os.stat(file).st_mode
    except OSError as error:
        fail(f"{file}: {error.strerror}")
    if stat.S_ISDIR(mode):
        fail(f"{file}: is a folder: upload its files, or an archive of it", MISUSED)
    if not stat.S_ISREG(mode):
        fail(f"{file}: cannot be read in parts: `filepipe put` takes it", MISUSED)


def _target(file: str, to: str | None) -> str:
    if to is None:
        return own_name(file)
    return to + own_name(file) if to.endswith("/") else to


async def _upload(
    server: Uploader, targets: dict[str, str], *, quiet: bool, as_json: bool, **options: Any
) -> None:
    from contextlib import nullcontext

    from filepipe.client.progress import terminal_progress

    async with server.client() as client:
        for file, target in targets.items():
            reporter = terminal_progress(own_name(file), quiet=quiet)
            with reporter or nullcontext():
                result = await client.uploads.upload(
                    Path(file), to=target, progress=reporter, **options
                )
            print(json.dumps(result.info.answer) if as_json else result.path)
            sys.stdout.flush()
