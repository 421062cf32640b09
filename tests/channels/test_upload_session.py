"""The engine of uploads against a model, over restarts and crashes."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
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

from filepipe.errors import BadRequest, Busy, NotFound
from filepipe.records.uploads import Upload
from filepipe.testing import turns
from tests.channels.memory_shelf import MemoryShelf
from tests.channels.uploading import RULES, World, part_of

T = TypeVar("T")


@dataclass
class Known:
    """What has to be there of one upload."""

    upload: Upload
    body: bytes
    wrong: bool
    """Whether the checksum that was announced is that of something else."""
    stored: dict[int, bytes] = field(default_factory=dict)
    path: str | None = None


class Engine(RuleBasedStateMachine):
    """Whatever is done in whatever order: acknowledged parts stay, what has a name is whole."""

    uploads = Bundle("uploads")

    @initialize()
    def start(self) -> None:
        """The first start of the daemon."""
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.shelf = MemoryShelf()
        self.known: dict[str, Known] = {}
        self.open()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it."""
        return self.runner.run(work)

    def open(self) -> None:
        """A start."""
        path = Path(self.folder.name, "uploads.db")
        self.world = self.run(World.open(path, self.shelf, replace(RULES, max_open=99)))

    def teardown(self) -> None:
        """The last stop."""
        self.run(self.world.aclose())
        self.runner.close()
        self.folder.cleanup()

    @rule(target=uploads, body=st.binary(max_size=35), wrong=st.booleans())
    def begin(self, body: bytes, wrong: bool) -> str:
        """One more."""
        checksum = hashlib.sha256(body + b"x" * wrong).hexdigest()
        upload = self.run(self.world.begin(body, f"file-{len(self.known)}", checksum))
        self.known[upload.id] = Known(upload, body, wrong)
        return upload.id

    @rule(upload_id=uploads, number=st.integers(0, 3), flip=st.booleans())
    def put(self, upload_id: str, number: int, flip: bool) -> None:
        """A part, perhaps with other content than the whole should have."""
        known = self.known[upload_id]
        if number >= known.upload.total_parts:
            return
        data = part_of(known.upload, known.body, number)
        data = bytes(255 - byte for byte in data) if flip else data
        before = known.stored.get(number)
        if before in (None, data):
            part, stored = self.run(self.world.put(known.upload, number, data))
            known.stored[number] = data
            assert (part.sha256, stored) == (hashlib.sha256(data).hexdigest(), len(known.stored))
            return
        with pytest.raises(BadRequest if known.path else Busy):
            self.run(self.world.put(known.upload, number, data))
        if known.path is None:
            del known.stored[number]

    @rule(upload_id=uploads, number=st.integers(0, 3), change=st.sampled_from(["short", "long"]))
    def put_badly(self, upload_id: str, number: int, change: str) -> None:
        """A part of another size changes nothing."""
        known = self.known[upload_id]
        if number < known.upload.total_parts:
            data = part_of(known.upload, known.body, number)
            data = data[:-1] if change == "short" else data + b"x"
            with pytest.raises(BadRequest):
                self.run(self.world.put(known.upload, number, data))

    @rule(upload_id=uploads)
    def complete(self, upload_id: str) -> None:
        """The end, if it is one."""
        known = self.known[upload_id]
        if len(known.stored) < known.upload.total_parts:
            with pytest.raises(BadRequest, match="Not all parts"):
                self.run(self.world.uploads.complete(upload_id))
            return
        done = self.run(self.world.uploads.complete(upload_id))
        whole = b"".join(known.stored[number] for number in sorted(known.stored))
        if known.wrong or whole != known.body:
            assert done.status == "failed"
            return
        assert done.status == "complete"
        known.path = done.final_path

    @rule(upload_id=consumes(uploads))
    def cancel(self, upload_id: str) -> None:
        """Away with it."""
        self.run(self.world.uploads.cancel(upload_id))
        with pytest.raises(NotFound):
            self.run(self.world.uploads.cancel(upload_id))
        del self.known[upload_id]

    @rule(clean=st.booleans())
    def restart(self, clean: bool) -> None:
        """A stop, or a crash, and a start."""
        if clean:
            self.run(self.world.aclose())
        else:
            self.run(turns())
            self.run(self.world.database.aclose())
            self.shelf.open_drafts.clear()
        self.open()

    @invariant()
    def agree(self) -> None:
        """Records and objects are those of the model, and no draft is left of what is gone."""
        self.run(turns())
        for upload_id, known in self.known.items():
            parts = self.run(self.world.uploads.parts(upload_id))
            assert [part.number for part in parts] == sorted(known.stored)
        named = {known.path: known.body for known in self.known.values() if known.path}
        assert {path: bytes(body) for path, body in self.shelf.named.items()} == named
        unfinished = {each.upload.handle for each in self.known.values() if each.path is None}
        assert set(self.shelf.unnamed) == unfinished
        assert self.world.activity.open == len(unfinished)


TestEngine = Engine.TestCase
TestEngine.settings = settings(max_examples=12, stateful_step_count=20)
