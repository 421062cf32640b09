"""A daemon that the requests of a whole file are thrown at, and that must not mind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Daemon


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with the default limits; afterwards its log has no word of an error."""
    daemon = Daemon(["--wait", "0"], tmp_path_factory.mktemp("guarded"))
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()
