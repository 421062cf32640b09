"""Daemons that speak httpipe: on a listener of its own, below its prefix, and in `auto`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Daemon
from tests.scenarios.mount import Mount, fresh

LISTENERS = ("--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0=httpipe")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with the default settings for all tests that do not upset it."""
    daemon = Daemon(list(LISTENERS), tmp_path_factory.mktemp("httpipe"))
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


@pytest.fixture
def root(shared: Daemon) -> Mount:
    """The protocol on its own listener."""
    return Mount(shared, 1)


@pytest.fixture
def auto(shared: Daemon) -> Mount:
    """The protocol as a part of `auto`."""
    return Mount(shared, 0)


@pytest.fixture(params=["root", "prefix"])
def front(request: pytest.FixtureRequest, shared: Daemon) -> Mount:
    """The protocol exactly, both ways it can be reached."""
    return Mount(shared, 1) if request.param == "root" else Mount(shared, 0, "/-/httpipe")


@pytest.fixture
def launch(start: Callable[..., Daemon]) -> Callable[..., Mount]:
    """Start a daemon of the test's own with these settings."""
    return lambda *settings: Mount(start(*LISTENERS, *settings), 1)


@pytest.fixture
def channel() -> str:
    """The path of a channel of the test's own."""
    return f"/channels/{fresh('ns')}/name"
