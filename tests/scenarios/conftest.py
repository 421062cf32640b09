"""What only the scenarios need: the ways of a body, a daemon started once more, a small disk."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Daemon
from tests.scenarios.tus import js_client
from tests.scenarios.ways import WAYS, Way


@pytest.fixture(params=WAYS.values(), ids=list(WAYS))
def way(request: pytest.FixtureRequest) -> Way:
    """A large body takes one of three ways, and all of them mean the same."""
    return request.param


@pytest.fixture
def restart() -> Iterator[Callable[..., Daemon]]:
    """Start a daemon once more on the folder of one that has ended."""
    daemons: list[Daemon] = []

    def start_again(ended: Daemon, *arguments: str, **process: Any) -> Daemon:
        ended.log_path.rename(ended.log_path.with_suffix(".before"))
        daemons.append(Daemon(list(arguments), ended.folder, **process))
        return daemons[-1]

    yield start_again
    for daemon in daemons:
        daemon.kill()


@pytest.fixture(scope="session")
def js_modules(pytestconfig: pytest.Config) -> Path:
    """tus-js-client, where node finds it."""
    assert pytestconfig.cache is not None
    return js_client.fetched(pytestconfig.cache)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 8 MiB in memory."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small tmpfs")
    folder = tmp_path / "small-disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"this system mounts no tmpfs: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
