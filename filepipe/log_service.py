"""What logs need for as long as the daemon lives: recovery before it serves, and their chores."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from filepipe.channels.logs import Logs
from filepipe.errors import FilepipeError
from filepipe.logs import get_logger

log = get_logger("filepipe.log_service")

SWEEP = 1.0
"""Seconds between two looks for logs whose time to live is over."""


@contextlib.asynccontextmanager
async def open_logs(logs: Logs, folder: Path) -> AsyncIterator[None]:
    """Recover the logs in `folder`; while inside, they are checked once and expire.

    Raises `ConfigError`.
    """
    for wrong in await logs.open(folder):
        log.error("a log is damaged", reason=wrong)
    chores = [asyncio.create_task(_verify(logs)), asyncio.create_task(_expire(logs))]
    try:
        yield
    finally:
        for chore in chores:
            chore.cancel()
        await asyncio.gather(*chores, return_exceptions=True)


async def _verify(logs: Logs) -> None:
    async for wrong in logs.verify():
        log.error("a log is damaged", reason=wrong)


async def _expire(logs: Logs) -> None:
    """Remove logs whose time is over until cancelled."""
    while True:
        await asyncio.sleep(SWEEP)
        try:
            if count := await logs.expire():
                log.info("expired logs removed", count=count)
        except FilepipeError as error:
            log.warning("an expired log stays", reason=str(error))
