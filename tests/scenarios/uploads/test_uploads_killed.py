"""kill -9 at any moment: no acknowledged part or byte is lost, and no part of a file ever shows."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.s3 import S3
from tests.scenarios.peers import body_of, sha
from tests.scenarios.uploads.killed import (
    Cancelling,
    Client,
    Folder,
    Growing,
    Mortal,
    Objects,
    Parts,
    Target,
    Watcher,
    nothing_left,
)
from tests.scenarios.uploads.test_uploads_s3 import Bucket
from tests.smbd import Smbd

ROUNDS = int(os.environ.get("UPLOAD_KILLS", "1"))
"""Of killing; the long loop is `UPLOAD_KILLS=200 python -m pytest -o timeout=0 -k killed` here."""

SEED = int(os.environ.get("UPLOAD_SEED", "5"))

MOMENTS = ("anywhen", "at the end")


def local(folder: Path) -> Target:
    """The folder of the default backend."""
    private = folder / "data" / "filepipe"
    return Folder(private / "uploads", private / "parts", {})


@pytest.fixture(params=["local", "smb", "s3"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """Each backend."""
    if request.param == "local":
        return local(tmp_path)
    if request.param == "smb":
        samba: Smbd = request.getfixturevalue("samba")
        root = samba.share / "killed"
        root.mkdir()
        return Folder(root, root / ".filepipe-parts", samba.environment("killed"))
    s3: S3 = request.getfixturevalue("s3")
    return Objects(Bucket(s3), s3.settings())


def crowd(
    mortal: Mortal, turn: int, watcher: Watcher, size: int, dice: random.Random
) -> list[Client]:
    """Clients of every sort, with what may be seen of theirs."""
    bodies = {f"{turn}-{number}": body_of(size, 100 * turn + number) for number in range(3)}
    names = {name: name for name in bodies} | {f"{turn}-2": "same"}
    clients: list[Client] = []
    for name, body in bodies.items():
        watcher.allowed.setdefault(names[name], set()).add(sha(body))
        fields = {"checksum_sha256": sha(body), "overwrite": names[name] == "same"}
        made = mortal.api.begin(body, names[name], **fields)
        clients.append(Parts(made, names[name], dice))
    clients.append(Cancelling(mortal.api.begin(bodies[f"{turn}-0"], "never")))
    growing = Growing(mortal, f"/key-{turn}", bodies[f"{turn}-1"], dice)
    growing.allowed = watcher.allowed
    return [*clients, growing]


def wait(moment: str, clients: list[Client], dice: random.Random) -> None:
    """Until it is time to kill."""
    if moment == "at the end":
        ending = [client for client in clients if isinstance(client, Parts | Growing)]
        dice.choice(ending).ending.wait(30)
    time.sleep(dice.uniform(0.0, 0.2 if moment == "anywhen" else 0.03))


def test_killed_at_any_moment(target: Target, tmp_path: Path) -> None:
    """What was acknowledged is there at the next start, and goes on to its end."""
    dice = random.Random(SEED)
    mortal = Mortal(tmp_path, target)
    watcher = Watcher(target)
    watcher.start()
    told = Counter[str]()
    strays = 0
    try:
        for turn in range(ROUNDS):
            clients = crowd(mortal, turn, watcher, target.size, dice)
            for client in clients:
                client.start()
            wait(dice.choice(MOMENTS), clients, dice)
            mortal.kill()
            for client in clients:
                client.join(30)
                told.update(client.told())
            mortal.again()
            for client in clients:
                client.judge()
            strays += sum(isinstance(client, Growing) and client.stray for client in clients)
            nothing_left(target, mortal.api.daemon, strays)
        watcher.end()
    finally:
        mortal.kill()
    print(f"{ROUNDS} rounds, before the kill: {dict(told)}; files hashed: {watcher.hashed}")
    assert not watcher.wrong, "a part was published"
    assert watcher.hashed >= 4 * ROUNDS
    mortal.api.daemon.assert_clean_log()
