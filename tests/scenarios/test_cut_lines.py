"""`filepipe put` and `get`, each behind a line that is cut: nothing changes but the time."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.cut_proxy import CutProxy, How
from tests.conftest import Daemon
from tests.scenarios.peers import MIB, body_of, readers, sha, stored

BODY = body_of(12 * MIB)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for all of them."""
    made = Daemon(["--wait", "30"], tmp_path_factory.mktemp("daemon"))
    yield made
    made.kill()
    made.assert_clean_log()


async def _start(*arguments: str, url: str, into: int = PIPE) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "filepipe", *arguments, "--url", url),
        stdin=PIPE if "-" in arguments else DEVNULL,
        stdout=into,
        stderr=PIPE,
        env={**os.environ, "NO_PROXY": "*"},
    )


@pytest.mark.parametrize(
    ("how", "piped"), [("fin", False), ("rst", True)], ids=["file-fin", "stdin-rst"]
)
async def test_both_ends_are_cut(daemon: Daemon, tmp_path: Path, how: How, piped: bool) -> None:
    """At different moments; the receiver writes to stdout, where nothing can be taken back."""
    (tmp_path / "f").write_bytes(BODY)
    key = f"{how}-{piped}"
    async with CutProxy(daemon.url()) as near, CutProxy(daemon.url()) as far:
        near.plan("up", 3 * MIB, how, 0.5)
        far.plan("down", 6 * MIB, how, 0.5)
        near.plan("up", 9 * MIB, how, 0.5)
        with (tmp_path / "got").open("wb") as got:
            receiver = await _start("get", key, url=far.url, into=got.fileno())
            source = "-" if piped else str(tmp_path / "f")
            sender = await _start("put", source, key, url=near.url)
            said = await sender.communicate(BODY if piped else None)
            told = await receiver.communicate()
        assert (near.cuts, far.cuts) == (2, 1)
        assert (sender.returncode, *said) == (0, f"{near.url}/{key}\n".encode(), b"")
        assert (receiver.returncode, told[1]) == (0, b"")
    assert sha((tmp_path / "got").read_bytes()) == sha(BODY)


async def test_ctrl_c_ends_the_readers(daemon: Daemon, tmp_path: Path) -> None:
    """Nobody waits for a sender who will not come back; the key is free at once."""
    receiver = await _start("get", "stopped", "-o", str(tmp_path / "got"), url=daemon.url())
    sender = await _start("put", "-", "stopped", url=daemon.url())
    assert sender.stdin is not None
    sender.stdin.write(BODY)
    await sender.stdin.drain()
    while stored(daemon, "stopped") < len(BODY) or not readers(daemon, "stopped"):
        await asyncio.sleep(0.02)
    sender.send_signal(signal.SIGINT)
    assert (await sender.wait(), await receiver.wait()) == (130, 4)
    again = await _start("put", "-", "stopped", url=daemon.url())
    assert (await again.communicate(b"x"), again.returncode)[1] == 0
