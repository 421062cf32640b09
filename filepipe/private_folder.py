"""The daemon's own folder in DATA_DIR: nobody else reads it, and one daemon at a time uses it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from filepipe.errors import ConfigError

NAME = "filepipe"


class PrivateFolder:
    """`data_dir/filepipe`, mode 0700, locked until `close`. Raises `ConfigError`.

    Nothing else in `data_dir` is judged or touched. Blocks briefly; used before serving.
    """

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / NAME
        try:
            missing = [path for path in (self.path, *self.path.parents) if not path.exists()]
            data_dir.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700, exist_ok=True)
            self._judge()
            for made in missing:
                _sync(made.parent)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._lock = os.open(self.path / "lock", flags, 0o600)
        except OSError as error:
            raise ConfigError(f"data_dir: {self.path}: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            if isinstance(error, BlockingIOError):
                raise ConfigError(f"data_dir: another filepipe uses {self.path}") from error
            # a file system without locks (some NFS) cannot tell one daemon of another
            raise ConfigError(
                f"data_dir: {self.path} cannot be locked: {error.strerror}"
            ) from error

    def _judge(self) -> None:
        found = os.lstat(self.path)
        if os.path.islink(self.path) or found.st_uid != os.geteuid():
            raise ConfigError(f"data_dir: {self.path} belongs to somebody else")
        if found.st_mode & 0o077:
            self.path.chmod(0o700)

    def close(self) -> None:
        """Let another daemon have the folder."""
        os.close(self._lock)


def _sync(folder: Path) -> None:
    """Put the names in a folder on the disk: without them a power cut takes what is in these."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return  # one may write to it and not read it; the journal of the disk will do it soon
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
