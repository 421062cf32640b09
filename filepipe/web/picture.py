"""What the daemon holds and does at a moment, as plain values: for `/state` and for who watches."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from filepipe import __version__
from filepipe.accountant import Budget
from filepipe.channels.channel import Channel, Kind
from filepipe.channels.rendezvous import Rendezvous
from filepipe.channels.state import State
from filepipe.keys import Key
from filepipe.service import Service
from filepipe.shutdown import Phase

MOST_ROWS: Final = 200
"""Channels, and also keys that wait for a writer, in a picture that is drawn again and again."""

_FRESH: Final = 0.9
"""Seconds that pass at least between the two looks that make a rate."""

_OPEN = (State.CLAIMED, State.WRITING)


class Rates:
    """How fast bodies grow: from one look at a channel to the next, at first since it was made.

    Halfway to what it was before, because senders come in gusts.
    """

    def __init__(self) -> None:
        self._looked = 0.0
        # by key and birth, lest a look keeps alive what it saw
        self._seen: dict[tuple[Key, float], tuple[int, int]] = {}

    def look(self, channels: Iterable[Channel]) -> None:
        """Measure these and forget all others; does nothing if the last look was just now."""
        now = time.monotonic()
        elapsed = now - self._looked
        if elapsed < _FRESH:
            return
        seen = {}
        for channel in channels:
            before = self._seen.get((channel.key, channel.created))
            if before is None:
                rate = _average(channel)
            elif channel.state in _OPEN:
                rate = round(((channel.size - before[0]) / elapsed + before[1]) / 2)
            else:
                rate = 0
            seen[channel.key, channel.created] = (channel.size, rate)
        self._looked, self._seen = now, seen

    def of(self, channel: Channel) -> int:
        """Bytes a second; 0 once it has ended."""
        seen = self._seen.get((channel.key, channel.created))
        return _average(channel) if seen is None else seen[1]


def _average(channel: Channel) -> int:
    if channel.state not in _OPEN:
        return 0
    return round(channel.size / max(0.001, time.monotonic() - channel.created))


def totals(service: Service, phase: Phase, going_out: int) -> dict[str, Any]:
    """What is for everybody: counts, limits, bytes moved since the start.

    `going_out` are bytes of transfers under way that the statistics do not count yet.
    """
    statistics = service.statistics
    return {
        "version": __version__,
        "phase": phase.value,
        "uptime": round(time.time() - statistics.started, 3),
        "channels": dict(service.kinds()),
        "waiting_readers": service.directory.waiting,
        "memory": _budget(service.accountant.memory),
        "disk": _budget(service.accountant.disk),
        "bytes_in": statistics.bytes_in,
        "bytes_out": statistics.bytes_out + going_out,
    }


def _budget(budget: Budget) -> dict[str, int | None]:
    return {"used": budget.used, "limit": budget.limit}


def lists(service: Service, rates: Rates, *, named: bool, whole: bool = False) -> dict[str, Any]:
    """Each channel, the busy and the young first, and the keys under which somebody only waits.

    Without `named` no key is told; without `whole` at most `MOST_ROWS` are in each list, and
    `left_off` says how many more there are.
    """
    channels = list(service.channels())
    shown = channels if whole else heapq.nlargest(MOST_ROWS, channels, key=_weight)
    rates.look(shown)
    waits = _Waits(service)
    rows = [_row(channel, rates, waits) for channel in shown]
    lonely = waits.without(channels)
    told = lonely if whole else lonely[:MOST_ROWS]
    names = ("keys", "waiting_keys") if named else ("unnamed", "unnamed_waiting")
    if not named:
        rows, told = _nameless(rows), _nameless(told)
    left_off = len(channels) - len(rows) + len(lonely) - len(told)
    return {names[0]: rows, names[1]: told, "left_off": left_off}


def _nameless(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "key"} for row in rows]


def _weight(channel: Channel) -> tuple[bool, float]:
    return channel.state in _OPEN or channel.readers > 0, channel.created


class _Waits:
    """Who waits under which key: readers for a writer, and in a queue producers, too."""

    def __init__(self, service: Service) -> None:
        self._room = service.directory.room.keys()
        self._queues = service.queues.waiting()

    def beside(self, channel: Channel) -> tuple[int, int]:
        """Readers and writers who wait although there is a channel: their turn comes later."""
        if channel.kind is Kind.QUEUE:
            writers, readers = self._queues.get(channel.key, (0, 0))
            return readers, writers
        return self._room.get(channel.key, 0), 0

    def without(self, channels: Iterable[Channel]) -> list[dict[str, Any]]:
        """Those who wait where there is no channel."""
        queued = {channel.key for channel in channels if channel.kind is Kind.QUEUE}
        others = {channel.key for channel in channels if channel.kind is not Kind.QUEUE}
        found: list[dict[str, Any]] = [
            {"key": key, "kind": None, "readers": readers, "writers": 0}
            for key, readers in self._room.items()
            if key not in others
        ]
        found += [
            {"key": key, "kind": Kind.QUEUE.value, "readers": readers, "writers": writers}
            for key, (writers, readers) in self._queues.items()
            if key not in queued
        ]
        return found


def _row(channel: Channel, rates: Rates, waits: _Waits) -> dict[str, Any]:
    waiting, writers = waits.beside(channel)
    row: dict[str, Any] = {
        "key": channel.key,
        "kind": channel.kind.value,
        "state": _state(channel),
        "size": channel.size,
        "length": None if _is_open(channel) else channel.length,
        "rate": rates.of(channel),
        "readers": channel.readers,
        "waiting": waiting,
        "writers_waiting": writers,
        "age": round(time.monotonic() - channel.created, 3),
    }
    if isinstance(channel, Rendezvous) and not channel.closed:
        row |= {"seated": len(channel.seats), "seats": channel.number}
    return row


def _is_open(channel: Channel) -> bool:
    """Whether it is a log that nobody knows the end of."""
    return channel.kind is Kind.LOG and channel.state is not State.FINISHED


def _state(channel: Channel) -> str:
    lost = channel.state is State.WRITING and channel.suspended is not None
    return "suspended" if lost else channel.state.value


def steady(picture: Mapping[str, Any]) -> dict[str, Any]:
    """The picture without what changes by itself as time goes by."""
    found = {name: value for name, value in picture.items() if name != "uptime"}
    for name in ("keys", "unnamed"):
        if name in found:
            found[name] = [{**row, "age": None} for row in found[name]]
    return found
