"""Daemons that take resumable uploads; most tests share one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Daemon
from tests.scenarios.peers import MIB
from tests.scenarios.resumable.peer import Client


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One with the default settings, but for a short wait; none of these tests upsets it."""
    settings = ["--wait", "0.5", "--allow-delete"]
    daemon = Daemon(settings, tmp_path_factory.mktemp("resumable"))
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


@pytest.fixture(scope="package")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """One with limits: 1 MiB a body, 3 MiB an upload; the event loop moves every byte."""
    settings = ["--max-body-size", "1MiB", "--max-upload-size", "3MiB", "--no-relay"]
    settings += ["--interim-answers", "always", "--idle-timeout", "0.5"]
    daemon = Daemon(settings, tmp_path_factory.mktemp("resumable"))
    assert MIB
    yield Client(daemon)
    daemon.kill()
    daemon.assert_clean_log()


@pytest.fixture
def client(shared: Daemon) -> Client:
    """One that speaks the newest version."""
    return Client(shared)


@pytest.fixture(params=[3, 4, 5, 6, 7, 8, 9, None])
def each(request: pytest.FixtureRequest, shared: Daemon) -> Client:
    """One for every version."""
    return Client(shared, request.param)
