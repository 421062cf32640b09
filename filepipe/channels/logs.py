"""Every log of the daemon: found, made, recovered, removed.

Rule 1: the directory of keys knows what is here, and so does this of what is there: a key has one
        kind at a time.
Rule 2: a log that is damaged keeps its key, and serves nothing until it is deleted.
Rule 3: what may wait for a disk runs on a few threads; of one log one thread at a time writes.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from filepipe.accountant import Accountant
from filepipe.channels.channel import Channel
from filepipe.channels.directory import Directory
from filepipe.channels.log import Log
from filepipe.channels.state import State
from filepipe.errors import (
    Broken,
    ConfigError,
    Draining,
    FilepipeError,
    StorageFailed,
    TooManyKeys,
)
from filepipe.journal.adoption import adopt, adopt_all, is_there
from filepipe.journal.disk import Disk
from filepipe.journal.files import DATA, INDEX, LogFiles
from filepipe.journal.frames import Birth, Damaged
from filepipe.journal.recovery import recover
from filepipe.journal.root import Root, check_name
from filepipe.keys import Key

T = TypeVar("T")

THREADS = 4
"""Enough to keep one disk busy; more only wait for each other."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a log that is made shall be: its type, and how long it lives.

    `ttl` are the seconds after its last byte, `expires_at` those since 1970; None for ever. It
    begins with the bytes `first`, and ends there with `close`.
    """

    content_type: str | None
    ttl: float | None
    expires_at: float | None = None
    first: bytes = b""
    close: bool = False


class Logs:
    """The logs in one folder, at most `most`; opened once by `open`, closed by `aclose`."""

    def __init__(self, directory: Directory, accountant: Accountant, most: int) -> None:
        self.accountant = accountant
        self.draining = False
        self.records = 0
        """Records that were written since the start."""
        self.commits = 0
        """How often the disk was waited for to write them."""
        self._directory = directory
        self._most = most
        self._logs: dict[Key, Log] = {}
        self._making: dict[Key, asyncio.Task[None]] = {}
        self._removing: dict[Key, asyncio.Task[None]] = {}
        self._folder = Path()
        self._root: Root | None = None
        self._disk = Disk()
        self._pool: ThreadPoolExecutor | None = None
        directory.kept = self._logs

    def __iter__(self) -> Iterator[Log]:
        return iter(list(self._logs.values()))

    def busy(self) -> int:
        """How many logs a drain waits for: those that somebody appends to."""
        return sum(log.session is not None or log.tip > log.size for log in self._logs.values())

    @property
    def damaged(self) -> int:
        """How many logs are not served, because they are not as they were written."""
        return sum(log.state is not State.CLAIMED and log.files.damage is not None for log in self)

    # -- start and end

    async def open(
        self, folder: Path, disk: Disk | None = None, root: Root | None = None
    ) -> list[str]:
        """Recover the logs in `folder`, which is made (0700); what was found wrong, as sentences.

        Logs that are made have their bytes below the `root`, if there is one, which is closed with
        this. Raises `ConfigError`.
        """
        self._folder, self._root = folder, root
        self._disk = disk or self._disk
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="filepipe-log")
        try:
            names = await self.run(lambda: _names(folder))
        except OSError as error:
            raise ConfigError(f"data_dir: {folder} cannot be used: {error.strerror}") from error
        # side by side, since each waits for the disk, which can serve several at once
        shares = [names[number::THREADS] for number in range(THREADS)]
        recover = functools.partial(_recover_all, folder, self._disk, root)
        recovered = await asyncio.gather(
            *(self.run(functools.partial(recover, share)) for share in shares)
        )
        for files in itertools.chain.from_iterable(found for found, _ in recovered):
            log = self._logs[Key(files.birth.key)] = Log(Key(files.birth.key), self)
            log.open(files)
        damaged = [f"{log.key}: {log.files.damage}" for log in self if log.files.damage]
        return sorted([*damaged, *itertools.chain.from_iterable(lost for _, lost in recovered)])

    async def adopt(self) -> tuple[int, list[str]]:
        """Make logs of the files below the root: how many, and why others are none."""
        if (root := self._root) is None:
            return 0, []
        known = {log.key for log in self}
        adopted, others = await self.run(
            lambda: adopt_all(self._folder, root, self._disk, known, self._most)
        )
        for files in adopted:
            log = self._logs[Key(files.birth.key)] = Log(Key(files.birth.key), self)
            log.open(files)
        return len(adopted), others

    async def verify(self) -> AsyncIterator[str]:
        """Compare all that was found with its checksums; yields a sentence for each damage."""
        found = [log for log in self if log.state is not State.CLAIMED]
        for log in [log for log in found if log.files.damage is None]:  # else that was said
            try:
                await log.prove(0, log.size)
            except FilepipeError as error:
                if self._logs.get(log.key) is log:  # not only deleted meanwhile
                    yield f"{log.key}: {log.files.damage or error}"

    def drain(self) -> None:
        """Take no new appender; who follows a log that nobody appends to is told at once."""
        self.draining = True
        for log in self:
            log.wake()

    def cut(self) -> None:
        """End every appender."""
        for log in self:
            if log.interrupt is not None:
                log.interrupt(Draining("server is shutting down"))

    async def aclose(self) -> None:
        """Write what was taken, and let go of files and threads."""
        await asyncio.gather(*self._removing.values(), return_exceptions=True)
        for log in self:
            await log.settle()
            self._let_go(log)
        if self._pool is not None:
            await asyncio.to_thread(self._pool.shutdown)
        if self._root is not None:
            self._root.close()

    def _let_go(self, log: Log) -> None:
        self.accountant.disk.give(log.taken)
        log.taken = 0
        self.changed(log)

    # -- what logs need

    async def run(self, function: Callable[[], T]) -> T:
        """Call on a thread what may wait for a disk."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function)

    def changed(self, channel: Channel) -> None:
        """Let go of the files of a log that nobody uses."""
        assert isinstance(channel, Log)
        if channel.idle and channel.state is not State.CLAIMED:
            channel.files.rest()

    def committed(self, records: int) -> None:
        """So many records were written together."""
        self.records += records
        self.commits += 1

    # -- making

    async def enter(self, key: Key, content_type: str | None, ttl: float | None) -> Log:
        """The log under `key`, made if there is none: with this type, and seconds to live.

        Raises `Conflict`, `Draining`, `TooManyKeys`, `DiskFull`, `TooManyFiles`,
        `StorageFailed`.
        """
        log, _ = await self.create(key, Wish(content_type, ttl))
        return log

    async def create(self, key: Key, wish: Wish) -> tuple[Log, bool]:
        """The log under `key`, and whether it was made for this; as `enter` otherwise.

        One that is made begins as the wish says, or is not made at all. Raises `OverBudget`, too.
        """
        if self.draining:
            raise Draining("server is shutting down, not accepting new uploads")
        while (removing := self._removing.get(key)) is not None:
            await asyncio.wait({removing})
        log = self._logs.get(key)
        made = log is None
        if log is None:
            log = self._begin(key, wish)
        if (making := self._making.get(key)) is not None:
            await asyncio.shield(making)
        return log, made and not log.files.birth.adopted

    def _begin(self, key: Key, wish: Wish) -> Log:
        self._directory.check_free(key)
        if self._root is not None:
            check_name(key)
        if len(self._logs) >= self._most:
            raise TooManyKeys("too many keys, try again later")
        self.accountant.disk.take(len(wish.first))
        log = self._logs[key] = Log(key, self)
        log.taken = len(wish.first)
        making = self._making[key] = asyncio.create_task(self._make(log, wish))
        making.add_done_callback(functools.partial(self._made, key))
        return log

    async def _make(self, log: Log, wish: Wish) -> None:
        try:
            files = await self.run(functools.partial(self._make_files, log.key, wish))
        except BaseException:
            del self._logs[log.key]
            self.accountant.disk.give(log.taken)
            raise
        finally:
            del self._making[log.key]
        if files.birth.adopted:
            self.accountant.disk.give(log.taken)
            log.taken = 0
        log.open(files)

    def _make_files(self, key: Key, wish: Wish) -> LogFiles:
        root, disk = self._root, self._disk
        if root is not None and is_there(root, key, disk):  # it came after the start
            files = adopt(self._folder, root, key, disk)
            disk.flush_names(self._folder)
            return files
        begun = bool(wish.first) or wish.close
        birth = Birth(
            key, wish.content_type, wish.ttl, secrets.token_hex(8), wish.expires_at, begun,
            named=root is not None,
        )  # fmt: skip
        return LogFiles.create(self._folder, birth, disk, wish.first, close=wish.close, root=root)

    def _made(self, key: Key, making: asyncio.Task[None]) -> None:
        if making.cancelled() or making.exception() is not None:
            return
        # a turn later, so that who made it for a session has begun that when readers look
        asyncio.get_running_loop().call_soon(self._was_made, key)

    def _was_made(self, key: Key) -> None:
        self._directory.room.wake(key)
        if (log := self._logs.get(key)) is not None:
            self.changed(log)

    # -- removing

    async def delete(self, log: Log) -> None:
        """Remove a log; who reads it or appends to it is cut, unless it is closed.

        It goes on when its caller is cancelled. Raises `StorageFailed`; the log then keeps its key,
        serves nothing, and can be removed again.
        """
        key = log.key
        if self._logs.get(key) is log:
            del self._logs[key]
            self._removing[key] = removing = asyncio.create_task(self._remove(log))
            removing.add_done_callback(functools.partial(self._removed, key))
        if key in self._removing:
            await asyncio.shield(self._removing[key])

    async def _remove(self, log: Log) -> None:
        try:
            if log.state is State.WRITING:
                log.break_off(Broken("the key was deleted"))
            await log.settle()
            await self.run(log.files.remove)
        except FilepipeError as error:
            log.files.damage = f"it could not be removed: {error}"
            again = self._logs[log.key] = Log(log.key, self)
            again.open(log.files)
            raise
        finally:
            log.forget()
            self._let_go(log)

    def _removed(self, key: Key, removing: asyncio.Task[None]) -> None:
        del self._removing[key]
        if not removing.cancelled():
            removing.exception()  # its caller may be gone

    async def expire(self) -> int:
        """Remove the logs whose time to live is over; how many.

        Raises `StorageFailed` at the end where one of them could not be.
        """
        count, failure = 0, None
        for log in self:
            try:
                count += await self.ended(log)
            except StorageFailed as error:
                failure = error
        if failure is not None:
            raise failure
        return count

    async def ended(self, log: Log) -> bool:
        """Remove the log if its time is over; whether it was. Raises `StorageFailed`."""
        if log.state is State.CLAIMED or log.files.damage is not None:
            return False  # of a damaged one somebody may want a look
        if not await self._is_over(log):
            return False
        if self._logs.get(log.key) is log:
            await self.delete(log)
        return True

    async def _is_over(self, log: Log) -> bool:
        moment = log.files.birth.expires_at
        if moment is not None and time.time() >= moment:
            return True
        if log.ttl is None or not log.idle:
            return False
        unused = time.time() - await self.run(log.files.last_added)
        return unused >= log.ttl and log.idle

    async def touch(self, log: Log) -> None:
        """Let its time to live begin anew. Raises `StorageFailed`."""
        if log.ttl is not None:
            await self.run(log.files.touch)


def _recover_all(
    folder: Path, disk: Disk, root: Root | None, names: Iterable[str]
) -> tuple[list[LogFiles], list[str]]:
    """The logs, and what was found wrong where not even the key is known."""
    found, lost = [], []
    for name in names:
        try:
            files = recover(folder, name, disk, root)
        except (Damaged, FilepipeError) as error:
            lost.append(f"{name}: {error}")
        else:
            found += [] if files is None else [files]
    return found, lost


def _names(folder: Path) -> list[str]:
    folder.mkdir(mode=0o700, exist_ok=True)
    found = (Path(name) for name in os.listdir(folder))
    return sorted({path.stem for path in found if path.suffix in (DATA, INDEX)})
