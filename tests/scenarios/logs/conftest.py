"""A daemon that many tests share, and keys of their own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.conftest import Daemon

_numbers = itertools.count()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with a short wait that lets its keys be deleted."""
    daemon = Daemon(["--wait", "0.3", "--allow-delete"], tmp_path_factory.mktemp("logs"))
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


@pytest.fixture
def path() -> str:
    """The path of a log that no other test uses."""
    return f"/log-{next(_numbers)}"
