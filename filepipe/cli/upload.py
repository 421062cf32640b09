"""`filepipe upload`: files in parts, durable on the server, resumed by the same command."""

from __future__ import annotations

import json
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from filepipe.cli.main import MISUSED, fail
from filepipe.cli.operands import (
    ANYBODY,
    FILE_PARAMETER,
    AsJson,
    Quiet,
    Uploader,
    Whole,
    own_name,
)
from filepipe.cli.outcome import run

# More connections to one server help nobody.
MOST_PARTS: Final = 64


@Parameter(name="*")
@dataclass(frozen=True)
class Wanted:
    """What the server shall do with the files; None leaves it to the server."""

    to: Annotated[
        str | None,
        Parameter(
            help='Where to keep it, such as "films/big.mov"; with a slash at the end a folder.'
        ),
    ] = None
    sha256: Annotated[
        str | None,
        Parameter(help="What the SHA-256 of the whole must be, as hex; it keeps nothing else."),
    ] = None
    overwrite: Annotated[
        bool | None,
        Parameter(
            negative="--no-overwrite",
            help="Replace a file of that name, or find another name; else as the server is set.",
        ),
    ] = None
    storage: Annotated[
        str | None, Parameter(help="In which of its storages, if it allows the choice.")
    ] = None

    def path_of(self, file: str) -> str:
        """Return where a file shall be."""
        if self.to is None:
            return own_name(file)
        return self.to + own_name(file) if self.to.endswith("/") else self.to


AS_USUAL: Final = Wanted()


def upload(
    *files: Annotated[str, FILE_PARAMETER],
    wanted: Wanted = AS_USUAL,
    parts: Whole = 4,
    server: Uploader = ANYBODY,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Upload files in parts and print where the server keeps them.

    Parameters
    ----------
    files
        The file, or several.
    wanted
        What the server shall do with them.
    parts
        How many parts go side by side.
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
    one = wanted.sha256 is not None or not (wanted.to or "/").endswith("/")
    if len(files) > 1 and one:
        fail("several files need a folder in --to, such as backups/, and no --sha256", MISUSED)
    for file in files:
        _check(file)
    run(_upload(server, files, wanted, parts, quiet=quiet, as_json=as_json))


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


async def _upload(
    server: Uploader,
    files: tuple[str, ...],
    wanted: Wanted,
    parts: int,
    *,
    quiet: bool,
    as_json: bool,
) -> None:
    from contextlib import nullcontext

    from filepipe.client.progress import terminal_progress

    async with server.client() as client:
        for file in files:
            reporter = terminal_progress(own_name(file), quiet=quiet)
            with reporter or nullcontext():
                result = await client.uploads.upload(
                    Path(file),
                    to=wanted.path_of(file),
                    parts=parts,
                    checksum=wanted.sha256,
                    overwrite=wanted.overwrite,
                    storage=wanted.storage,
                    progress=reporter,
                )
            print(json.dumps(result.info.answer) if as_json else result.path)
            sys.stdout.flush()
