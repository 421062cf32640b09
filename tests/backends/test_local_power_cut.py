"""Power cuts: what reached the disk at any moment is enough for all that was acknowledged.

The shelf is on ext4 in an image on btrfs. A copy of the image by reference is what the disk held
at that moment; mounted, its journal is replayed as after a real cut.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.backends.shelf_load import Ledger, Load, judge
from tests.conftest import eventually

CUTS = 4


def run(*command: str | Path) -> None:
    """Run a program that has to succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr.strip()}")


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    """Mount an image for a while."""
    folder.mkdir(exist_ok=True)
    run("mount", "-o", "loop", image, folder)
    try:
        yield folder
    finally:
        run("umount", "--lazy", folder)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """The folder on btrfs with `image`, which is mounted on `disk` beside it."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("mkfs.btrfs", "mkfs.ext4"))):
        pytest.skip("cutting the power needs root, btrfs and ext4")
    below = tmp_path / "btrfs.image"
    with ExitStack() as stack:
        try:
            with below.open("wb") as file:
                file.truncate(600 << 20)
            run("mkfs.btrfs", "-q", below)
            folder = stack.enter_context(mounted(below, tmp_path / "btrfs"))
            with (folder / "image").open("wb") as file:
                file.truncate(128 << 20)
            run("mkfs.ext4", "-q", folder / "image")
            stack.enter_context(mounted(folder / "image", tmp_path / "disk"))
        except RuntimeError as error:
            pytest.skip(f"no such disk could be made: {error}")
        yield folder
    below.unlink()


async def test_cut_again_and_again(disk: Path, tmp_path: Path) -> None:
    """All that was said before the cut is there after it, and no part of an object shows."""
    lines: list[str] = []
    cuts: list[Ledger] = []
    load = Load(tmp_path / "disk", lines)
    try:
        for number in range(CUTS):
            enough = len(lines) + 20
            eventually(lambda enough=enough: len(lines) > enough)
            time.sleep(random.uniform(0, 0.2))
            cuts.append(Ledger.of(list(lines)))
            run("cp", "--reflink=always", disk / "image", disk / f"cut{number}")
    finally:
        load.kill()
    for number, ledger in enumerate(cuts):
        with mounted(disk / f"cut{number}", tmp_path / "after") as after:
            await judge(after, ledger, Ledger.of(lines).begun)
    assert cuts[-1].published
