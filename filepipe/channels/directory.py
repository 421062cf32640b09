"""Key to channel: claim, find, wait, expire, drain. Synchronous, but for the waiting itself.

Rule 1: a claim is one step without an await, so of many writers exactly one gets the key.
Rule 2: whoever waits is in the waiting room, and is told when there is something to look at.
Rule 3: forgetting is by identity: an old timer never removes a successor under the same key.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from filepipe.channels.channel import Channel, Kind
from filepipe.channels.rendezvous import Rendezvous
from filepipe.channels.retention import Retention
from filepipe.channels.state import State
from filepipe.channels.waiting import WaitingRoom
from filepipe.errors import Broken, Conflict, Draining, TooManyKeys
from filepipe.keys import Key
from filepipe.storage.interface import Blob

_VISIBLE = (State.WRITING, State.FINISHED)

LASTING = (Kind.PIPE, Kind.UPLOAD)
"""What can be read again once it is finished."""


class _Timer(NamedTuple):
    deadline: float
    handle: asyncio.TimerHandle


class Directory:
    """Every channel that has a key, and everybody who waits for one.

    `max_keys` bounds the channels, and the waiting readers, each.
    """

    def __init__(self, max_keys: int) -> None:
        self.draining = False
        self.elsewhere: Callable[[Key], bool] = lambda key: False
        """Whether a key is in use by somebody who needs no channel of ours."""
        self.kept: Mapping[Key, Channel] = {}
        """Channels that have their keys from somebody else, who also forgets them: logs."""
        self._max_keys = max_keys
        self._channels: dict[Key, Channel] = {}
        self.room = WaitingRoom(max_keys)
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
        return len(self.room)

    def busy(self) -> int:
        """How many channels a drain waits for: written, read, or finished and never read.

        Of uploads only those that are finished and read: they outlive the daemon.
        """
        return sum(map(_is_busy, self._channels.values()))

    # -- writers

    def claim(self, key: Key, kind: Kind, retention: Retention) -> Channel:
        """Take the key. Raises `Draining`, `Conflict` or `TooManyKeys`."""
        channel = Channel(key, kind, retention, self.changed, self.waste)
        self.enter(channel)
        return channel

    def enter(self, channel: Channel) -> None:
        """Give a channel its key. Raises as `claim`."""
        if self.draining:
            raise Draining("server is shutting down, not accepting new uploads")
        self.check_free(channel.key)
        if len(self._channels) >= self._max_keys:
            self._make_room()
        self._channels[channel.key] = channel

    def check_free(self, key: Key) -> None:
        """Raise `Conflict` where the key is in use."""
        if self.present(key) is not None or self.elsewhere(key):
            raise Conflict("key already exists")

    def _make_room(self) -> None:
        """Forget the key that has been read and left alone for longest."""
        oldest = next(iter(self._read_before), None)
        if oldest is None:
            raise TooManyKeys("too many keys, try again later")
        self.forget(oldest)

    # -- readers

    def find(self, key: Key) -> Channel | None:
        """The channel under the key, if a stranger may see that it is there."""
        channel = self.present(key)
        if channel is None or channel.state in _VISIBLE or isinstance(channel, Rendezvous):
            return channel
        return None

    def present(self, key: Key) -> Channel | None:
        """Whatever has the key now."""
        return self._channels.get(key) or self.kept.get(key)

    async def wait(self, key: Key, seconds: float) -> Channel | None:
        """What a reader may have under the key, at the latest after `seconds`; None if nothing.

        That may be a rendezvous with a free seat, which is not taken by this. Raises `Draining`
        and `TooManyKeys` when it would have to wait and may not.
        """
        deadline = time.monotonic() + seconds
        while (found := self._readable(key)) is None and (left := deadline - time.monotonic()) > 0:
            await self.room.wait(key, left)
        return found

    def _readable(self, key: Key) -> Channel | None:
        channel = self.find(key)
        return None if isinstance(channel, Rendezvous) and channel.closed else channel

    # -- ends

    def delete(self, channel: Channel) -> None:
        """Free the key now; a running upload and its readers are cut."""
        if channel.state in (State.CLAIMED, State.WRITING):
            channel.break_off(Broken("the key was deleted"))
        else:
            self.forget(channel)

    def drain(self) -> None:
        """Take nothing new; everybody who waits gets `Draining` at once."""
        self.draining = True
        self.room.close()
        for channel in self:
            if isinstance(channel, Rendezvous) and not channel.closed:
                channel.break_off(Draining("server is shutting down"))

    async def aclose(self) -> None:
        """Cut everything; return when the bytes that nobody uses any more are let go."""
        self.draining = True
        for channel in self:
            self.delete(channel)
        while self._discards:
            await asyncio.gather(*self._discards)

    def changed(self, channel: Channel) -> None:
        """What a channel tells: it was published or ended, a reader came or left."""
        if channel.state is State.WRITING:
            if channel.kind in LASTING:
                self.room.wake(channel.key)
            self._set_timer(channel)
        elif channel.state is State.BROKEN or channel.kind not in LASTING:
            self.forget(channel)
        elif channel.kind is Kind.UPLOAD:
            pass  # its record says how long it stays
        elif not channel.forgotten:
            self._schedule(channel)

    def _schedule(self, channel: Channel) -> None:
        """See to it that a timer runs that is not too late; it looks again when it fires."""
        if channel.first_read is not None:
            self._read_before.pop(channel, None)
            if not channel.readers:
                self._read_before[channel] = None
        self._set_timer(channel)

    def _set_timer(self, channel: Channel) -> None:
        deadline = channel.deadline()
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
        deadline = channel.deadline()
        if deadline is None:
            return  # in use again; the timer starts when that ends
        if deadline > time.monotonic():
            self._start_timer(channel, deadline)
        elif channel.state is State.WRITING:
            channel.break_off(Broken("the sender did not come back"))
        else:
            self.forget(channel)

    def forget(self, channel: Channel) -> None:
        """Free its key, if it still has it; its bytes go with their last user."""
        if (timer := self._timers.pop(channel, None)) is not None:
            timer.handle.cancel()
        self._read_before.pop(channel, None)
        if self._channels.get(channel.key) is channel:
            del self._channels[channel.key]
        if not channel.forgotten:
            channel.forget()

    def waste(self, blob: Blob) -> None:
        """Discard what nobody needs any more."""
        task = asyncio.get_running_loop().create_task(blob.discard())
        self._discards.add(task)
        task.add_done_callback(self._discards.discard)


def _is_busy(channel: Channel) -> bool:
    if channel.kind is Kind.UPLOAD:
        return channel.state is State.FINISHED and channel.readers > 0
    if channel.kind is not Kind.PIPE:
        return False
    return channel.state is not State.FINISHED or channel.readers > 0 or channel.first_read is None
