"""Daemons that speak file-pipe, at the root of a listener and below the prefix of another."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Daemon, eventually
from tests.scenarios.file_pipe.front import LISTENERS, PREFIX, Front, fresh_key


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with the default settings for a whole file of tests, none of which upsets it."""
    daemon = Daemon(list(LISTENERS), tmp_path_factory.mktemp("file-pipe"))
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


@pytest.fixture(params=["root", "prefix"])
def front(request: pytest.FixtureRequest, shared: Daemon) -> Front:
    """The protocol, both ways it can be reached."""
    return Front(shared) if request.param == "root" else Front(shared, 1, PREFIX)


@pytest.fixture
def root(shared: Daemon) -> Front:
    """The protocol at the root, for what cannot depend on the way it is reached."""
    return Front(shared)


@pytest.fixture(scope="module", params=["--relay", "--no-relay"])
def each_front(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Front]:
    """The protocol with either mover of large bodies; it forwards to this machine."""
    settings = (request.param, "--forward-allow", "127.0.0.0/8")
    daemon = Daemon([*LISTENERS, *settings], tmp_path_factory.mktemp("file-pipe"))
    yield Front(daemon)
    daemon.kill()
    daemon.assert_clean_log()


@pytest.fixture
def launch(start: Callable[..., Daemon]) -> Callable[..., Front]:
    """Start a daemon of the test's own with these settings."""
    return lambda *settings, **process: Front(start(*LISTENERS, *settings, **process))


@pytest.fixture
def key() -> str:
    """A key of the test's own."""
    return fresh_key()


@pytest.fixture
def draining(launch: Callable[..., Front]) -> Iterator[Front]:
    """A daemon that drains until the test is over."""
    front = launch("--drain-timeout", "1h")
    with front.upload("busy", 4) as upload:
        upload.send(b"ab")
        eventually(lambda: front.stored("busy") == 2)
        front.daemon.process.send_signal(signal.SIGTERM)
        eventually(lambda: front.daemon.state()["phase"] == "draining")
        yield front
        upload.finish(b"cd")
        assert front.curl("busy").body == b"abcd"
    assert front.daemon.process.wait(30) == 0
    front.daemon.assert_clean_log()
