"""tus-js-client, as its authors ship it: fetched by npm, run by node."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent / "js"
Run = Callable[..., dict[str, Any]]


def fetched(cache: pytest.Cache) -> Path:
    """The folder of the modules that the lock file names; all workers share it.

    Skips where there is no node, no npm, or no registry that npm can reach.
    """
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            pytest.skip(f"this machine has no {tool}")
    folder = cache.mkdir("tus-js-client")
    wanted = (HERE / "package-lock.json").read_text()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = folder / "node_modules" / "stamp"
        if not stamp.exists() or stamp.read_text() != wanted:
            _fetch(folder)
            stamp.write_text(wanted)
    return folder / "node_modules"


def _fetch(folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    # a registry that cannot be reached says so soon: each worker asks for itself
    patience = ["--fetch-retries=2", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=500"]
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", *patience]
    try:
        subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=20, check=True)
    except subprocess.CalledProcessError as error:
        said = [line for line in error.stderr.splitlines() if line.startswith("npm error")]
        pytest.skip(f"npm cannot fetch tus-js-client: {' '.join(said[:2])}")
    except subprocess.TimeoutExpired:
        pytest.skip("npm cannot fetch tus-js-client: no answer")


def run(modules: Path, file: Path, **options: Any) -> dict[str, Any]:
    """Upload a file with these options; what the script prints at the end."""
    done = subprocess.run(
        ["node", str(HERE / "upload.cjs"), str(file), json.dumps(options)],
        env={**os.environ, "NODE_PATH": str(modules)},
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
