"""The power goes under logs that are made, grow, are closed and removed: what was told holds.

`LOG_CUTS` sets how often, `LOG_SEED` repeats the same choices.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from filepipe.journal.disk import Disk
from filepipe.journal.files import name_of
from filepipe.journal.recovery import recover
from tests.conftest import Daemon, eventually
from tests.journal.forgetful import compared, content
from tests.power import disk_in

CUTS = int(os.environ.get("LOG_CUTS", "3"))
SEED = int(os.environ.get("LOG_SEED", "7"))
MOST = 150
"""Records of one log."""


@dataclass(frozen=True)
class Moment:
    """What one lane knew at a moment: logs before `number` are gone, it has `records`."""

    number: int = 0
    records: int = 0
    removing: bool = False


@dataclass
class Lane:
    """Makes one log after the other, appends to it, and removes it."""

    name: str
    seed: int
    durable: bool = True
    known: Moment = field(default_factory=Moment)
    wrong: list[str] = field(default_factory=list)
    acknowledged: int = 0

    def key(self, number: int) -> str:
        """Of a log."""
        return f"{self.name}/{number}"

    def record(self, number: int, index: int) -> bytes:
        """What belongs there, and nowhere else."""
        choose = random.Random(f"{self.seed} {number} {index}")
        padding = choose.randbytes(choose.choice((0, 90, 3000))).hex()
        return f"{self.name} {number} {index} {padding}\n".encode()

    def work(self, daemon: Daemon) -> None:
        """Until the daemon is gone."""
        connection = http.client.HTTPConnection(*daemon.address, timeout=60)
        choose = random.Random(self.seed)
        with contextlib.suppress(OSError, http.client.HTTPException):
            for number in range(10**6):
                self._live(connection, number, choose.randrange(1, MOST))

    def _live(self, connection: http.client.HTTPConnection, number: int, count: int) -> None:
        path = f"/streams/{self.key(number)}"
        self._ask(connection, "PUT", path, self.record(number, 0))
        self.known = Moment(number, 1)
        for index in range(1, count):
            query = f"/{self.key(number)}?append" + "&durability=async" * (not self.durable)
            self._ask(connection, "POST", query, self.record(number, index))
            if self.durable:
                self.known = Moment(number, index + 1)
            self.acknowledged += 1
        self.known = Moment(number, self.known.records, removing=True)
        self._ask(connection, "DELETE", path, b"")
        self.known = Moment(number + 1)

    def _ask(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes
    ) -> None:
        connection.request(method, path, body, {"Content-Type": "text/plain"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status not in (200, 201, 204):
            self.wrong.append(f"{method} {path}: {answer.status} {text!r}")
            raise ConnectionError

    def judge(self, folder: Path, before: Moment, after: Moment, told: Counter[str]) -> None:
        """What is there was told, or was on its way; `before` and `after` stand around the cut."""
        for number in range(max(0, before.number - 3), after.number + 2):
            files = recover(folder, name_of(self.key(number)), Disk())
            if files is None:
                going = after.number > number or after.removing
                assert number != before.number or not before.records or going, "lost"
                continue
            assert number >= before.number, f"{self.key(number)} is there again"
            assert files.damage is None, files.damage
            assert compared(files) is None
            found, whole, count = content(files), b"", 0
            while len(whole) < len(found):
                whole += self.record(number, count)
                count += 1
            assert found == whole, f"torn: {len(found)} of {len(whole)} bytes"
            assert count >= (before.records if number == before.number else 1), "lost"
            told["logs"] += 1
            told["records"] += count
            files.rest()


def test_cut_again_and_again(tmp_path: Path) -> None:
    """What reached the disk at any moment is enough for all that was acknowledged by then."""
    choose, told = random.Random(SEED), Counter[str]()
    lanes = [Lane("a", SEED), Lane("b", SEED + 1), Lane("loose", SEED + 2, durable=False)]
    with disk_in(tmp_path) as disk:
        (tmp_path / "daemon").mkdir()
        (tmp_path / "daemon/data").symlink_to(disk.folder)
        daemon = Daemon(["--allow-delete", "--max-disk", "unlimited"], tmp_path / "daemon")
        threads = [threading.Thread(target=lane.work, args=(daemon,)) for lane in lanes]
        for thread in threads:
            thread.start()
        try:
            eventually(lambda: all(lane.known.number for lane in lanes))
            for _ in range(CUTS):
                time.sleep(choose.uniform(0, 0.1))
                before = [lane.known for lane in lanes]
                disk.cut("cut")
                after = [lane.known for lane in lanes]
                with disk.after("cut") as folder:
                    for lane, first, last in zip(lanes, before, after, strict=True):
                        lane.judge(folder / "filepipe/logs", first, last, told)
            assert [lane.wrong for lane in lanes] == [[], [], []]
        finally:
            daemon.kill()
            for thread in threads:
                thread.join(60)
    told["acknowledged"] = sum(lane.acknowledged for lane in lanes)
    print(f"{CUTS} cuts: {dict(told)}")
    assert told["records"]
    daemon.assert_clean_log()
