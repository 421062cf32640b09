"""What the tests of the client share."""

from collections.abc import AsyncIterator

import pytest

from filepipe.client import Client
from tests.client.fake_origin import FakeOrigin


@pytest.fixture
async def origin() -> AsyncIterator[FakeOrigin]:
    """A running origin without objects and without faults."""
    made = FakeOrigin()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no proxy of the machine come between."""
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
async def client(origin: FakeOrigin) -> AsyncIterator[Client]:
    """A client of that origin."""
    async with Client(origin.url) as made:
        yield made
