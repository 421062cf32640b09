"""Daemons that many tests share: starting one takes longer than most of what is asked of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Daemon

_numbers = itertools.count()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with a short wait; whoever uses it takes keys that nobody else has."""
    daemon = Daemon(["--wait", "0.3"], tmp_path_factory.mktemp("shared"))
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


@pytest.fixture(scope="session", params=["relay", "no-relay"])
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Daemon]:
    """The same twice: the kernel moves large bodies, or the event loop does."""
    folder = tmp_path_factory.mktemp(request.param)
    daemon = Daemon([f"--{request.param}", "--retention", "10"], folder)
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


@pytest.fixture
def path() -> str:
    """The path of a key that no other test uses."""
    return f"/key-{next(_numbers)}"


Start = Callable[..., Daemon]
