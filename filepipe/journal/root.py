"""The folder in which logs have their bytes under their own names: `--httpfstream-root`.

Everything here blocks and raises OSError, which `refused` puts into our words.

Rule 1: a key is the path of its file. Every step goes through an open folder and follows no link.
Rule 2: nothing that is there is written over, and no file becomes a log that has a second name.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from filepipe.errors import BadKey, ConfigError, Conflict, FilepipeError
from filepipe.keys import MAX_KEY_BYTES, parse_key, quote_text
from filepipe.storage.system_calls import flush_folder, translated

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

LONGEST = 255
"""Bytes that a name may have on the file systems that we know."""

_SENTENCES = {
    errno.EEXIST: "a file came under this key just now, try again",
    errno.EISDIR: "the key is a folder of other keys",
    errno.ENOTDIR: "a part of the key is a file, and no folder",
    errno.ENXIO: "what is under this key is no plain file",
    errno.ELOOP: "what is under this key is no plain file",
    errno.EMLINK: "the file under this key has a second name",
    errno.EACCES: "the file under this key is not ours to write",
    errno.EPERM: "the file under this key is not ours to write",
}


def refused(error: OSError) -> FilepipeError:
    """Why a key can have no log there, without the path: a client may see it."""
    if error.errno in (errno.ENAMETOOLONG, errno.EILSEQ):
        return BadKey("a name in the key cannot be that of a file")
    sentence = _SENTENCES.get(error.errno or 0)
    return translated(error) if sentence is None else Conflict(sentence)


def check_name(key: str) -> None:
    """Raise `BadKey` where a key can be no path of a file."""
    if key.endswith("/"):
        raise BadKey("a key that ends with a slash cannot be a file")
    for name in key.split("/"):
        if name.startswith("."):
            raise BadKey("a key with a name that begins with a dot cannot be a file")
        if len(name.encode()) > LONGEST:
            raise BadKey(f"a name in the key exceeds {LONGEST} bytes")


class Root:
    """The folder at `path`, made if it is missing (0700), ours alone until `close`.

    `private` is a folder of the daemon, of which no key may be a path. Raises `ConfigError`.
    """

    def __init__(self, path: Path, private: Path) -> None:
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            inner, outer = path.resolve(), private.resolve()
            if inner.is_relative_to(outer) or outer.is_relative_to(inner):
                raise ConfigError(f"httpfstream_root: {path} and {private} are one in the other")
            self._fd = os.open(path, _FOLDER)
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise ConfigError(f"httpfstream_root: another filepipe uses {path}") from error
        except OSError as error:
            self.close()
            raise _unusable(path, error) from error

    def close(self) -> None:
        """Let another daemon have the folder."""
        os.close(self._fd)

    def enter(self, folders: list[str], *, make: bool = False) -> int:
        """Open the folder of that path."""
        fd = os.dup(self._fd)
        for name in folders:
            try:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(name, 0o700, dir_fd=fd)
                below = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=fd)
            finally:
                os.close(fd)
            fd = below
        return fd

    def flush(self, folders: list[str]) -> None:
        """Return when the names on the way, and those in the folder, are on the disk."""
        for depth in range(len(folders), -1, -1):
            fd = self.enter(folders[:depth])
            try:
                flush_folder(fd)
            finally:
                os.close(fd)

    def prune(self, folders: list[str]) -> None:
        """Remove the folder, and those above it, as long as nothing is in them."""
        with suppress(OSError):
            for depth in range(len(folders), 0, -1):
                fd = self.enter(folders[: depth - 1])
                try:
                    os.rmdir(folders[depth - 1], dir_fd=fd)
                finally:
                    os.close(fd)

    def paths(self) -> Iterator[tuple[str, bool]]:
        """The path of everything that is no folder, and whether that is a key with a plain file.

        What is hidden, by a dot, is left out.
        """
        for folder, folders, names, fd in os.fwalk(".", dir_fd=self._fd):
            above = "" if folder == "." else folder.removeprefix("./") + "/"
            # no key is longer than that, so what is deeper is none
            deep = len(above) > MAX_KEY_BYTES
            folders[:] = [] if deep else [name for name in folders if name[0] != "."]
            for name in names:
                if name[0] != ".":
                    yield above + name, _is_key(above + name) and _is_plain(name, fd)


def _unusable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"httpfstream_root: {path} cannot be used: {error.strerror}")


def _is_key(text: str) -> bool:
    try:
        check_name(text)
        return parse_key(quote_text(text)) == text
    except (BadKey, UnicodeError):
        return False


def _is_plain(name: str, folder: int) -> bool:
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1
