"""What the tests of the client share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from filepipe.client import Client, sending, watch
from tests.client.cut_proxy import CutProxy
from tests.client.fake_origin import FakeOrigin
from tests.client.fake_parts import FakeParts
from tests.conftest import Daemon


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


@pytest.fixture
async def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeParts]:
    """A running server of uploads, without any; notes of the client go to the test's folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = FakeParts()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def uploader(parts: FakeParts) -> AsyncIterator[Client]:
    """A client of that server."""
    async with Client(parts.url, api_key="a key") as made:
        yield made


@pytest.fixture(scope="package")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon at the other end of a line that is cut."""
    made = Daemon(["--wait", "30"], tmp_path_factory.mktemp("far"))
    yield made
    made.kill()
    made.assert_clean_log()


@pytest.fixture
async def line(far: Daemon, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[CutProxy]:
    """The line; a client notices in a second what takes some in earnest."""
    monkeypatch.setattr(watch, "BETWEEN", 0.3)
    monkeypatch.setattr(watch, "LOOK", 0.5)
    monkeypatch.setattr(sending, "LOOK", 0.5)
    async with CutProxy(far.url()) as made:
        yield made
