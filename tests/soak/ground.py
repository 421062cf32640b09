"""Where the rounds take place: two daemons live through all of them, others for one round."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import Daemon, eventually
from tests.scenarios.peers import MIB, at_rest, descriptors
from tests.scenarios.ways import WAYS, Way

SETTINGS = (
    "--retention", "0.2", "--wait", "2", "--spill-threshold", "256K", "--max-memory", "16M",
    "--max-disk", "256M", "--max-body-size", "16M", "--allow-delete",
)  # fmt: skip
SIZES = (0, 1, 1000, 65_536, 65_537, 262_144, 300_000, MIB, MIB + 1, 3 * MIB)


@dataclass(frozen=True)
class Holdings:
    """What a process holds when nothing happens."""

    descriptors: int
    threads: int
    rss: int
    """Bytes."""

    @classmethod
    def of(cls, daemon: Daemon) -> Holdings:
        """Look at a daemon at rest, for as long as its last connections take to go."""
        open_now = []
        for _ in range(10):
            open_now.append(descriptors(daemon))
            time.sleep(0.05)
        status = Path(f"/proc/{daemon.pid}/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines())
        rss = int(fields["VmRSS"].split()[0]) * 1024
        return cls(min(open_now), int(fields["Threads"]), rss)


class Ground:
    """Everything that a round needs; the same `seed` gives the same choices."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self._folder = folder
        self._block = self.random.randbytes(8 * MIB)
        self._numbers = iter(range(10**9))
        self.daemons: dict[str, Daemon] = {}
        for name in ("relay", "no-relay"):
            (folder / name).mkdir()
            self.daemons[name] = Daemon([f"--{name}", *SETTINGS], folder / name)

    def close(self) -> None:
        """End the daemons that are left."""
        for daemon in self.daemons.values():
            daemon.kill()

    # -- chance

    def way(self) -> tuple[Daemon, Way]:
        """One of the ways of a body, and a daemon that takes it."""
        way = self.random.choice(list(WAYS.values()))
        return self.daemons[way.flag.removeprefix("--")], way

    def body(self, least: int = 0) -> bytes:
        """A body of one of the sizes at which something changes."""
        size = self.random.choice([size for size in SIZES if size >= least])
        start = self.random.randrange(len(self._block) - size)
        return self._block[start : start + size]

    def key(self) -> str:
        """A key that no round has had."""
        return f"k{next(self._numbers)}"

    # -- daemons for one round

    @contextlib.contextmanager
    def fresh(self, *arguments: str) -> Iterator[Daemon]:
        """A daemon of its own; it may be killed."""
        folder = self._folder / f"fresh-{next(self._numbers)}"
        folder.mkdir()
        daemon = Daemon(list(arguments), folder)
        try:
            yield daemon
        finally:
            daemon.kill()
            shutil.rmtree(folder)

    # -- what is left

    def rest(self) -> dict[str, Holdings]:
        """What the long-lived daemons hold once nothing happens; nothing of anybody's bytes."""
        for daemon in self.daemons.values():
            eventually(lambda daemon=daemon: at_rest(daemon), 30)
        return {name: Holdings.of(daemon) for name, daemon in self.daemons.items()}


def names_below(folder: Path) -> set[str]:
    """Every name in a folder, as deep as it goes."""
    return {
        os.path.relpath(os.path.join(place, name), folder)
        for place, folders, files in os.walk(folder)
        for name in (*folders, *files)
    }
