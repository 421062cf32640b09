"""One daemon that takes uploads in every way, and a client for each way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.conftest import Daemon
from tests.s3 import s3, s3_server
from tests.scenarios.uploads.api import ENVIRONMENT, KEY, LISTENERS, SECRET, Api

__all__ = ["s3", "s3_server"]

Launch = Callable[..., Api]

WAYS = {
    "listener": (1, ""),
    "prefix": (0, "/-/uploads"),
    "auto": (0, ""),
    "slashes": (0, "/"),
    "slashes-listener": (1, "/"),
}


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with parts of at most 1 MiB for all of these tests, none of which upsets it."""
    daemon = Daemon(list(LISTENERS), tmp_path_factory.mktemp("uploads"), env=ENVIRONMENT)
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()
    text = daemon.log_path.read_text()
    assert KEY not in text
    assert SECRET not in text
    assert "eyJ" not in text, "a token was logged"


def _leave(api: Api) -> None:
    for made in api.made:
        made.cancel()


@pytest.fixture(scope="package")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One that does differently whatever a setting can change."""
    settings = (
        "--chunk-sizes",
        "fixed",
        "--upload-names",
        "overwrite",
        "--idle-timeout",
        "0.3",
        "--no-relay",
    )
    daemon = Daemon(
        [*LISTENERS, *settings, "--complete-wait", "0"],
        tmp_path_factory.mktemp("uploads"),
        env=ENVIRONMENT,
    )
    yield Api(daemon)
    daemon.kill()
    daemon.assert_clean_log()


@pytest.fixture(params=WAYS)
def each(request: pytest.FixtureRequest, shared: Daemon) -> Iterator[Api]:
    """The API by each way."""
    api = Api(shared, *WAYS[request.param])
    yield api
    _leave(api)


@pytest.fixture
def api(shared: Daemon) -> Iterator[Api]:
    """The API on its own listener, for what cannot depend on the way."""
    api = Api(shared)
    yield api
    _leave(api)


def _launch(start: Callable[..., Daemon], *settings: str, **process: object) -> Api:
    environment = {**ENVIRONMENT, **process.pop("env", {})}  # type: ignore[dict-item]
    return Api(start(*LISTENERS, *settings, env=environment, **process))


@pytest.fixture
def launch(start: Callable[..., Daemon]) -> Launch:
    """Start a daemon of the test's own with these settings."""
    return partial(_launch, start)
