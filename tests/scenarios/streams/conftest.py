"""A daemon that speaks streams: on a listener of its own, below its prefix, and in `auto`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Daemon
from tests.scenarios.mount import Mount, fresh

LISTENERS = ("--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0=streams")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon for all tests that do not upset it; streams can be deleted."""
    settings = ["--allow-delete", "--wait", "0.3"]
    daemon = Daemon([*LISTENERS, *settings], tmp_path_factory.mktemp("streams"))
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with little room, where nothing can be deleted."""
    daemon = Daemon(["--max-disk", "1M"], tmp_path_factory.mktemp("small"))
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


@pytest.fixture
def strict(small: Daemon) -> Mount:
    """The protocol where there is little room, and nothing can be deleted."""
    return Mount(small, 0, "/streams")


@pytest.fixture
def auto(shared: Daemon) -> Mount:
    """The root of `auto`, where the same keys are logs."""
    return Mount(shared, 0)


@pytest.fixture
def streams(shared: Daemon) -> Mount:
    """The protocol as a part of `auto`."""
    return Mount(shared, 0, "/streams")


@pytest.fixture(params=["listener", "prefix", "auto"])
def front(request: pytest.FixtureRequest, shared: Daemon) -> Mount:
    """The protocol, each way it can be reached."""
    bases = {"listener": (1, ""), "prefix": (0, "/-/streams"), "auto": (0, "/streams")}
    return Mount(shared, *bases[request.param])


@pytest.fixture
def path() -> str:
    """The path of a stream of the test's own."""
    return f"/{fresh('stream')}"
