"""A disk whose power can be cut: what it held at a moment can be looked at later.

It is ext4 in an image on btrfs. A copy of the image by reference is what the disk held at that
moment; mounted, its journal is replayed as after a real cut.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr.strip()}")


@contextmanager
def _mounted(image: Path, folder: Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    _run("mount", "-o", "loop", image, folder)
    try:
        yield folder
    finally:
        _run("umount", "--lazy", folder)


@dataclass(frozen=True)
class Disk:
    """`folder` is on it."""

    folder: Path
    _images: Path

    def cut(self, name: str) -> None:
        """Keep what it holds at this moment."""
        _run("cp", "--reflink=always", self._images / "image", self._images / name)

    @contextmanager
    def after(self, name: str) -> Iterator[Path]:
        """The folder as it is after the cut of that name, which is forgotten then."""
        with _mounted(self._images / name, self._images.with_name("after")) as folder:
            yield folder
        (self._images / name).unlink()


@contextmanager
def disk_in(folder: Path) -> Iterator[Disk]:
    """Make one; skips where that cannot be done."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("mkfs.btrfs", "mkfs.ext4"))):
        pytest.skip("cutting the power needs root, btrfs and ext4")
    below = folder / "btrfs.image"
    with ExitStack() as stack:
        stack.callback(below.unlink, missing_ok=True)
        try:
            with below.open("wb") as file:
                file.truncate(600 << 20)
            _run("mkfs.btrfs", "-q", below)
            images = stack.enter_context(_mounted(below, folder / "btrfs"))
            with (images / "image").open("wb") as file:
                file.truncate(128 << 20)
            _run("mkfs.ext4", "-q", images / "image")
            mounted = stack.enter_context(_mounted(images / "image", folder / "disk"))
        except RuntimeError as error:
            pytest.skip(f"no such disk could be made: {error}")
        yield Disk(mounted, images)
