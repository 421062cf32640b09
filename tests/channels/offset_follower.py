"""A reader who is at the key of an upload from its beginning."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from filepipe.channels.channel import Channel, Reader
from filepipe.errors import FilepipeError
from filepipe.keys import Key
from tests.channels.offsetting import World


@dataclass
class Follower:
    """What it has got, and whether it was cut."""

    task: asyncio.Task[None] = field(init=False)
    got: bytearray = field(default_factory=bytearray)
    cut: bool = False

    @classmethod
    async def at(cls, world: World, key: str) -> Follower:
        """Read along at a key."""
        channel = world.directory.find(Key(key))
        assert channel is not None
        follower = cls()
        follower.task = asyncio.create_task(follower._read(channel))
        return follower

    async def _read(self, channel: Channel) -> None:
        try:
            with Reader(channel) as reader:
                while piece := await reader.read():
                    self.got += piece
        except FilepipeError:
            self.cut = True

    def check(self, body: bytes, *, complete: bool) -> None:
        """It has what is here, and the end once there is one; unless it was cut."""
        if not self.cut:  # what it has may have to come again
            assert self.got == body
            assert self.task.done() == complete
