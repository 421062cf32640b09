"""One daemon that takes uploads by tus, and a client for each way to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Daemon
from tests.scenarios.tus.wire import ENVIRONMENT, KEY, LISTENERS, Wire

WAYS = {
    "auto": (0, "/files/"),
    "auto-bare": (0, "/files"),
    "prefix": (0, "/-/files/"),
    "listener": (1, "/files/"),
    "listener-root": (1, "/"),
}


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon for all of these tests, none of which upsets it."""
    folder = tmp_path_factory.mktemp("tus")
    daemon = Daemon([*LISTENERS, "--max-upload-size", "1G"], folder, env=ENVIRONMENT)
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()
    assert KEY not in daemon.log_path.read_text()


@pytest.fixture(params=WAYS)
def each(request: pytest.FixtureRequest, shared: Daemon) -> Iterator[Wire]:
    """tus by each way."""
    wire = Wire(shared, *WAYS[request.param])
    yield wire
    _leave(wire)


@pytest.fixture
def wire(shared: Daemon) -> Iterator[Wire]:
    """tus in `auto`, for what cannot depend on the way."""
    wire = Wire(shared)
    yield wire
    _leave(wire)


@pytest.fixture
def undisturbed(wire: Wire) -> Iterator[Wire]:
    """Nothing was stored by whatever the test did."""
    names, before = wire.names(), wire.daemon.state()["disk"]
    yield wire
    assert (wire.names(), wire.daemon.state()["disk"]) == (names, before)


def _leave(wire: Wire) -> None:
    for upload in wire.made:
        upload.delete()
