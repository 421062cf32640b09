"""The ledger: what is taken is counted, what does not fit is refused whole, all of it goes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.accountant import Accountant, Budget
from filepipe.errors import OverBudget, Unavailable

SIZES = st.integers(0, 100)


def test_what_is_taken_is_counted_until_it_is_given_back():
    """`used` follows, `peak` remembers the most."""
    budget = Budget("memory", 100)
    budget.take(60)
    budget.take(40)
    assert (budget.used, budget.peak) == (100, 100)
    budget.give(70)
    budget.take(5)
    assert (budget.used, budget.peak) == (35, 100)


def test_what_does_not_fit_is_refused_whole():
    """A refusal takes nothing, and names the budget for the client and for the spill."""
    budget = Budget("disk", 100)
    budget.take(99)
    with pytest.raises(OverBudget, match="disk quota exceeded, try again later") as refused:
        budget.take(2)
    assert refused.value.budget == "disk"
    assert isinstance(refused.value, Unavailable)
    assert refused.value.status == 503
    assert (budget.used, budget.peak) == (99, 99)
    budget.take(1)
    assert budget.used == 100


def test_a_limit_of_nothing_grants_nothing_but_nothing():
    """Zero is a limit, not the lack of one."""
    budget = Budget("memory", 0)
    budget.take(0)
    assert budget.fits(0)
    assert not budget.fits(1)
    with pytest.raises(OverBudget):
        budget.take(1)


def test_without_a_limit_nothing_is_refused():
    """None is no limit, and still counted."""
    budget = Budget("memory", None)
    budget.take(1 << 60)
    assert budget.fits(1 << 60)
    assert budget.used == 1 << 60


def test_what_is_held_already_counts_although_it_does_not_fit():
    """Nothing more is granted until it is given back."""
    budget = Budget("disk", 100)
    budget.adopt(150)
    assert (budget.used, budget.peak, budget.fits(1)) == (150, 150, False)
    budget.give(100)
    budget.take(50)
    assert budget.used == 100


@pytest.mark.parametrize("size", [11, -1])
def test_giving_back_what_was_not_taken_is_a_defect(size):
    """The ledger never hides a wrong sum."""
    budget = Budget("memory", 100)
    budget.take(10)
    with pytest.raises(AssertionError, match="memory 10/100"):
        budget.give(size)
    assert budget.used == 10


def test_the_two_budgets_are_apart():
    """Memory that is used up leaves the disk as it is."""
    accountant = Accountant.of(10, None)
    accountant.memory.take(10)
    assert not accountant.memory.fits(1)
    assert accountant.disk.fits(1 << 40)
    assert (accountant.memory.name, accountant.disk.name) == ("memory", "disk")
    assert (accountant.memory.limit, accountant.disk.limit) == (10, None)


@given(limit=st.none() | st.integers(0, 200), steps=st.lists(st.tuples(st.booleans(), SIZES)))
def test_any_order_of_taking_and_giving(limit, steps):
    """`used` is the sum of what is held, never above the limit; `fits` is what `take` does."""
    budget = Budget("memory", limit)
    held, peak = [], 0
    for taking, size in steps:
        if not taking:
            budget.give(held.pop() if held else 0)
        elif budget.fits(size):
            budget.take(size)
            held.append(size)
        else:
            with pytest.raises(OverBudget):
                budget.take(size)
        peak = max(peak, sum(held))
        assert (budget.used, budget.peak) == (sum(held), peak)
        assert limit is None or budget.used <= limit
