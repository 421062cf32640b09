"""A spill over a budget of three blobs at the threshold, and a cold side that can be held."""

import pytest

from filepipe.accountant import Budget
from filepipe.storage.accounted import AccountedStorage
from filepipe.storage.spill import SpillStorage
from filepipe.testing import SlowStorage
from filepipe_backends.memory import MemoryStorage

THRESHOLD = 1000


@pytest.fixture
def budget():
    """The memory of the hot storage: three blobs at the threshold."""
    budget = Budget("memory", 3 * THRESHOLD)
    yield budget
    assert budget.used == 0


@pytest.fixture
def hot(budget):
    return AccountedStorage(MemoryStorage(""), budget)


@pytest.fixture
def cold():
    return SlowStorage(MemoryStorage(""))


@pytest.fixture
async def spill(hot, cold):
    storage = SpillStorage(hot, cold, THRESHOLD)
    yield storage
    cold.release()
    await storage.aclose()
