"""Files below a root that were there before: each becomes a log of the bytes that it has.

Everything here blocks.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection
from pathlib import Path

from filepipe.errors import Conflict, FilepipeError, TooManyKeys
from filepipe.journal.disk import Disk
from filepipe.journal.files import LogFiles
from filepipe.journal.frames import Birth
from filepipe.journal.places import Named
from filepipe.journal.root import Root, refused


def is_there(root: Root, key: str, disk: Disk) -> bool:
    """Whether a file is where the bytes of a log would be. Raises as `adopt` if it is none."""
    try:
        found = Named(root, key, disk).stat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise refused(error) from error
    if stat.S_ISREG(found.st_mode):
        return True
    code = errno.EISDIR if stat.S_ISDIR(found.st_mode) else errno.ELOOP
    raise refused(OSError(code, os.strerror(code)))


def adopt(folder: Path, root: Root, key: str, disk: Disk) -> LogFiles:
    """Make a log of the file of `key`; its index is in `folder`, and is not flushed.

    Nobody said when it is to go, so it stays. Raises as `LogFiles.create`.
    """
    try:
        found = Named(root, key, disk).stat()
    except OSError as error:
        raise refused(error) from error
    tag = f"{found.st_ino:x}-{found.st_mtime_ns:x}"
    birth = Birth(key, None, None, tag, named=True, adopted=True)
    return LogFiles.create(folder, birth, disk, root=root)


def adopt_all(
    folder: Path, root: Root, disk: Disk, known: Collection[str], most: int
) -> tuple[list[LogFiles], list[str]]:
    """Make logs of all files but the `known` ones, up to `most`; the rest, each with its reason."""
    adopted: list[LogFiles] = []
    others = []
    for path, is_plain in root.paths():
        if path in known:
            continue
        try:
            if not is_plain:
                raise Conflict("it is no plain file, or its path is no key")
            if len(known) + len(adopted) >= most:
                raise TooManyKeys("there are too many keys")
            files = adopt(folder, root, path, disk)
        except FilepipeError as error:
            others.append(f"{path.encode(errors='backslashreplace').decode()}: {error}")
        else:
            files.rest()
            adopted.append(files)
    if adopted:
        disk.flush_names(folder)
    return adopted, others
