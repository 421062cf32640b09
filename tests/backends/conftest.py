"""A small disk, and calls that wait or fail on purpose."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from filepipe.storage.interface import Shelf
from filepipe_backends.local import LocalShelf
from tests.s3 import s3, s3_server

__all__ = ["s3", "s3_server"]


@pytest.fixture
def small_folder(tmp_path: Path) -> Iterator[str]:
    """A file system of 1 MiB with room for 20 files."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    folder = tmp_path / "small"
    folder.mkdir()
    options = "size=1m,nr_inodes=20,mode=0700"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no tmpfs could be mounted: {done.stderr.strip()}")
    try:
        yield str(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def make(tmp_path: Path) -> Callable[[], Shelf]:
    """Open a local shelf whose drafts are in the daemon's own folder, on the same file system."""
    return lambda: LocalShelf(str(tmp_path / "objects"), tmp_path / "own" / "parts")


class Failing:
    """A function of `os` that raises OSError from its `number`th call on, `times` times."""

    def __init__(
        self, patch: pytest.MonkeyPatch, name: str, code: int, number: int = 1, times: int = 1
    ) -> None:
        self.real = getattr(os, name)
        self.code = code
        self.number = number
        self.times = times
        self.calls = 0
        self.failed = 0
        self.lock = threading.Lock()
        patch.setattr(os, name, self)

    def __call__(self, *args: Any, **more: Any) -> Any:
        with self.lock:
            self.calls += 1
            fail = self.calls >= self.number and self.failed < self.times
            self.failed += fail
        if fail:
            raise OSError(self.code, os.strerror(self.code), "/a/secret/path")
        return self.real(*args, **more)
