"""What a picture shows: rates, seats, lines at a queue, and what it leaves out."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest

from filepipe.channels.channel import Channel, Kind, Metadata
from filepipe.channels.retention import Retention
from filepipe.keys import Key
from filepipe.service import Service, Spilling
from filepipe.shutdown import Phase
from filepipe.web import picture

KEPT = Retention(after_end=60.0)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """Everything in memory, nothing in it."""
    service = Service(Spilling("memory:", 1 << 20, 1 << 20, None), max_keys=1000)
    yield service
    await service.aclose()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that only the test moves; `now` in seconds."""
    clock = SimpleNamespace(now=1000.0, time=time.time)
    clock.monotonic = lambda: clock.now
    for module in ("web.picture", "channels.channel", "channels.directory"):
        monkeypatch.setattr(f"filepipe.{module}.time", clock)
    return clock


async def writing(service: Service, name: str, length: int | None = None) -> Channel:
    """A pipe into which nothing has been written yet."""
    channel = service.directory.claim(Key(name), Kind.PIPE, KEPT)
    await channel.publish(service.storage, Metadata(length=length))
    return channel


# -- rates


async def test_a_rate_begins_with_the_average(service: Service, clock: SimpleNamespace) -> None:
    """Nothing is known of a channel but its age and its size."""
    channel = await writing(service, "k")
    clock.now += 4
    channel.grew(4000)
    rates = picture.Rates()
    assert rates.of(channel) == 1000
    rates.look([channel])
    assert rates.of(channel) == 1000


async def test_a_rate_follows_what_comes(service: Service, clock: SimpleNamespace) -> None:
    """Half of the way with each look, and to nothing when nothing comes."""
    channel = await writing(service, "k")
    rates = picture.Rates()
    clock.now += 1
    rates.look([channel])
    clock.now += 2
    channel.grew(8000)
    rates.look([channel])
    assert rates.of(channel) == 2000
    clock.now += 1
    rates.look([channel])
    assert rates.of(channel) == 1000


async def test_two_looks_at_once_are_one(service: Service, clock: SimpleNamespace) -> None:
    """However many watch, a rate is measured over a second."""
    channel = await writing(service, "k")
    rates = picture.Rates()
    rates.look([channel])
    channel.grew(1000)
    clock.now += 0.5
    rates.look([channel])
    assert rates.of(channel) == 0
    clock.now += 0.5
    rates.look([channel])
    assert rates.of(channel) == 500


async def test_what_has_ended_does_not_grow(service: Service, clock: SimpleNamespace) -> None:
    """Whatever its pace was."""
    channel = await writing(service, "k")
    channel.grew(1000)
    clock.now += 1
    channel.finish()
    rates = picture.Rates()
    assert rates.of(channel) == 0
    rates.look([channel])
    clock.now += 1
    rates.look([channel])
    assert rates.of(channel) == 0


async def test_what_is_gone_is_forgotten(service: Service, clock: SimpleNamespace) -> None:
    """A key that is used again starts anew."""
    first = await writing(service, "k")
    rates = picture.Rates()
    first.grew(1 << 20)
    rates.look([first])
    service.directory.delete(first)
    clock.now += 10
    second = await writing(service, "k")
    clock.now += 10
    second.grew(10)
    rates.look([second])
    assert rates.of(second) == 1


# -- lists


async def test_a_pipe(service: Service) -> None:
    """A line for each channel, with what can be counted."""
    channel = await writing(service, "k", 10)
    channel.grew(4)
    (row,) = picture.lists(service, picture.Rates(), named=True)["keys"]
    assert {name: row[name] for name in ("key", "kind", "state", "size", "length", "readers")} == {
        "key": "k", "kind": "pipe", "state": "writing", "size": 4, "length": 10, "readers": 0,
    }  # fmt: skip
    assert "seats" not in row


async def test_a_rendezvous_that_gathers(service: Service) -> None:
    """How many are there, of how many."""
    rendezvous = service.meetings.offer(Key("k"), 3, Metadata(length=7))
    rendezvous.sit("somebody")
    (row,) = picture.lists(service, picture.Rates(), named=True)["keys"]
    assert (row["kind"], row["seated"], row["seats"]) == ("rendezvous", 1, 3)
    rendezvous.sit("somebody else")
    rendezvous.sit("a third one")
    (row,) = picture.lists(service, picture.Rates(), named=True)["keys"]
    assert "seats" not in row


async def test_a_line_at_a_queue(service: Service) -> None:
    """Producers wait without a channel."""
    await writing(service, "pipe")
    key, meta = Key("ns/name"), Metadata()
    with service.queues.offer(key, meta), service.queues.offer(key, meta):
        lists = picture.lists(service, picture.Rates(), named=True)
    assert [row["writers_waiting"] for row in lists["keys"]] == [0]
    assert lists["waiting_keys"] == [
        {"key": "ns/name", "kind": "queue", "readers": 0, "writers": 2}
    ]


async def test_without_names(service: Service) -> None:
    """The same lines, and no key in them."""
    await writing(service, "secret")
    with service.queues.offer(Key("hush"), Metadata()):
        lists = picture.lists(service, picture.Rates(), named=False)
    assert set(lists) == {"unnamed", "unnamed_waiting", "left_off"}
    assert [row["kind"] for row in lists["unnamed"]] == ["pipe"]
    assert lists["unnamed_waiting"] == [{"kind": "queue", "readers": 0, "writers": 1}]
    assert "secret" not in str(lists)
    assert "hush" not in str(lists)


async def test_a_long_list_is_cut(service: Service) -> None:
    """What moves is shown first, then what is young; the rest is counted."""
    busy = await writing(service, "busy")
    for number in range(picture.MOST_ROWS + 5):
        channel = await writing(service, f"k{number}")
        channel.finish()
    lists = picture.lists(service, picture.Rates(), named=True)
    assert len(lists["keys"]) == picture.MOST_ROWS
    assert lists["keys"][0]["key"] == busy.key
    assert lists["keys"][1]["key"] == f"k{picture.MOST_ROWS + 4}"
    assert lists["left_off"] == 6
    lists = picture.lists(service, picture.Rates(), named=True, whole=True)
    assert len(lists["keys"]) == picture.MOST_ROWS + 6
    assert lists["left_off"] == 0


# -- what changes


async def test_time_alone_is_no_change(service: Service, clock: SimpleNamespace) -> None:
    """Ages and the uptime go on by themselves; bytes do not."""

    def look() -> dict[str, object]:
        found = picture.totals(service, Phase.RUNNING, 0)
        return {**found, **picture.lists(service, picture.Rates(), named=True)}

    channel = await writing(service, "k")
    before = look()
    clock.now += 30
    after = look()
    assert before != after
    assert picture.steady(before) == picture.steady(after)
    channel.grew(1)
    assert picture.steady(look()) != picture.steady(after)


async def test_what_is_on_its_way_out_counts(service: Service) -> None:
    """The kernel's share is told before it has ended."""
    service.statistics.bytes_out = 5
    assert picture.totals(service, Phase.DRAINING, 7)["bytes_out"] == 12
