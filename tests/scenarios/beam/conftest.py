"""Daemons that speak Beam, on a listener of its own and below its prefix."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Daemon, eventually
from tests.scenarios.mount import Mount, certificate, fresh

LISTENERS = ("--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0=beam")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with the default settings for all tests that do not upset it."""
    daemon = Daemon(list(LISTENERS), tmp_path_factory.mktemp("beam"))
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


@pytest.fixture(scope="session")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mount]:
    """A daemon in which everybody waits for half a second, with few names and small bodies.

    It also moves every body by its event loop, and has a third listener with TLS.
    """
    folder = tmp_path_factory.mktemp("hurried-beam")
    chain, key = certificate(folder)
    settings = (
        "--listen", "https://127.0.0.1:0=beam", "--tls-cert", chain, "--tls-key", key,
        "--wait", "0.5", "--max-keys", "3", "--max-wait", "1m", "--no-relay",
        "--max-body-size", "9M",
    )  # fmt: skip
    daemon = Daemon([*LISTENERS, *settings], folder)
    yield Mount(daemon, 1)
    daemon.kill()
    daemon.assert_clean_log()


@pytest.fixture
def root(shared: Daemon) -> Mount:
    """The protocol on its own listener."""
    return Mount(shared, 1)


@pytest.fixture(params=["root", "prefix"])
def front(request: pytest.FixtureRequest, shared: Daemon) -> Mount:
    """The protocol, both ways it can be reached."""
    return Mount(shared, 1) if request.param == "root" else Mount(shared, 0, "/-/beam")


@pytest.fixture
def name() -> str:
    """The path of a name of the test's own."""
    return f"/{fresh('name')}"


@pytest.fixture
def offered() -> Callable[[Mount, str], None]:
    """Wait until an upload waits under a name."""
    return lambda front, name: eventually(lambda: front.ask("HEAD", name).status == 200)
