"""Runs rounds until the time, or their number, is over, and counts what went wrong."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import Daemon
from tests.scenarios.faults import NotTraced
from tests.scenarios.peers import Download, Upload, body_of
from tests.soak.ground import Ground, Holdings
from tests.soak.live import LARGE, Sender
from tests.soak.rounds import DONE, ROUNDS

MIB = 1024 * 1024
POOL = 6
"""Threads that the pools of a daemon may still start after the warm-up: they start when needed."""


@dataclass
class Report:
    """What a run saw."""

    seed: int
    rounds: Counter[str] = field(default_factory=Counter)
    violations: dict[str, list[str]] = field(default_factory=dict)
    """Scenario to what was wrong, one line for each round."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Scenario to the reason why it was left out."""
    held: list[dict[str, Holdings]] = field(default_factory=list)
    """What the daemons held at rest: after the warm-up, in the middle, at the end."""
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether a promise was broken or something is left."""
        return bool(self.violations or self.leaks())

    def leaks(self) -> list[str]:
        """What a daemon holds at the end and should not."""
        found = []
        first, middle, last = self.held
        for name, after in last.items():
            if after.descriptors > first[name].descriptors:
                found.append(f"{name}: {after.descriptors} descriptors")
            if after.threads > first[name].threads + POOL:
                found.append(f"{name}: {after.threads} threads")
            if after.rss > middle[name].rss * 1.15 + 8 * MIB:
                found.append(f"{name}: {after.rss // MIB} MiB of memory")
        return found


@contextlib.contextmanager
def noted(report: Report, name: str) -> Iterator[None]:
    """Whatever goes wrong inside is written down, and the run goes on."""
    try:
        yield
    except NotTraced as error:
        report.skipped[name] = f"strace may not be attached: {error}"
    except Exception as error:  # noqa: BLE001 - a round that ends in any other way has failed too
        text = f"{type(error).__name__}: {error}".partition("\n")[0][:200]
        report.violations.setdefault(name, []).append(text)


def endure(folder: Path, seed: int, *, seconds: float = 0.0, least: int = 1) -> Report:
    """Run every scenario `least` times, then by chance until `seconds` are over."""
    report = Report(seed)
    started = time.monotonic()
    names = list(ROUNDS)
    if shutil.which("strace") is None:
        names.remove("fault")
        report.skipped["fault"] = "strace is not installed"
    with contextlib.closing(Ground(folder, seed)) as ground:
        for daemon in ground.daemons.values():
            warm_up(daemon)
        report.held.append(ground.rest())
        for name in names * least:
            play(ground, name, report)
        for until in (started + seconds / 2, started + seconds):
            while time.monotonic() < until:
                play(ground, ground.random.choice(names), report)
            report.held.append(ground.rest())
        for name, daemon in ground.daemons.items():
            with noted(report, f"log of {name}"):
                daemon.assert_clean_log()
    report.seconds = time.monotonic() - started
    return report


def warm_up(daemon: Daemon) -> None:
    """Have the daemon open what it keeps: many transfers at once start its threads."""
    body = body_of(LARGE * 4)
    with contextlib.ExitStack() as stack:
        lengths = (len(body), None) * 8
        uploads = [
            stack.enter_context(Upload(daemon, f"/warm-{number}", length))
            for number, length in enumerate(lengths)
        ]
        for upload in uploads:
            upload.send(body[:LARGE])
        for upload in uploads:
            assert upload.finish(body[LARGE:]).startswith(DONE)
    with ThreadPoolExecutor(8) as pool, contextlib.ExitStack() as stack:
        senders = [stack.enter_context(Sender(daemon, f"/{n}", len(body))) for n in range(4)]
        readers = [stack.enter_context(Download(daemon, f"/{n}")) for n in range(4)]
        for sender, reader in zip(senders, readers, strict=True):
            sender.send(body[:LARGE])
            assert reader.begin() == 200
        told = [pool.submit(sender.delivers, body[LARGE:]) for sender in senders]
        got = [pool.submit(reader.rest) for reader in readers]
        assert all(each.result() for each in (*told, *got))


def play(ground: Ground, name: str, report: Report) -> None:
    """One round."""
    report.rounds[name] += 1
    with noted(report, name):
        ROUNDS[name](ground)
