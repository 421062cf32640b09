"""kill -9 at any moment: no part that was acknowledged is lost, and no part of an object shows."""

from __future__ import annotations

import random
import time
from pathlib import Path

from tests.backends.shelf_load import Ledger, Load, judge
from tests.conftest import eventually

ROUNDS = 4


async def test_killed_again_and_again(tmp_path: Path) -> None:
    """Each process goes on where the one before it was killed."""
    lines: list[str] = []
    for _ in range(ROUNDS):
        enough = len(lines) + 20
        load = Load(tmp_path, lines)
        try:
            eventually(lambda enough=enough: len(lines) > enough)
            time.sleep(random.uniform(0, 0.2))
        finally:
            load.kill()
        ledger = Ledger.of(lines)
        await judge(tmp_path, ledger, ledger.begun)
    assert len(ledger.published) > ROUNDS
