"""For authors of storages and shelves: a suite that each of them passes, and fakes with a fault.

class TestMine(StorageSuite):
    @pytest.fixture
    async def storage(self):
        storage = MyStorage("somewhere")
        yield storage
        await storage.aclose()

class TestMyShelf(ShelfSuite):
    @pytest.fixture
    def make(self, tmp_path):
        return lambda: MyShelf("somewhere", tmp_path)
"""

from filepipe.testing.shelf_steps import opened, store
from filepipe.testing.shelves import ShelfSuite
from filepipe.testing.storages import (
    FailingStorage,
    FullStorage,
    SlowStorage,
    StorageSuite,
    read_all,
    turns,
    write,
)

__all__ = [
    "FailingStorage",
    "FullStorage",
    "ShelfSuite",
    "SlowStorage",
    "StorageSuite",
    "opened",
    "read_all",
    "store",
    "turns",
    "write",
]
