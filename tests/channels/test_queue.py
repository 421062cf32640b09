"""Queues: whoever comes and leaves, the lines are served in order, and nobody is lost."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from filepipe.accountant import Budget
from filepipe.channels.channel import Metadata, Writer
from filepipe.channels.queue import Queues, unbegun
from filepipe.channels.window import Windows
from filepipe.errors import Broken, Conflict, Draining, FilepipeError, Gone, TooManyKeys
from filepipe.keys import Key
from filepipe.testing import turns

KEYS = (Key("channels/a/x"), Key("channels/a/y"))
KEY = KEYS[0]
MOST = 5


class Bench:
    """Queues whose bytes are paid for, and everybody who stands at them."""

    def __init__(self, most: int = MOST) -> None:
        self.budget = Budget("memory", None)
        self.windows = Windows(self.budget)
        self.taken: set[Key] = set()
        self.queues = Queues(most, self._waste, self.taken.__contains__)
        self.discards: list[asyncio.Task[None]] = []
        self.parties: list[Producer | Consumer] = []

    def _waste(self, blob) -> None:
        self.discards.append(asyncio.ensure_future(blob.discard()))

    def produce(self, key: Key = KEY, message: bytes = b"m") -> Producer:
        self.parties.append(Producer(self, key, message))
        return self.parties[-1]

    def consume(self, key: Key = KEY, seconds: float | None = None) -> Consumer:
        self.parties.append(Consumer(self, key, seconds))
        return self.parties[-1]

    async def close(self) -> None:
        """Let everybody go; then nothing may be left."""
        for party in self.parties:
            party.task.cancel()
        await asyncio.gather(*(party.task for party in self.parties), return_exceptions=True)
        await asyncio.gather(*self.discards)
        assert self.queues.occupied() == []
        assert (self.queues._waiting, self.queues.busy(), self.budget.used) == (0, 0, 0)
        assert asyncio.all_tasks() == {asyncio.current_task()}


class Producer:
    """Does what a front does for a POST; hands its message over when it is told to."""

    def __init__(self, bench: Bench, key: Key, message: bytes) -> None:
        self.bench = bench
        self.key = key
        self.message = message
        self.pairs = []
        self.may_write = asyncio.Event()
        self.task = asyncio.ensure_future(self._run())

    async def _run(self) -> str:
        with self.bench.queues.offer(self.key, Metadata(length=len(self.message))) as offer:
            while not await self._delivered(await offer.pair()):
                pass
        return "delivered"

    async def _delivered(self, rendezvous) -> bool:
        self.pairs.append(rendezvous)
        while not self.may_write.is_set() and rendezvous.open:
            order = asyncio.ensure_future(self.may_write.wait())
            news = asyncio.ensure_future(rendezvous.progress())
            try:
                await asyncio.wait({order, news}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                order.cancel()
                news.cancel()
        try:
            await rendezvous.start(self.bench.windows, Metadata(length=len(self.message)))
            async with Writer(rendezvous) as writer:
                await writer.write([self.message])
                await rendezvous.tried()
            await rendezvous.settled()
        except Broken:
            if unbegun(rendezvous):
                return False
            raise
        if not rendezvous.received:
            raise Broken("the consumer left")
        return True


class Consumer:
    """Does what a front does for a GET; may take its first byte late, or never."""

    def __init__(self, bench: Bench, key: Key, seconds: float | None) -> None:
        self.bench = bench
        self.key = key
        self.seconds = seconds
        self.seat = None
        self.may_touch = asyncio.Event()
        self.may_receive = asyncio.Event()
        self.task = asyncio.ensure_future(self._run())

    async def _run(self) -> bytes | None:
        self.seat = await self.bench.queues.take(self, self.key, self.seconds)
        if self.seat is None:
            return None
        with self.seat:
            reader = await self.seat.started()
            data = await reader.read()
            await self.may_touch.wait()
            self.seat.rendezvous.touch()
            await self.may_receive.wait()
            assert await reader.read() == b""
            self.seat.received()
        return data


def hand_over(producer: Producer, consumer: Consumer) -> None:
    """Let a pair go on to its end."""
    producer.may_write.set()
    consumer.may_touch.set()
    consumer.may_receive.set()


@pytest.fixture
async def bench():
    """Queues for five who wait."""
    bench = Bench()
    yield bench
    await bench.close()


async def test_a_message_is_delivered(bench):
    """Whole, and then the key is not there any more."""
    producer, consumer = bench.produce(message=b"hello"), bench.consume()
    hand_over(producer, consumer)
    assert await asyncio.gather(producer.task, consumer.task) == ["delivered", b"hello"]
    assert bench.queues.occupied() == []


async def test_an_offer_can_be_seen(bench):
    """The first one of the line, and none while nobody waits."""
    assert bench.queues.first(KEY) is None
    first = bench.produce(message=b"12345")
    bench.produce(message=b"1")
    await turns()
    assert bench.queues.first(KEY).meta.length == 5
    first.task.cancel()
    assert bench.queues.first(KEY).meta.length == 1


async def test_nobody_waits_longer_than_he_wants(bench):
    """Both sides can say how long; no wait takes what is there."""
    with bench.queues.offer(KEY, Metadata()) as offer:
        assert await offer.pair(0.0) is None
    assert bench.queues.occupied() == []
    assert await bench.consume(seconds=0.0).task is None
    producer = bench.produce()
    await turns()
    consumer = bench.consume(seconds=0.0)
    hand_over(producer, consumer)
    assert await consumer.task == b"m"


async def test_a_pair_at_the_last_moment(bench):
    """Who is given his counterpart in the turn in which his time is over has it."""
    with bench.queues.offer(KEY, Metadata()) as offer:
        late = asyncio.ensure_future(offer.pair(0.0))
        consumer = bench.consume()
        rendezvous = await late
        assert rendezvous is not None
        assert rendezvous.seats[0].guest is consumer
    with pytest.raises(Broken):
        await consumer.task
    late = bench.consume(seconds=0.0)
    producer = bench.produce()
    hand_over(producer, late)
    assert await late.task == b"m"


async def test_a_producer_that_leaves_as_it_is_paired(bench):
    """Its consumer is told, and the next pair goes on."""
    producer = bench.produce()
    await turns()
    consumer = bench.consume()
    await asyncio.sleep(0)
    producer.task.cancel()
    with pytest.raises(Broken):
        await consumer.task
    assert bench.queues.occupied() == []


async def test_a_consumer_that_leaves_as_it_is_paired(bench):
    """Its producer waits for another one, who gets everything."""
    consumer = bench.consume()
    await turns()
    producer = bench.produce(message=b"kept")
    await asyncio.sleep(0)
    consumer.task.cancel()
    await turns()
    assert bench.queues.waiting() == {KEY: (1, 0)}
    assert bench.queues.redelivered == 1
    other = bench.consume()
    hand_over(producer, other)
    assert await other.task == b"kept"
    assert await producer.task == "delivered"


async def test_a_removal(bench):
    """Those who wait and the pair that is under way get `Gone`; other keys are left alone."""
    parties = [bench.produce(), bench.produce(), bench.consume()]
    other = bench.consume(KEYS[1])
    await turns()
    assert bench.queues.remove(KEY)
    parties[0].may_write.set()
    for party in parties:
        with pytest.raises(Gone):
            await party.task
    assert bench.queues.waiting() == {KEYS[1]: (0, 1)}
    assert not other.task.done()
    assert not bench.queues.remove(KEY)


async def test_a_drain(bench):
    """Those who wait are told at once, a pair under way goes on, nobody may come."""
    producer, consumer = bench.produce(), bench.consume()
    waiting = [bench.produce(), bench.consume(KEYS[1])]
    await turns()
    bench.queues.drain()
    for party in [*waiting, bench.consume(), bench.produce()]:
        with pytest.raises(Draining):
            await party.task
    assert bench.queues.busy() == 1
    hand_over(producer, consumer)
    assert await consumer.task == b"m"
    assert bench.queues.busy() == 0


async def test_a_consumer_that_leaves_while_all_is_drained(bench):
    """There will be no other one: the producer is told so, and waits for nobody."""
    producer, consumer = bench.produce(), bench.consume()
    await turns()
    bench.queues.drain()
    consumer.task.cancel()
    with pytest.raises(Draining):
        await producer.task
    assert bench.queues.redelivered == 0


async def test_a_cut(bench):
    """Every pair ends."""
    producer, consumer = bench.produce(), bench.consume()
    await turns()
    bench.queues.cut()
    for party in (producer, consumer):
        with pytest.raises(Broken):
            await party.task


async def test_a_key_has_one_use(bench):
    """What is written otherwise takes no message; a consumer alone writes nothing."""
    bench.consume()
    await turns()
    assert not bench.queues.is_written(KEY)
    bench.taken.add(KEY)
    with pytest.raises(Conflict):
        await bench.produce().task
    bench.taken.clear()
    producers = [bench.produce(), bench.produce()]
    await turns()
    assert bench.queues.is_written(KEY)
    producers[0].task.cancel()
    await turns()
    assert bench.queues.is_written(KEY)
    producers[1].task.cancel()
    await turns()
    assert not bench.queues.is_written(KEY)


class Lines(RuleBasedStateMachine):
    """Producers and consumers of two keys beside the lines that they should stand in."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.bench = self.run(self.make_bench())
        self.producers = {key: [] for key in KEYS}
        self.consumers = {key: [] for key in KEYS}
        self.running = dict.fromkeys(KEYS)
        self.redelivered = 0
        self.count = 0
        self.ends = []

    def run(self, work):
        return self.loop.run_until_complete(work)

    async def make_bench(self):
        return Bench()

    def settle(self):
        self.run(turns(20))

    def waiting(self):
        return sum(map(len, [*self.producers.values(), *self.consumers.values()]))

    def is_full(self):
        return self.waiting() >= MOST

    def come(self, key, *, producing, refused):
        """Somebody new, who is refused if the lines are full at that moment."""
        self.count += 1
        if producing:
            party, line = self.new_producer(key), self.producers[key]
        else:
            party, line = self.new_consumer(key), self.consumers[key]
        if refused:
            self.ends.append((party, TooManyKeys))
        else:
            line.append(party)
            self.match(key)

    def new_producer(self, key):
        return self.run(self.started(lambda: self.bench.produce(key, b"%d" % self.count)))

    def new_consumer(self, key):
        return self.run(self.started(lambda: self.bench.consume(key)))

    async def started(self, make):
        """The party after its first turn: it stands in its line, and nothing else has happened."""
        party = make()
        await asyncio.sleep(0)
        return party

    def match(self, key):
        producers, consumers = self.producers[key], self.consumers[key]
        if self.running[key] is None and producers and consumers:
            self.running[key] = (producers.pop(0), consumers.pop(0))

    def end(self, key):
        """The pair is over; the next one may begin."""
        self.running[key] = None
        self.match(key)

    def cancel(self, party):
        party.task.cancel()
        self.ends.append((party, asyncio.CancelledError))

    # -- what may happen

    @rule(key=st.sampled_from(KEYS), producing=st.booleans())
    def somebody_comes(self, key, producing):
        self.come(key, producing=producing, refused=self.is_full())
        self.settle()

    @precondition(lambda self: self.waiting())
    @rule(data=st.data(), then=st.sampled_from([None, "producer", "consumer"]))
    def somebody_leaves(self, data, then):
        """And perhaps in the same turn somebody comes to the same key."""
        lines = [(key, line) for side in (self.producers, self.consumers)
                 for key, line in side.items() if line]  # fmt: skip
        key, line = data.draw(st.sampled_from(lines))
        party = line[data.draw(st.integers(0, len(line) - 1))]
        full = self.is_full()
        self.cancel(party)
        line.remove(party)
        if then is not None and not full:
            self.come(key, producing=then == "producer", refused=False)
        self.settle()

    def pairs(self):
        return [key for key in KEYS if self.running[key] is not None]

    @precondition(lambda self: self.pairs())
    @rule(data=st.data())
    def a_pair_ends_well(self, data):
        key = data.draw(st.sampled_from(self.pairs()))
        producer, consumer = self.running[key]
        hand_over(producer, consumer)
        self.settle()
        assert producer.task.result() == "delivered"
        assert consumer.task.result() == producer.message
        self.end(key)

    @precondition(lambda self: self.pairs())
    @rule(data=st.data(), written=st.booleans())
    def a_consumer_leaves_with_nothing(self, data, written):
        key = data.draw(st.sampled_from(self.pairs()))
        producer, consumer = self.running[key]
        if written:
            producer.may_write.set()
            self.settle()
            producer.may_write.clear()
        self.cancel(consumer)
        self.producers[key].insert(0, producer)
        self.redelivered += 1
        self.end(key)
        self.settle()

    @precondition(lambda self: self.pairs())
    @rule(data=st.data())
    def a_consumer_leaves_with_a_part(self, data):
        key = data.draw(st.sampled_from(self.pairs()))
        producer, consumer = self.running[key]
        producer.may_write.set()
        consumer.may_touch.set()
        self.settle()
        self.cancel(consumer)
        self.ends.append((producer, Broken))
        self.end(key)
        self.settle()

    @precondition(lambda self: self.pairs())
    @rule(data=st.data(), then=st.sampled_from([None, "consumer"]))
    def a_producer_leaves_its_pair(self, data, then):
        key = data.draw(st.sampled_from(self.pairs()))
        producer, consumer = self.running[key]
        self.cancel(producer)
        self.ends.append((consumer, Broken))
        self.end(key)
        if then is not None and not self.is_full():
            self.come(key, producing=False, refused=False)
        self.settle()

    @rule(key=st.sampled_from(KEYS))
    def a_key_is_removed(self, key):
        parties = [*self.producers[key], *self.consumers[key], *(self.running[key] or ())]
        assert self.bench.queues.remove(key) == bool(parties)
        self.ends += [(party, Gone) for party in parties]
        self.producers[key], self.consumers[key], self.running[key] = [], [], None
        self.settle()

    # -- what must hold

    @invariant()
    def the_lines_are_those_of_the_model(self):
        queues = self.bench.queues
        expected = {
            key: (len(self.producers[key]), len(self.consumers[key]))
            for key in KEYS
            if self.producers[key] or self.consumers[key]
        }
        assert queues.waiting() == expected
        assert queues._waiting == self.waiting()
        assert set(queues.occupied()) == {*expected, *self.pairs()}
        assert queues.redelivered == self.redelivered

    @invariant()
    def the_pairs_are_those_of_the_model(self):
        queues = self.bench.queues
        assert queues.busy() == len(self.pairs())
        for key in self.pairs():
            producer, consumer = self.running[key]
            assert consumer.seat.rendezvous is producer.pairs[-1]

    @invariant()
    def everybody_ended_as_he_should(self):
        for party, expected in self.ends:
            assert party.task.done(), party
            with contextlib.suppress(asyncio.CancelledError):
                failure = party.task.exception()
                assert isinstance(failure, FilepipeError)
                assert isinstance(failure, expected), failure
                continue
            assert expected is asyncio.CancelledError

    def teardown(self):
        try:
            self.run(self.bench.close())
        finally:
            self.loop.close()


TestLines = Lines.TestCase
TestLines.settings = settings(max_examples=100, stateful_step_count=30)
