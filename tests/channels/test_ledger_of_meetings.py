"""Senders, receivers and pipes that come and go in any order: nobody is lost, nothing is left.

Everything that holds all the time is an invariant of the `Hall`; what each party gets to see is
checked by the party itself.
"""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from filepipe.accountant import Budget
from filepipe.channels import channel, directory, meetings
from filepipe.channels.channel import Channel, Kind, Metadata, Writer
from filepipe.channels.directory import Directory
from filepipe.channels.meetings import Meetings
from filepipe.channels.rendezvous import Rendezvous, Seat
from filepipe.channels.retention import Retention
from filepipe.channels.state import State
from filepipe.channels.window import HELD, RESERVE, Windows
from filepipe.errors import Conflict, Unavailable
from filepipe.keys import Key
from filepipe.testing import turns
from filepipe_backends.memory import MemoryStorage
from tests.channels.guests import Receiver, Sender
from tests.clock import Clock

KEYS = [Key("a"), Key("b")]
MAX_KEYS = 3
CHUNK = HELD // 2
TURNS = 200


class Hall(RuleBasedStateMachine):
    """Two keys, and everybody who meets there."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = channel.time = directory.time = meetings.time = Clock(self.loop)
        self.budget = Budget("memory", 3 * RESERVE)
        self.windows = Windows(self.budget)
        self.directory = Directory(MAX_KEYS)
        self.meetings = Meetings(self.directory)
        self.senders: list[Sender] = []
        self.receivers: list[Receiver] = []
        self.pipes: list[Channel] = []
        self.count = 0

    def run(self, work):
        return self.loop.run_until_complete(work)

    async def _do(self, act):
        return act()

    def do(self, act):
        """Act on the loop, and let everything happen that follows."""
        result = self.run(self._do(act))
        self.settle()
        return result

    def settle(self):
        """Let everything happen that follows, however many turns it takes."""
        self.run(turns(TURNS))

    def seated(self) -> list[Seat]:
        return [seat for one in self.meetings for seat in one.seats]

    def here(self, parties):
        """Those who have neither left nor ended."""
        return [party for party in parties if not party.task.done()]

    # -- what may happen

    @initialize(
        number=st.integers(1, 3), count=st.integers(0, 4), first=st.booleans(), slow=st.booleans()
    )
    def begin(self, number, count, first, slow):
        """Some are there already, perhaps one who takes nothing and a sender who has much."""
        if first:
            self.a_sender_comes(KEYS[0], number, 60.0)
        for _ in range(count):
            self.a_receiver_comes(KEYS[0], 60.0, None, strict=False, at_once=False)
        if not first:
            self.a_sender_comes(KEYS[0], number, 60.0)
        if slow and self.receivers:
            self.receivers[0].paused.clear()
            for _ in range(6):
                self.senders[0].order(bytes(CHUNK))
            self.settle()

    @rule(key=st.sampled_from(KEYS), number=st.integers(1, 3), wait=st.sampled_from([60.0, 5.0]))
    def a_sender_comes(self, key, number, wait):
        present = self.directory.present(key)
        stated = {r.number for r in self.receivers if self.in_the_room(r) and r.key == key} - {None}
        try:
            self.senders.append(self.do(lambda: Sender(self, key, number, wait)))
        except Conflict:
            assert present is not None or stated - {number}
        except Unavailable:
            assert self.directory.draining or len(self.directory) == MAX_KEYS
        else:
            assert present is None
            assert stated <= {number}

    @rule(
        key=st.sampled_from(KEYS), wait=st.sampled_from([60.0, 60.0, 5.0, 0.0]),
        number=st.sampled_from([None, None, 1, 2, 3]), strict=st.booleans(), at_once=st.booleans(),
    )  # fmt: skip
    def a_receiver_comes(self, key, wait, number, strict, at_once):
        act = self.do if not at_once else lambda act: self.run(self._do(act))
        strict = strict and number is not None
        come = lambda: Receiver(self, key, wait, number, strict=strict)  # noqa: E731
        self.receivers.append(act(come))

    @precondition(lambda self: self.here(self.receivers))
    @rule(data=st.data())
    def a_receiver_leaves(self, data):
        receiver = data.draw(st.sampled_from(self.here(self.receivers)))
        receiver.left = True
        self.do(receiver.task.cancel)

    @precondition(lambda self: self.here(self.receivers))
    @rule(data=st.data())
    def a_receiver_pauses_or_goes_on(self, data):
        paused = data.draw(st.sampled_from(self.here(self.receivers))).paused
        self.do(paused.clear if paused.is_set() else paused.set)

    @precondition(lambda self: self.here(self.senders))
    @rule(data=st.data())
    def a_sender_leaves(self, data):
        self.do(data.draw(st.sampled_from(self.here(self.senders))).task.cancel)

    @precondition(lambda self: self.here(self.senders))
    @rule(data=st.data(), chunks=st.integers(0, 6), ends=st.booleans())
    def a_sender_goes_on(self, data, chunks, ends):
        """Some chunks, or the end, for as soon as all are there."""
        sender = data.draw(st.sampled_from(self.here(self.senders)))
        for _ in range(chunks):
            self.count += 1
            sender.order(bytes([self.count % 251]) * CHUNK)
        if ends:
            sender.order(None)
        self.settle()

    @precondition(lambda self: self.meetings.busy())
    @rule(chunks=st.integers(0, 6))
    def transfers_come_to_their_end(self, chunks):
        """Of those who are there, every sender sends all and every receiver takes all."""
        for sender in self.here(self.senders):
            self.count += 1
            for chunk in [bytes([self.count % 251]) * CHUNK] * chunks:
                sender.order(chunk)
            sender.order(None)
        for receiver in self.here(self.receivers):
            receiver.paused.set()
        self.settle()

    @precondition(lambda self: self.here(self.senders + self.receivers))
    @rule(data=st.data(), number=st.integers(1, 2), first=st.booleans())
    def both_in_the_same_moment(self, data, number, first):
        """Somebody leaves while somebody comes, without a turn between them."""
        gone = data.draw(st.sampled_from(self.here(self.receivers + self.senders)))
        if isinstance(gone, Receiver):
            gone.left = True
        key = data.draw(st.sampled_from(KEYS))

        def act():
            if first:
                gone.task.cancel()
            try:
                self.senders.append(Sender(self, key, number, 60.0))
            except (Conflict, Unavailable):
                self.receivers.append(Receiver(self, key, 60.0, None, strict=False))
            gone.task.cancel()

        self.do(act)

    @rule(key=st.sampled_from(KEYS), after=st.sampled_from([0.0, 0.0, 5.0]))
    def a_pipe_comes(self, key, after):
        present = self.directory.present(key)

        async def claim():
            one = self.directory.claim(key, Kind.PIPE, Retention(after_end=after))
            async with Writer(one):
                await one.publish(MemoryStorage(""), Metadata())
            return one

        try:
            self.pipes.append(self.run(claim()))
        except (Conflict, Unavailable):
            assert present is not None or self.directory.draining or len(self.directory) >= MAX_KEYS
        self.settle()

    @rule(key=st.sampled_from(KEYS))
    def a_key_is_deleted(self, key):
        found = self.directory.find(key)
        if found is not None:
            self.do(lambda: self.directory.delete(found))
            assert self.directory.present(key) is not found

    @rule(seconds=st.sampled_from([1.0, 6.0, 61.0]))
    def time_passes(self, seconds):
        self.run(self.clock.advance(seconds))

    @precondition(lambda self: self.count > 20)
    @rule()
    def the_daemon_drains(self):
        self.do(self.directory.drain)
        assert not [one for one in self.receivers if one.waits]

    # -- what holds all the time

    def in_the_room(self, receiver: Receiver) -> bool:
        return receiver.waits and not any(seat.guest is receiver for seat in self.seated())

    @invariant()
    def there_are_as_many_seats_as_were_asked_for(self):
        self.settle()
        for one in self.meetings:
            assert len(one.seats) + one.received + one.aborted <= one.number
            assert one.closed is (len(one.seats) + one.received + one.aborted == one.number)
            assert one.readers == sum(seat.reader is not None for seat in one.seats)

    @invariant()
    def nobody_sits_twice_or_is_gone(self):
        guests = [seat.guest for seat in self.seated()]
        assert len(set(map(id, guests))) == len(guests)
        assert not [guest for guest in guests if guest.task.done()]
        assert not [one for one in self.receivers if one.left and not one.task.done()]

    @invariant()
    def nobody_waits_beside_a_free_seat(self):
        for receiver in filter(self.in_the_room, self.receivers):
            present = self.directory.present(receiver.key)
            assert present is None or (isinstance(present, Rendezvous) and present.closed)

    @invariant()
    def everybody_in_the_room_is_counted(self):
        assert self.directory.waiting == sum(map(self.in_the_room, self.receivers))

    @invariant()
    def the_ledger_is_exact(self):
        held = [one for one in self.meetings if one._blob is not None]
        assert self.budget.used == RESERVE * len(held)
        assert all(sum(map(len, one.blob._chunks)) <= HELD + CHUNK for one in held)

    @invariant()
    def keys_are_in_use_as_long_as_bytes_may_come(self):
        with_key = [one for one in self.directory if isinstance(one, Rendezvous)]
        assert set(with_key) == {one for one in self.meetings if one.open}
        assert all(one.state in (State.CLAIMED, State.WRITING) for one in with_key)

    @invariant()
    def everybody_is_told_the_truth(self):
        for sender in self.senders:
            if sender.outcome is not None:
                whole = sender.offered.received == sender.offered.number
                assert (sender.outcome == "delivered") is whole
        sent = {sender.offered: sender.sent for sender in self.senders}
        for receiver in self.receivers:
            if receiver.outcome == "received":
                assert receiver.got in sent.values()
            elif receiver.outcome == "seated":
                assert any(body.startswith(receiver.got) for body in sent.values())

    def teardown(self):
        for party in (*self.senders, *self.receivers):
            self.do(party.task.cancel)
        self.run(self.directory.aclose())
        self.settle()
        assert list(self.meetings) == []
        assert (len(self.directory), self.directory.waiting, self.budget.used) == (0, 0, 0)
        assert self.meetings.busy() == 0
        self.loop.close()


def test_meetings_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """No seat too many or too few, nobody lost, nobody deceived, nothing held at the end."""
    for module in (channel, directory, meetings):  # restored at the end: each `Hall` replaces it
        monkeypatch.setattr(module, "time", module.time)
    run_state_machine_as_test(Hall, settings=settings(max_examples=60, stateful_step_count=30))
