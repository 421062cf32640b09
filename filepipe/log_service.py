"""What logs need for as long as the daemon lives: recovery before it serves, and their chores."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from filepipe.channels.logs import Logs
from filepipe.errors import FilepipeError
from filepipe.journal.root import Root
from filepipe.logs import get_logger

log = get_logger("filepipe.log_service")

SWEEP = 1.0
"""Seconds between two looks for logs whose time to live is over."""


@contextlib.asynccontextmanager
async def open_logs(logs: Logs, folder: Path, root: Path | None = None) -> AsyncIterator[None]:
    """Recover the logs in `folder`; while inside, they are checked once and expire.

    With a `root` their bytes are there, and files that are there become logs. Raises `ConfigError`.
    """
    below = None if root is None else Root(root, folder.parent)
    for wrong in await logs.open(folder, root=below):
        log.error("a log is damaged", reason=wrong)
    for known in logs:
        if known.files.aside is not None:
            log.warning("a log was cut to its end", key=known.key, reason=known.files.aside)
    if below is not None:
        await _adopt(logs)
    chores = [asyncio.create_task(_verify(logs)), asyncio.create_task(_expire(logs))]
    try:
        yield
    finally:
        for chore in chores:
            chore.cancel()
        await asyncio.gather(*chores, return_exceptions=True)


async def _adopt(logs: Logs) -> None:
    count, others = await logs.adopt()
    if count:
        log.info("files that were there are logs now", count=count)
    if others:
        log.warning("some files are no logs", count=len(others), reason=others[0])


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
