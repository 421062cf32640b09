"""One SQLite file and the one thread that uses it.

Rule 1: what `run` returned survives kill -9 and a power cut: WAL, `synchronous=FULL`.
Rule 2: nobody else opens the file meanwhile (`locking_mode=EXCLUSIVE`): two daemons cannot have the
        same database, and there is no shared memory beside it.
Rule 3: a failed fsync is never retried, since the kernel may have dropped what it could not write.
        Nothing is written any more until a restart, which believes only what it reads. For that
        reason the checkpoints are ours: SQLite's own would keep their failures to themselves.
Rule 4: a full disk keeps nobody from finishing, or making room: there is some in reserve for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from filepipe.errors import ConfigError, DiskFull, FilepipeError, StorageFailed
from filepipe.logs import get_logger
from filepipe.records.mounts import read_mountinfo, remote_type
from filepipe.records.reserve import Reserve
from filepipe.records.schema import MIGRATIONS

log = get_logger("filepipe.records")

T = TypeVar("T")

APPLICATION: Final = 0x66706970
"""What marks the file as ours ("fpip")."""

PATIENCE: Final = 2.0
"""Seconds that we wait for a daemon that is about to let go of the file."""

CHECKPOINT_AFTER: Final = 500
"""Changed rows after which the log is copied into the file: some 5 MiB of it."""

_FAILED_SYNCS = frozenset({sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC})


class Database:
    """The records of the daemon; made by `open`, closed by `aclose`."""

    def __init__(
        self, writer: ThreadPoolExecutor, connection: sqlite3.Connection, reserve: Reserve
    ) -> None:
        self._writer = writer
        self._reserve = reserve
        self._connection = connection  # belongs to the thread of `writer`
        self._checkpointed = connection.total_changes
        self._trouble: str | None = None

    @classmethod
    async def open(cls, path: Path) -> Database:
        """Open or make the file (0600) and bring it up to date; its folder must be there.

        Raises `ConfigError`.
        """
        writer = ThreadPoolExecutor(1, thread_name_prefix="filepipe-records")
        try:
            connection = await asyncio.wrap_future(writer.submit(connect, path))
            reserve = await asyncio.wrap_future(writer.submit(_reserve, path))
        except BaseException:
            writer.shutdown(wait=False)
            raise
        return cls(writer, connection, reserve)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in one transaction, which is durable when this returns.

        When it raises, nothing has changed; a caller that is cancelled cannot know. Raises
        `DiskFull`, `StorageFailed`, and whatever `work` raises.
        """
        return await asyncio.wrap_future(self._writer.submit(self._transact, work))

    async def free(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work`, which ends something that takes room: as `run`, also on a full disk."""
        return await asyncio.wrap_future(self._writer.submit(self._transact_in_need, work))

    def check(self) -> str | None:
        """What is wrong, in one sentence, or None."""
        return self._trouble

    async def aclose(self) -> None:
        """Close the file, after what still has to be done."""
        try:
            await asyncio.wrap_future(self._writer.submit(self._connection.close))
        finally:
            await asyncio.to_thread(self._writer.shutdown)

    # What follows runs on the thread.

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._trouble:
            raise StorageFailed(self._trouble)
        try:
            with _transaction(self._connection):
                result = work(self._connection)
        except sqlite3.Error as error:
            raise self._translated(error) from error
        if self._connection.total_changes - self._checkpointed >= CHECKPOINT_AFTER:
            self._checkpoint()
        self._reserve.take()
        return result

    def _transact_in_need(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return self._transact(work)
        except DiskFull:
            if not self._reserve.give():
                raise
        self._checkpoint()  # the log begins anew then, and grows no more
        return self._transact(work)

    def _checkpoint(self) -> None:
        self._checkpointed = self._connection.total_changes
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            # What was committed is in the log; when the disk has room, the next one succeeds.
            log.warning("no checkpoint", reason=str(self._translated(error)))

    def _translated(self, error: sqlite3.Error) -> FilepipeError:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        if code == sqlite3.SQLITE_FULL:
            return DiskFull("disk full, try again later")
        if code in _FAILED_SYNCS:
            self._trouble = "the records could not be written to the disk"
            log.error("the disk failed, no record is written before a restart", reason=str(error))
        return StorageFailed("the records could not be read or written")


def _reserve(path: Path) -> Reserve:
    reserve = Reserve(Path(os.path.realpath(path)))
    reserve.take()
    return reserve


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite has ended it itself after some errors
            connection.execute("ROLLBACK")
        raise


def connect(path: Path) -> sqlite3.Connection:
    """Open the file for this thread and nobody else. Raises `ConfigError`."""
    try:
        real = Path(os.path.realpath(path))
        _prepare(real)
    except OSError as error:
        raise ConfigError(f"database_path: {path}: {error.strerror}") from error
    connection = sqlite3.connect(real, timeout=PATIENCE, isolation_level=None)
    try:
        _judge(connection, path)
        _configure(connection)
        _migrate(connection)
    except sqlite3.Error as error:
        connection.close()
        raise ConfigError(f"database_path: {path} {_refusal(error)}") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(path: Path) -> None:
    """Make the file if it is missing, and see to it that nobody else can read it."""
    remote = remote_type(path, read_mountinfo())
    if remote:
        raise ConfigError(
            f"database_path: {path} is on a network file system ({remote}), choose a local folder"
        )
    try:
        found = path.stat().st_mode
    except FileNotFoundError:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        return
    # Only looked at: a file that is opened and closed loses the locks that this process has on it.
    if not stat.S_ISREG(found):
        raise ConfigError(f"database_path: {path} is not a file")
    if found & 0o077:
        path.chmod(0o600)


def _judge(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse, untouched, what is not ours or too new for us, and what is damaged."""
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    application, version = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version")
    )
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION and (application or version or tables):
        raise ConfigError(f"database_path: {path} is the database of another program")
    if version > len(MIGRATIONS):
        raise ConfigError(f"database_path: {path} was written by a newer version of filepipe")
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise ConfigError(f"database_path: {path} is damaged: {' '.join(verdict.split())}")


def _configure(connection: sqlite3.Connection) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise sqlite3.OperationalError(f"journal mode {mode}")
    for pragma in ("synchronous=FULL", "fullfsync=ON", "foreign_keys=ON", "wal_autocheckpoint=0"):
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _migrate(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
        with _transaction(connection):
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={APPLICATION}")
            connection.execute(f"PRAGMA user_version={number}")


_REFUSALS = {
    sqlite3.SQLITE_NOTADB: "is not a database",
    sqlite3.SQLITE_CORRUPT: "is damaged",
    sqlite3.SQLITE_BUSY: "is used by another process",
    sqlite3.SQLITE_FULL: "has no room on its disk",
    sqlite3.SQLITE_READONLY: "cannot be written",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened",
}


def _refusal(error: sqlite3.Error) -> str:
    # The low byte is the primary code, the rest refines it.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    return _REFUSALS.get(code, f"cannot be used: {error}")
