"""tus-js-client, as its authors ship it: fetched by npm, run by node."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios import npm

HERE = Path(__file__).parent / "js"
Run = Callable[..., dict[str, Any]]


def fetched(cache: pytest.Cache) -> Path:
    """Where node finds it; skips as `npm.fetched` does."""
    return npm.fetched(cache, HERE)


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
