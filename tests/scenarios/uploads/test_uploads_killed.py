"""kill -9 at any moment: no acknowledged part or byte is lost, and no part of a file ever shows."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.scenarios.uploads.api import MIB, body_of, sha
from tests.scenarios.uploads.killed import (
    Cancelling,
    Client,
    Folder,
    Mortal,
    Parts,
    Target,
    Watcher,
    nothing_left,
)

ROUNDS = int(os.environ.get("UPLOAD_KILLS", "2"))
"""Of killing; the long loop is `UPLOAD_KILLS=200 python -m pytest -o timeout=0 -k killed` here."""

SEED = int(os.environ.get("UPLOAD_SEED", "5"))

MOMENTS = ("anywhen", "at the end")


def local(folder: Path) -> Target:
    """The folder of the default backend."""
    private = folder / "data" / "filepipe"
    return Folder(private / "uploads", private / "parts", {})


@pytest.fixture(params=["local"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """Each backend."""
    return local(tmp_path)


def crowd(mortal: Mortal, turn: int, watcher: Watcher, dice: random.Random) -> list[Client]:
    """Clients of every sort, with what may be seen of theirs."""
    bodies = {f"{turn}-{number}": body_of(3 * MIB, 100 * turn + number) for number in range(3)}
    names = {name: name for name in bodies} | {f"{turn}-2": "same"}
    clients: list[Client] = []
    for name, body in bodies.items():
        watcher.allowed.setdefault(names[name], set()).add(sha(body))
        fields = {"checksum_sha256": sha(body), "overwrite": names[name] == "same"}
        made = mortal.api.begin(body, names[name], **fields)
        clients.append(Parts(made, names[name], dice))
    clients.append(Cancelling(mortal.api.begin(bodies[f"{turn}-0"], "never")))
    return clients


def wait(moment: str, clients: list[Client], dice: random.Random) -> None:
    """Until it is time to kill."""
    if moment == "at the end":
        parts = [client for client in clients if isinstance(client, Parts)]
        dice.choice(parts).ending.wait(30)
    time.sleep(dice.uniform(0.0, 0.2 if moment == "anywhen" else 0.03))


def test_killed_at_any_moment(target: Target, tmp_path: Path) -> None:
    """What was acknowledged is there at the next start, and goes on to its end."""
    dice = random.Random(SEED)
    mortal = Mortal(tmp_path, target)
    watcher = Watcher(target)
    watcher.start()
    told = Counter[str]()
    try:
        for turn in range(ROUNDS):
            clients = crowd(mortal, turn, watcher, dice)
            for client in clients:
                client.start()
            wait(MOMENTS[turn % 2], clients, dice)
            mortal.kill()
            for client in clients:
                client.join(30)
                told.update(client.told())
            mortal.again()
            for client in clients:
                client.judge()
            nothing_left(target, mortal.api.daemon)
        watcher.end()
    finally:
        mortal.kill()
    print(f"{ROUNDS} rounds, before the kill: {dict(told)}; files hashed: {watcher.hashed}")
    assert not watcher.wrong, "a part was published"
    assert watcher.hashed >= 3 * ROUNDS
    mortal.api.daemon.assert_clean_log()
