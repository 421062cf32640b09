"""The engine of uploads by their offset against a model, over faults, stops and crashes."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)

from filepipe.channels.channel import Reader
from filepipe.errors import (
    BadRequest,
    Broken,
    DiskFull,
    FilepipeError,
    Gone,
    StorageFailed,
    WrongOffset,
)
from filepipe.keys import Key
from filepipe.records.uploads import Upload
from filepipe.testing import turns
from tests.channels.memory_shelf import MemoryDraft, MemoryShelf
from tests.channels.offsetting import World

T = TypeVar("T")

PIECES = st.lists(st.binary(max_size=12), max_size=3)


class FragileDraft(MemoryDraft):
    """What was not synced is lost in a crash, and after a sync that failed nothing goes."""

    failed = False

    async def sync(self) -> None:
        """As it has to be, or the fault."""
        before = bytes(self._bytes)
        await self.step("sync")
        self.shelf.durable[self.handle] = before

    async def publish(self, name: PurePosixPath, *, unique: bool, size: int) -> str:
        """As it has to be, or the fault."""
        await self.step("publish")
        return await super().publish(name, unique=unique, size=size)

    async def step(self, name: str) -> None:
        """Fail where it is to, and from then on."""
        fault = self.shelf.once.pop(name, None)
        if self.failed or fault is not None:
            self.failed = True
            raise fault or StorageFailed("failed before")

    @property
    def shelf(self) -> FragileShelf:
        """Where it is."""
        assert isinstance(self._shelf, FragileShelf)
        return self._shelf

    async def write(self, offset: int, data: bytes | memoryview) -> None:
        """As it has to be, or there is no room, once."""
        if (fault := self.shelf.once.pop("write", None)) is not None:
            raise fault
        assert offset >= len(self.shelf.durable[self.handle]) or self.shelf.restarted
        await super().write(offset, data)


class FragileShelf(MemoryShelf):
    """`durable` is what a crash leaves; `once` are faults that happen one time."""

    def __init__(self) -> None:
        super().__init__()
        self.durable: dict[str, bytes] = {}
        self.once: dict[str, FilepipeError] = {}
        self.restarted = False

    async def begin(
        self, upload_id: str, size: int | None, name: PurePosixPath | None = None
    ) -> FragileDraft:
        """As it has to be."""
        assert size is None
        self.unnamed[upload_id] = bytearray()
        self.durable[upload_id] = b""
        return FragileDraft(self, upload_id, None)

    async def reopen(self, handle: str, size: int | None) -> FragileDraft:
        """As it has to be."""
        assert size is None
        assert handle not in self.open_drafts
        if handle not in self.unnamed and handle not in self.published:
            raise StorageFailed("the draft is gone")
        self.restarted = True  # what was durable and not recorded is written again
        return FragileDraft(self, handle, None)

    def crash(self) -> None:
        """Lose what was not durable, but for some of it."""
        self.open_drafts.clear()
        for handle, body in self.unnamed.items():
            kept = self.durable[handle]
            self.unnamed[handle] = bytearray(kept + bytes(255 - b for b in body[len(kept) :]))


@dataclass
class Follower:
    """A reader who is there from the beginning, at the key."""

    task: asyncio.Task[None]
    got: bytearray = field(default_factory=bytearray)
    cut: bool = False


@dataclass
class Known:
    """What has to be there of one upload."""

    upload: Upload
    body: bytes = b""
    path: str | None = None
    follower: Follower | None = None


class Engine(RuleBasedStateMachine):
    """Whatever is done in whatever order: what was told stays, what has a name is whole."""

    uploads = Bundle("uploads")

    @initialize()
    def start(self) -> None:
        """The first start of the daemon."""
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.shelf = FragileShelf()
        self.known: dict[str, Known] = {}
        self.made = 0
        self.open()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it, and let what it began come to rest."""

        async def rest() -> T:
            async with asyncio.timeout(10):
                result = await work
                while self.world.activity.busy:
                    await asyncio.sleep(0)
            await turns()
            return result

        return self.runner.run(rest())

    def open(self) -> None:
        """A start."""
        path = Path(self.folder.name, "uploads.db")
        self.world = self.runner.run(World.open(path, self.shelf))
        self.run(turns())

    def teardown(self) -> None:
        """The last stop."""
        self.shelf.once.clear()
        self.run(self.world.aclose())
        self.runner.close()
        self.folder.cleanup()

    # -- what is done

    @rule(
        target=uploads,
        length=st.none() | st.integers(0, 40),
        front=st.sampled_from(["tus", "resumable"]),
        keyed=st.booleans(),
    )
    def begin(self, length: int | None, front: str, keyed: bool) -> str:
        """One more."""
        self.made += 1
        key = f"key-{self.made}" if keyed else None
        if len(self.known) > 8:
            return self.made_nothing()
        self.shelf.once.clear()
        upload = self.run(self.world.begin(length, key=key, front=front, path=f"f{self.made}"))
        known = self.known[upload.id] = Known(upload)
        if upload.status == "complete":
            known.path = upload.final_path
        elif key is not None:
            known.follower = self.run(self.follow(Key(key)))
        return upload.id

    def made_nothing(self) -> str:
        """There are enough."""
        return "none"

    async def follow(self, key: Key) -> Follower:
        """Read along at a key."""
        channel = self.world.directory.find(key)
        assert channel is not None

        async def reading() -> None:
            try:
                with Reader(channel) as reader:
                    while piece := await reader.read():
                        follower.got += piece
            except FilepipeError:
                follower.cut = True

        follower = Follower(asyncio.create_task(reading()))
        return follower

    @rule(
        upload_id=uploads,
        pieces=PIECES,
        leave=st.sampled_from(["cleanly", "lost", "cancelled"]),
        fault=st.sampled_from([None, None, None, "sync", "write", "publish"]),
        ahead=st.sampled_from([0, 0, 0, 1]),
    )
    def append(
        self, upload_id: str, pieces: list[bytes], leave: str, fault: str | None, ahead: int
    ) -> None:
        """Send some; whoever leaves leaves what came."""
        if (known := self.known.get(upload_id)) is None:
            return
        if fault is not None:
            wrong = DiskFull("full") if fault == "write" else StorageFailed("broken")
            self.shelf.once = {fault: wrong}
        self.run(self.send(known, pieces, leave, ahead))
        self.shelf.once.clear()
        self.learn(known, known.body + b"".join(pieces) * (ahead == 0), at_least=len(known.body))

    async def send(self, known: Known, pieces: list[bytes], leave: str, ahead: int) -> None:
        """One append."""
        offset = len(known.body) + ahead

        async def sending() -> None:
            async with self.world.uploads.appending(known.upload.id, offset) as appending:
                assert ahead == 0
                for piece in pieces:
                    await appending.writer.write((piece,))
                if leave == "lost":
                    raise Broken("lost")
                if leave == "cancelled":
                    sent.set()
                    await asyncio.sleep(3600)

        sent = asyncio.Event()
        task, waiting = asyncio.create_task(sending()), asyncio.create_task(sent.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if sent.is_set():
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError, FilepipeError):
            await task
        if ahead and known.path is None:
            assert isinstance(task.exception(), WrongOffset)

    def learn(self, known: Known, sent: bytes, at_least: int) -> None:
        """What is here by now: a beginning of what was sent, and what was told before."""
        found = self.run(self.world.uploads.settle(known.upload.id))
        assert found.offset is not None
        total = found.total_size
        assert at_least <= found.offset <= len(sent)
        known.body = sent[: found.offset]
        if found.status == "complete":
            assert total == found.offset
            known.path = found.final_path

    @rule(upload_id=uploads, body=st.binary(max_size=12), good=st.booleans())
    def append_staged(self, upload_id: str, body: bytes, good: bool) -> None:
        """What is not committed does not stay, and nobody has read it."""
        if (known := self.known.get(upload_id)) is None or known.path is not None:
            return

        async def send() -> None:
            async with self.world.uploads.appending(
                upload_id, len(known.body), staged=True
            ) as appending:
                await appending.writer.write((body,))
                if good:
                    await appending.commit()

        total = self.run(self.world.uploads.find(upload_id)).total_size
        with contextlib.suppress(FilepipeError):
            self.run(send())
        fits = total is None or len(known.body) + len(body) <= total
        before = len(known.body)
        self.learn(known, known.body + body * (good and fits), at_least=before)
        assert len(known.body) == before + len(body) * (good and fits)

    @rule(upload_id=uploads, fault=st.sampled_from([None, None, "publish"]))
    def complete(self, upload_id: str, fault: str | None) -> None:
        """The end, if it is one."""
        if (known := self.known.get(upload_id)) is None:
            return
        if fault is not None:
            self.shelf.once = {fault: StorageFailed("broken")}
        missing = self.run(self.world.uploads.find(upload_id)).total_size not in (
            None,
            len(known.body),
        )
        try:
            done = self.run(self.world.uploads.complete(upload_id))
            assert not missing
        except BadRequest:
            assert missing
        else:
            assert done.status == "complete" or fault is not None
        self.shelf.once.clear()
        self.learn(known, known.body, at_least=len(known.body))

    @rule(upload_id=consumes(uploads), by_key=st.booleans())
    def cancel(self, upload_id: str, by_key: bool) -> None:
        """Away with it."""
        if (known := self.known.pop(upload_id, None)) is None:
            return
        if by_key and known.upload.key is not None:
            channel = self.world.directory.find(Key(known.upload.key))
            assert channel is not None
            self.run(self.world.uploads.delete(channel))
        else:
            self.run(self.world.uploads.cancel(upload_id))
        for ask in (self.world.uploads.find, self.world.uploads.cancel):
            try:
                self.run(ask(upload_id))
            except Gone:
                continue
            raise AssertionError

    @rule(clean=st.booleans())
    def restart(self, clean: bool) -> None:
        """A stop, or a crash, and a start: readers are gone."""
        for known in self.known.values():
            if known.follower is not None:
                self.check(known)
                known.follower.task.cancel()
        if clean:
            self.run(self.world.aclose())
        else:
            self.run(self.world.database.aclose())
            self.shelf.crash()
        for known in self.known.values():
            known.follower = None
        self.open()
        for known in self.known.values():
            self.learn(known, known.body, at_least=len(known.body))

    # -- what is always so

    @invariant()
    def names_are_whole(self) -> None:
        """What is complete has its name and all its bytes; nothing else has one."""
        named = {known.path: known.body for known in self.known.values() if known.path}
        assert {name: bytes(body) for name, body in self.shelf.named.items()} == named
        for known in self.known.values():
            if known.path is not None:
                assert self.run(self.world.content(known.upload)) == known.body

    @invariant()
    def keys_are_taken(self) -> None:
        """Each key shows its upload, as far as it is."""
        channels = [each for each in self.world.directory if not each.forgotten]
        keyed = [known for known in self.known.values() if known.upload.key is not None]
        assert {each.key for each in channels} == {known.upload.key for known in keyed}
        sizes = {str(each.key): each.size for each in channels}
        assert sizes == {known.upload.key: len(known.body) for known in keyed}

    @invariant()
    def followers_have_what_is_here(self) -> None:
        """In order, and to the end, unless they were cut."""
        self.run(turns())
        for known in self.known.values():
            self.check(known)

    def check(self, known: Known) -> None:
        """One of them."""
        follower = known.follower
        if follower is not None and not follower.cut:  # what it has may have to come again
            assert known.body.startswith(follower.got)
            assert follower.got == known.body
            assert follower.task.done() == (known.path is not None)

    @invariant()
    def the_ledger_is_right(self) -> None:
        """What is here or announced, but for what has its file and no key."""
        held = 0
        for known in self.known.values():
            if known.path is None or known.upload.key is not None:
                held += max(known.upload.total_size or 0, len(known.body))
        assert self.world.disk.used >= held
        assert self.world.activity.busy == 0


TestEngine = Engine.TestCase
TestEngine.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)
