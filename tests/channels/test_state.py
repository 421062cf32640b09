"""The table of a channel's life: what it allows, and that it refuses everything else."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.channels.state import MOVES, Event, State, UnlawfulMove, move

LAWFUL = {
    (State.CLAIMED, Event.PUBLISH): State.WRITING,
    (State.CLAIMED, Event.BREAK): State.BROKEN,
    (State.WRITING, Event.FINISH): State.FINISHED,
    (State.WRITING, Event.BREAK): State.BROKEN,
    (State.FINISHED, Event.DISCARD): State.DISCARDED,
    (State.BROKEN, Event.DISCARD): State.DISCARDED,
}
UNLAWFUL = sorted(
    set(itertools.product(State, Event)) - set(LAWFUL),
    key=lambda pair: (str(pair[0]), pair[1].name),
)


@pytest.mark.parametrize(("state", "event"), LAWFUL, ids=lambda value: value.value)
def test_a_lawful_move(state, event):
    """Each lawful move leads where it should."""
    assert move(state, event) is LAWFUL[state, event]


@pytest.mark.parametrize(("state", "event"), UNLAWFUL, ids=lambda value: value.value)
def test_an_unlawful_move(state, event):
    """Every other move is refused, in words that name it."""
    with pytest.raises(UnlawfulMove, match=rf"{event.value} in state {state.value}"):
        move(state, event)


def test_every_state_has_its_row():
    """A state without a row would be refused by accident, not by the table."""
    assert set(MOVES) == set(State)


@given(events=st.lists(st.sampled_from(Event), max_size=12))
def test_no_way_back(events):
    """Whatever is tried, no state comes twice, and a finished channel was never broken."""
    seen = [State.CLAIMED]
    for event in events:
        try:
            seen.append(move(seen[-1], event))
        except UnlawfulMove:
            continue
    assert len(set(seen)) == len(seen)
    assert not {State.FINISHED, State.BROKEN} <= set(seen)


def test_every_life_ends_discarded():
    """From every state a way leads to the end, where no byte is held."""
    reached = {State.DISCARDED}
    for _ in State:
        reached |= {state for state, row in MOVES.items() if reached & set(row.values())}
    assert reached == set(State)
