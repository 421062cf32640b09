"""A daemon that many tests share, where the protocol can be reached in three ways."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.conftest import Daemon

_numbers = itertools.count()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Listener 0 speaks auto, listener 1 httpfstream."""
    daemon = Daemon(
        ["-l", "127.0.0.1:0", "-l", "127.0.0.1:0=httpfstream", "--allow-delete",
         "--max-message-size", "1M", "--public-url", "https://pub.example/x"],
        tmp_path_factory.mktemp("httpfstream"),
    )  # fmt: skip
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


@pytest.fixture
def path() -> str:
    """The path of a log that no other test uses."""
    return f"/fs-{next(_numbers)}"
