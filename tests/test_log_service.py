"""Logs are recovered before anybody is served, checked soon after, and expire."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
import structlog

from filepipe import log_service
from filepipe.accountant import Accountant
from filepipe.channels.directory import Directory
from filepipe.channels.logs import Logs
from filepipe.errors import ConfigError
from filepipe.journal.files import name_of
from filepipe.keys import Key
from filepipe.log_service import open_logs

KEY = Key("key")


def new() -> Logs:
    """The logs of one life of the daemon."""
    return Logs(Directory(5), Accountant.of(None, None), 5)


async def keep(folder: Path, data: bytes, ttl: float | None = None) -> None:
    """One life, in which a log is made."""
    logs = new()
    async with open_logs(logs, folder):
        log = await logs.enter(KEY, None, ttl)
        await log.submit(data)
    await logs.aclose()


async def test_what_was_kept_is_there(tmp_path: Path) -> None:
    """Before anybody is served."""
    await keep(tmp_path / "logs", b"data")
    logs = new()
    async with open_logs(logs, tmp_path / "logs"):
        assert [(log.key, log.size) for log in logs] == [(KEY, 4)]
    await logs.aclose()
    assert (tmp_path / "logs").stat().st_mode & 0o777 == 0o700


async def test_what_is_over_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself."""
    monkeypatch.setattr(log_service, "SWEEP", 0.01)
    await keep(tmp_path, b"data", ttl=50.0)
    os.utime(tmp_path / f"{name_of(KEY)}.data", (0, 0))
    logs = new()
    async with open_logs(logs, tmp_path):
        while list(logs):
            await asyncio.sleep(0.01)
    await logs.aclose()
    assert os.listdir(tmp_path) == []


async def test_damage_is_said(tmp_path: Path) -> None:
    """Of the index at once, of the bytes as soon as they were looked at."""
    await keep(tmp_path, b"data")
    (tmp_path / f"{name_of(KEY)}.data").write_bytes(b"dAta")
    (tmp_path / "unknown.index").write_bytes(b"what")
    (tmp_path / "unknown.data").write_bytes(b"what")
    logs = new()
    with structlog.testing.capture_logs() as lines:
        async with open_logs(logs, tmp_path):
            while not logs.damaged:
                await asyncio.sleep(0.01)
    await logs.aclose()
    said = [line["reason"] for line in lines if line["log_level"] == "error"]
    assert said == [
        "unknown: its index is damaged at byte 0",
        f"{KEY}: its bytes from 0 on are damaged",
    ]


async def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    """The daemon does not start without its logs."""
    (tmp_path / "logs").write_text("a file")
    logs = new()
    with pytest.raises(ConfigError, match="data_dir"):
        async with open_logs(logs, tmp_path / "logs"):
            pass
    await logs.aclose()
