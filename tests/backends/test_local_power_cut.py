"""Power cuts: what reached the disk at any moment is enough for all that was acknowledged."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

from tests.backends.shelf_load import Ledger, Load, judge
from tests.conftest import eventually
from tests.power import disk_in

CUTS = int(os.environ.get("UPLOAD_CUTS", "4"))


async def test_cut_again_and_again(tmp_path: Path) -> None:
    """All that was said before the cut is there after it, and no part of an object shows."""
    lines: list[str] = []
    cuts: list[Ledger] = []
    with disk_in(tmp_path) as disk:
        load = Load(disk.folder, lines)
        try:
            for number in range(CUTS):
                enough = len(lines) + 20
                eventually(lambda enough=enough: len(lines) > enough)
                time.sleep(random.uniform(0, 0.2))
                cuts.append(Ledger.of(list(lines)))
                disk.cut(f"cut{number}")
        finally:
            load.kill()
        for number, ledger in enumerate(cuts):
            with disk.after(f"cut{number}") as after:
                await judge(after, ledger, Ledger.of(lines).begun)
    assert cuts[-1].published
