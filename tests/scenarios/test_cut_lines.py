"""`Client.put` and `download` through a line that is cut: nothing changes but the time."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from filepipe.client import Client
from filepipe.client import watch
from tests.client.cut_proxy import CutProxy, How
from tests.conftest import Daemon
from tests.scenarios.peers import MIB, body_of, sha

BODY = body_of(24 * MIB)
FOR_A_WHILE = 0.7


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for all of them."""
    made = Daemon(["--wait", "30"], tmp_path_factory.mktemp("daemon"))
    yield made
    made.kill()
    made.assert_clean_log()


@pytest.fixture
async def line(daemon: Daemon) -> AsyncIterator[CutProxy]:
    """The line that is cut."""
    async with CutProxy(daemon.url()) as made:
        yield made


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notice in a second what takes some in earnest."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(watch, "BETWEEN", 0.3)
    monkeypatch.setattr("filepipe.client.watch.LOOK", 0.5)
    monkeypatch.setattr("filepipe.client.sending.LOOK", 0.5)


async def _piped() -> AsyncIterator[bytes]:
    for start in range(0, len(BODY), 50_000):
        yield BODY[start : start + 50_000]
        await asyncio.sleep(0)


@pytest.mark.parametrize("how", ["fin", "rst", "silent"])
@pytest.mark.parametrize("source", ["file", "pipe"])
async def test_a_sender_who_is_cut(
    daemon: Daemon, line: CutProxy, tmp_path: Path, how: How, source: str
) -> None:
    """Twice, and the reader, who has another line, gets every byte once and notices nothing."""
    line.plan("up", 5 * MIB, how, FOR_A_WHILE)
    line.plan("up", 15 * MIB, how, FOR_A_WHILE)
    (tmp_path / "f").write_bytes(BODY)
    into = io.BytesIO()
    async with Client(line.url) as sender, Client(daemon.url()) as receiver:
        reading = asyncio.create_task(receiver.download(f"{how}-{source}", into))
        what = tmp_path / "f" if source == "file" else _piped()
        sent = await sender.put(f"{how}-{source}", what)
        got = await reading
    assert line.cuts == 2
    assert (sent.size, got.size, got.resumed) == (len(BODY), len(BODY), 0)
    assert sha(into.getvalue()) == sha(BODY)
