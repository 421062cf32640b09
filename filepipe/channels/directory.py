"""Key to channel: claim, find, wait, expire, drain. Synchronous, but for the waiting itself.

Rule 1: a claim is one step without an await, so of many writers exactly one gets the key.
Rule 2: whoever waits is entered in `_waiting` and taken out again in a `finally`.
Rule 3: forgetting is by identity: an old timer never removes a successor under the same key.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from filepipe.channels.channel import Channel, Kind
from filepipe.channels.retention import Retention
from filepipe.channels.state import State
from filepipe.errors import Broken, Conflict, Draining, TooManyKeys
from filepipe.keys import Key
from filepipe.storage.interface import Blob

_VISIBLE = (State.WRITING, State.FINISHED)


class _Timer(NamedTuple):
    deadline: float
    handle: asyncio.TimerHandle


class Directory:
    """Every channel that has a key, and everybody who waits for one.

    `max_keys` bounds the channels, and the waiting readers, each.
    """

    def __init__(self, max_keys: int) -> None:
        self.draining = False
        self._max_keys = max_keys
        self._channels: dict[Key, Channel] = {}
        self._waiting: dict[Key, set[asyncio.Future[None]]] = {}
        self._waiting_count = 0
        self._timers: dict[Channel, _Timer] = {}
        self._read_before: dict[Channel, None] = {}
        self._discards: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._channels)

    def __iter__(self) -> Iterator[Channel]:
        return iter(list(self._channels.values()))

    @property
    def waiting(self) -> int:
        """How many readers wait for a key that nobody writes."""
        return self._waiting_count

    def kinds(self) -> Counter[str]:
        """How many channels there are of each kind."""
        return Counter(channel.kind.value for channel in self._channels.values())

    def busy(self) -> int:
        """How many channels a drain waits for: written, read, or finished and never read."""
        return sum(
            channel.state is not State.FINISHED or channel.readers > 0 or channel.first_read is None
            for channel in self._channels.values()
        )

    # -- writers

    def claim(self, key: Key, kind: Kind, retention: Retention) -> Channel:
        """Take the key. Raises `Draining`, `Conflict` or `TooManyKeys`."""
        if self.draining:
            raise Draining("server is shutting down, not accepting new uploads")
        if key in self._channels:
            raise Conflict("key already exists")
        if len(self._channels) >= self._max_keys:
            self._make_room()
        channel = Channel(key, kind, retention, self._changed, self._waste)
        self._channels[key] = channel
        return channel

    def _make_room(self) -> None:
        """Forget the key that has been read and left alone for longest."""
        oldest = next(iter(self._read_before), None)
        if oldest is None:
            raise TooManyKeys("too many keys, try again later")
        self._forget(oldest)

    # -- readers

    def find(self, key: Key) -> Channel | None:
        """The channel under the key, if readers may see one."""
        channel = self._channels.get(key)
        return channel if channel is not None and channel.state in _VISIBLE else None

    async def wait(self, key: Key, seconds: float) -> Channel | None:
        """The channel under the key, at the latest after `seconds`; None if nobody came.

        Raises `Draining` and `TooManyKeys` when it would have to wait and may not.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while (channel := self.find(key)) is None and (left := deadline - loop.time()) > 0:
            if self._waiting_count >= self._max_keys:
                raise TooManyKeys("too many waiting readers, try again later")
            await self._wait_once(loop, key, left)
        return channel

    async def _wait_once(self, loop: asyncio.AbstractEventLoop, key: Key, seconds: float) -> None:
        if self.draining:
            raise Draining("server is shutting down")
        waiter: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(seconds, _resolve, waiter)
        waiters = self._waiting.setdefault(key, set())
        waiters.add(waiter)
        self._waiting_count += 1
        try:
            await waiter
        finally:
            timer.cancel()
            waiters.discard(waiter)
            self._waiting_count -= 1
            if not waiters and self._waiting.get(key) is waiters:
                del self._waiting[key]

    # -- ends

    def delete(self, channel: Channel) -> None:
        """Free the key now; a running upload and its readers are cut."""
        if channel.state in (State.CLAIMED, State.WRITING):
            channel.break_off(Broken("the key was deleted"))
        else:
            self._forget(channel)

    def drain(self) -> None:
        """Take nothing new; everybody who waits gets `Draining` at once."""
        self.draining = True
        for waiters in list(self._waiting.values()):
            for waiter in list(waiters):
                _resolve(waiter)

    async def aclose(self) -> None:
        """Cut everything; return when the bytes that nobody uses any more are let go."""
        self.draining = True
        for channel in self:
            self.delete(channel)
        while self._discards:
            await asyncio.gather(*self._discards)

    def _changed(self, channel: Channel) -> None:
        """What a channel tells: it was published or ended, a reader came or left."""
        if channel.state is State.WRITING:
            for waiter in self._waiting.get(channel.key, ()):
                _resolve(waiter)
        elif channel.state is State.BROKEN:
            self._forget(channel)
        elif not channel.forgotten:
            self._schedule(channel)

    def _schedule(self, channel: Channel) -> None:
        """See to it that a timer runs that is not too late; it looks again when it fires."""
        if channel.first_read is not None:
            self._read_before.pop(channel, None)
            if not channel.readers:
                self._read_before[channel] = None
        deadline = channel.retention.deadline(channel.usage())
        timer = self._timers.get(channel)
        if deadline is None or (timer is not None and timer.deadline <= deadline):
            return
        if timer is not None:
            timer.handle.cancel()
        self._start_timer(channel, deadline)

    def _start_timer(self, channel: Channel, deadline: float) -> None:
        delay = max(0.0, deadline - time.monotonic())
        handle = asyncio.get_running_loop().call_later(delay, self._expire, channel)
        self._timers[channel] = _Timer(deadline, handle)

    def _expire(self, channel: Channel) -> None:
        del self._timers[channel]
        deadline = channel.retention.deadline(channel.usage())
        if deadline is None:
            return  # read again; the timer starts when the reader leaves
        if deadline > time.monotonic():
            self._start_timer(channel, deadline)
        else:
            self._forget(channel)

    def _forget(self, channel: Channel) -> None:
        if (timer := self._timers.pop(channel, None)) is not None:
            timer.handle.cancel()
        self._read_before.pop(channel, None)
        if self._channels.get(channel.key) is channel:
            del self._channels[channel.key]
        if not channel.forgotten:
            channel.forget()

    def _waste(self, blob: Blob) -> None:
        task = asyncio.get_running_loop().create_task(blob.discard())
        self._discards.add(task)
        task.add_done_callback(self._discards.discard)


def _resolve(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
