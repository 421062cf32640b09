"""Channels in any order of events: the ledger is what is held, readers see what was written."""

import contextlib

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from filepipe.channels.channel import Kind
from filepipe.channels.retention import Retention
from filepipe.channels.state import State
from filepipe.errors import Conflict, TooManyKeys
from filepipe.keys import Key
from tests.channels.parties import Upload
from tests.channels.world import MAX_KEYS, THRESHOLD, World, make_small

KEYS = st.sampled_from([Key("a"), Key("b"), Key("c"), Key("d")])
LENGTHS = st.one_of(st.none(), st.integers(0, 9000))
RETENTIONS = st.sampled_from([Retention(60.0), Retention(30.0, 5.0), Retention(0.0)])
SIZES = st.one_of(st.integers(0, 60), st.integers(100, 1500), st.integers(2500, 6000))
TURNS = st.integers(0, 12)


def alone_since(one):
    """When a key that was read came to have no readers, or to its end; None if it may not go."""
    if one.state is not State.FINISHED or one.first_read is None or one.readers:
        return None
    return max(one.ended, one.last_left)


class Channels(World):
    """Writers and readers, deletions, expiry, cancellations and failing disks in any order."""

    @initialize(keys=st.lists(KEYS, min_size=2, max_size=3, unique=True), sizes=st.lists(SIZES))
    def begin(self, keys, sizes):
        """Start with some uploads under way."""
        for key in keys:
            self.claim(key, None, Retention(60.0), 3)
            self.uploads[-1].order(self.chunks(sizes))

    @rule(key=KEYS, length=LENGTHS, retention=RETENTIONS, turns=TURNS)
    def claim(self, key, length, retention, turns):
        self.run(self.claim_now(key, length, retention))
        self.turn(turns)

    async def claim_now(self, key, length, retention):
        held = {one.key: one for one in self.directory}
        may_go = {one: since for one in held.values() if (since := alone_since(one)) is not None}
        full = len(held) == MAX_KEYS
        try:
            claimed = self.directory.claim(key, Kind.PIPE, retention)
        except Conflict:
            assert key in held
            return
        except TooManyKeys:
            assert full
            assert key not in held
            assert may_go == {}
            return
        assert key not in held
        gone = [one for one in held.values() if one.forgotten]
        assert len(gone) == full
        for one in gone:
            assert may_go[one] == min(may_go.values())
            self.upload_of(one).deleted = True
        self.uploads.append(Upload(claimed, self.storage, length))

    @rule(
        key=KEYS,
        length=st.integers(THRESHOLD + 1, 9000),
        turns=st.integers(0, 5),
        deleted=st.booleans(),
    )
    def claim_and_give_up(self, key, length, turns, deleted):
        """The key, or the sender, goes while room is still being made for its bytes."""
        before = len(self.uploads)
        self.claim(key, length, Retention(60.0), turns)
        for upload in self.uploads[before:]:
            if deleted:
                upload.deleted = True
                self.run(self.delete_now(upload.channel))
            else:
                upload.task.cancel()

    @rule(key=KEYS, retention=RETENTIONS, size=SIZES)
    def put(self, key, retention, size):
        """A whole upload."""
        before = len(self.uploads)
        self.claim(key, None, retention, 1)
        for upload in self.uploads[before:]:
            upload.order(self.chunks([size]))
            upload.order(None)
        self.turn(12)

    @precondition(lambda self: self.idle_uploads())
    @rule(data=st.data(), sizes=st.lists(SIZES, min_size=1, max_size=3), turns=TURNS)
    def write(self, data, sizes, turns):
        data.draw(st.sampled_from(self.idle_uploads())).order(self.chunks(sizes))
        self.turn(turns)

    @precondition(lambda self: self.idle_uploads())
    @rule(data=st.data(), size=st.integers(1, 3000), turns=TURNS)
    def write_by_the_kernel(self, data, size, turns):
        data.draw(st.sampled_from(self.idle_uploads())).order(size)
        self.turn(turns)

    @precondition(lambda self: self.idle_uploads())
    @rule(data=st.data(), turns=TURNS)
    def finish(self, data, turns):
        data.draw(st.sampled_from(self.idle_uploads())).order(None)
        self.turn(turns)

    @precondition(lambda self: self.idle_uploads())
    @rule(data=st.data(), turns=TURNS)
    def break_off(self, data, turns):
        data.draw(st.sampled_from(self.idle_uploads())).order(ZeroDivisionError())
        self.turn(turns)

    @precondition(lambda self: any(not upload.task.done() for upload in self.uploads))
    @rule(data=st.data(), turns=TURNS)
    def cancel(self, data, turns):
        """The sender's connection goes, whatever is being done with its bytes."""
        running = [upload for upload in self.uploads if not upload.task.done()]
        data.draw(st.sampled_from(running)).task.cancel()
        self.turn(turns)

    @precondition(lambda self: self.uploads)
    @rule(data=st.data(), turns=TURNS)
    def delete(self, data, turns):
        upload = data.draw(st.sampled_from(self.uploads))
        upload.deleted = True
        self.run(self.delete_now(upload.channel))
        assert upload.channel.forgotten
        self.turn(turns)

    async def delete_now(self, one):
        self.directory.delete(one)

    @precondition(lambda self: self.readable())
    @rule(data=st.data(), start=st.integers(0, 3000), size=st.none() | st.integers(0, 5000))
    def open_reader(self, data, start, size):
        one = data.draw(st.sampled_from(self.readable())).channel
        if size is not None and (one.length is None or start + size > one.length):
            size = None
        self.run(self.open_now(one, min(start, one.size), size))

    async def open_now(self, one, start, size):
        if not self.visible(one):  # it broke in the turn that came before this one
            return None
        follower = self.follow(one, start, None if size is None else start + size)
        one.was_read()
        return follower

    @rule(key=KEYS, seconds=st.sampled_from([0.0, 5.0, 60.0]), turns=TURNS)
    def wait(self, key, seconds, turns):
        """Wait for a key and read what comes."""

        async def wait():
            with contextlib.suppress(TooManyKeys):
                found = await self.directory.wait(key, seconds)
                if found is not None:
                    assert self.visible(found)
                    assert found.key == key
                    self.follow(found)

        self.waits.append(self.loop.create_task(wait()))
        self.turn(turns)

    @precondition(lambda self: any(not wait.done() for wait in self.waits))
    @rule(data=st.data(), turns=TURNS)
    def stop_waiting(self, data, turns):
        data.draw(st.sampled_from([wait for wait in self.waits if not wait.done()])).cancel()
        self.turn(turns)

    @precondition(lambda self: self.open_followers())
    @rule(data=st.data(), limit=st.integers(1, 4000), turns=TURNS)
    def read(self, data, limit, turns):
        follower = data.draw(st.sampled_from(self.open_followers()))
        self.run(self.read_now([follower], limit))
        self.turn(turns)

    @precondition(lambda self: self.open_followers())
    @rule(limit=st.integers(1, 800), turns=TURNS)
    def everybody_reads(self, limit, turns):
        self.run(self.read_now(self.open_followers(), limit))
        self.turn(turns)

    async def read_now(self, followers, limit):
        for follower in followers:
            follower.read(limit)

    @precondition(lambda self: self.readable())
    @rule(data=st.data(), seconds=st.sampled_from([0.0, 1.0, 29.0]))
    def glance(self, data, seconds):
        """Read what is there at most, and leave again after some time."""
        one = data.draw(st.sampled_from(self.readable())).channel
        if (follower := self.run(self.open_now(one, 0, None))) is not None:
            self.run(self.read_now([follower], 4000))
            self.run(self.clock.advance(seconds))
            self.close(follower)

    @precondition(lambda self: self.followers)
    @rule(data=st.data())
    def close_reader(self, data):
        self.close(data.draw(st.sampled_from(self.followers)))

    def close(self, follower):
        self.followers.remove(follower)
        self.run(follower.close())

    @rule(seconds=st.sampled_from([1.0, 4.0, 29.0, 61.0]))
    def pass_time(self, seconds):
        self.run(self.clock.advance(seconds))

    @rule(call=st.sampled_from(["append", "finish", "", "", ""]))
    def break_the_disk(self, call):
        """Let the files fail for some time, or work again."""
        self.disk.failing = {call}

    @rule()
    def settle(self):
        """Let everything that needs nobody's order come to its end: then the sums are exact."""
        self.turn(100)
        while self.disk.inner._pool.calls:
            self.turn(20)
        if not any(blob.torn for blob in self.disk.held):
            assert self.budgets.disk.used == self.held_on_disk()
        for one in self.directory:
            deadline = one.retention.deadline(one.usage())
            assert deadline is None or deadline > self.clock.now
        for follower in self.followers:
            assert follower.idle or follower.over or follower.has_to_wait


def test_the_ledger_and_the_readers(monkeypatch):
    """Budgets equal what is held after each event, each reader gets its bytes, nothing is left."""
    make_small(monkeypatch)
    slow = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        Channels,
        settings=settings(max_examples=100, stateful_step_count=40, suppress_health_check=slow),
    )
