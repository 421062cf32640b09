"""Programs of other people from npm: exactly those of a lock file, kept for the next run."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest


def fetched(cache: pytest.Cache, folder: Path) -> Path:
    """The `node_modules` that the lock file in `folder` names; all workers share it.

    Skips where there is no node, no npm, or no registry that npm can reach.
    """
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            pytest.skip(f"this machine has no {tool}")
    place = cache.mkdir(f"npm-of-{folder.parent.name}")
    wanted = (folder / "package-lock.json").read_text()
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = place / "node_modules" / "stamp"
        if not stamp.exists() or stamp.read_text() != wanted:
            _fetch(folder, place)
            stamp.write_text(wanted)
    return place / "node_modules"


def _fetch(folder: Path, place: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(folder / name, place)
    # a registry that cannot be reached says so soon: each worker asks for itself
    patience = ["--fetch-retries=2", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=500"]
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", *patience]
    try:
        subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=20, check=True)
    except subprocess.CalledProcessError as error:
        said = [line for line in error.stderr.splitlines() if line.startswith("npm error")]
        pytest.skip(f"npm cannot fetch what {folder.parent.name} needs: {' '.join(said[:2])}")
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm cannot fetch what {folder.parent.name} needs: no answer")
