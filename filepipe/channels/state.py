"""The life of a channel as one table: nothing else assigns a state.

A missing entry is the refusal. `docs/architecture.md` shows the table, and a test compares them.
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """Where a channel is in its life."""

    CLAIMED = "claimed"
    """The key is taken; what it will hold is not known yet, so no reader may see it."""
    WRITING = "writing"
    """Readers may join; bytes arrive."""
    FINISHED = "finished"
    """Every byte is here."""
    BROKEN = "broken"
    """The writer ended without finishing; the key is free again."""
    DISCARDED = "discarded"
    """No byte is held any more."""


class Event(Enum):
    """What may happen to a channel."""

    PUBLISH = "publish"
    FINISH = "finish"
    BREAK = "break"
    DISCARD = "discard"


MOVES: dict[State, dict[Event, State]] = {
    State.CLAIMED: {Event.PUBLISH: State.WRITING, Event.BREAK: State.BROKEN},
    State.WRITING: {Event.FINISH: State.FINISHED, Event.BREAK: State.BROKEN},
    State.FINISHED: {Event.DISCARD: State.DISCARDED},
    State.BROKEN: {Event.DISCARD: State.DISCARDED},
    State.DISCARDED: {},
}


class UnlawfulMove(RuntimeError):
    """A defect of ours: the table has no such move."""


def move(state: State, event: Event) -> State:
    """The state after `event`; raises `UnlawfulMove` where the table has none."""
    try:
        return MOVES[state][event]
    except KeyError:
        raise UnlawfulMove(f"{event.value} in state {state.value}") from None
