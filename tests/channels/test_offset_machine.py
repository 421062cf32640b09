"""The engine of uploads by their offset against a model, over faults, stops and crashes."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
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
from tests.channels.fragile_shelf import FragileShelf
from tests.channels.offset_follower import Follower
from tests.channels.offsetting import World

T = TypeVar("T")

PIECES = st.lists(st.binary(max_size=12), max_size=3)


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
            return "there are enough"
        self.shelf.once.clear()
        upload = self.run(self.world.begin(length, key=key, front=front, path=f"f{self.made}"))
        known = self.known[upload.id] = Known(upload)
        if upload.status == "complete":
            known.path = upload.final_path
        elif key is not None:
            known.follower = self.run(Follower.at(self.world, key))
        return upload.id

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

    @rule(
        upload_id=uploads,
        doing=st.lists(
            st.sampled_from(["append", "staged", "settle", "complete", "cancel", "read"]),
            min_size=2,
            max_size=4,
        ),
    )
    def race(self, upload_id: str, doing: list[str]) -> None:
        """Several at once: each byte is there once, from one of them, or all is gone."""
        if (known := self.known.get(upload_id)) is None:
            return
        self.run(self.all_at_once(known, doing))
        sent = [bytes((65 + number,)) * 4 for number in range(len(doing))]
        try:
            found = self.run(self.world.uploads.settle(upload_id))
        except Gone:
            assert "cancel" in doing
            del self.known[upload_id]
            return
        assert found.offset is not None
        more = found.offset - len(known.body)
        assert 0 <= more <= 4
        body = self.shelf.named.get(found.final_path or "", self.shelf.unnamed.get(upload_id, b""))
        news = bytes(body[len(known.body) : found.offset])
        assert any(news == each[:more] for each in sent)
        known.body += news
        if found.status == "complete":
            known.path = found.final_path

    async def all_at_once(self, known: Known, doing: list[str]) -> None:
        """Do these things of one upload."""
        uploads, upload_id, offset = self.world.uploads, known.upload.id, len(known.body)

        async def append(data: bytes, *, staged: bool) -> None:
            async with uploads.appending(upload_id, offset, staged=staged) as appending:
                await appending.writer.write((data[:2],))
                await turns()
                await appending.writer.write((data[2:],))
                if staged:
                    await appending.commit()

        async def do(number: int, what: str) -> None:
            with contextlib.suppress(FilepipeError):
                if what in ("append", "staged"):
                    await append(bytes((65 + number,)) * 4, staged=what == "staged")
                elif what == "read":
                    async with uploads.reading(await uploads.find(upload_id)) as channel:
                        with Reader(channel) as reader, contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(0.001):
                                await reader.read()
                else:
                    await getattr(uploads, what)(upload_id)

        await asyncio.gather(*(do(number, what) for number, what in enumerate(doing)))

    @rule(clean=st.booleans())
    def restart(self, clean: bool) -> None:
        """A stop, or a crash, and a start: readers are gone."""
        for known in self.known.values():
            if known.follower is not None:
                known.follower.check(known.body, complete=known.path is not None)
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
            if known.follower is not None:
                known.follower.check(known.body, complete=known.path is not None)

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
TestEngine.settings = settings(max_examples=12, stateful_step_count=25)
