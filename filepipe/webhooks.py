"""Tells webhooks what became of uploads, at least once: events stay recorded until they are told.

Rule 1: an answer of 2xx is success; anything else, a redirect too, is tried again (`DELAYS`).
Rule 2: an event goes from the records after it was told, so a crash in between tells it twice.
Rule 3: nothing of the target is believed or repeated but its status; its body is not read.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Final

import aiohttp
import yarl

from filepipe.errors import FilepipeError
from filepipe.gate import Gate
from filepipe.logs import get_logger
from filepipe.protocols import webhook
from filepipe.protocols.forwarding import ForwardRules
from filepipe.records import outbox
from filepipe.records.database import Database
from filepipe.records.outbox import Event
from filepipe.service import Statistics

log = get_logger("filepipe.webhooks")

PATIENCE: Final = 10.0
"""Seconds that one attempt may take, from the question for the address to the status."""

AT_ONCE: Final = 8
"""Events that are told at the same time."""

LOOK: Final = 60.0
"""Seconds after which the clock is looked at anew: it may have been set."""


class Webhooks:
    """Posts what is due; `news` is set when an upload has ended."""

    def __init__(
        self,
        database: Database,
        rules: ForwardRules,
        secret: bytes,
        statistics: Statistics,
        news: asyncio.Event,
    ) -> None:
        self._database = database
        self._rules = rules
        self._secret = secret
        self._statistics = statistics
        self._news = news
        self._under_way = 0
        self._draining = False

    def busy(self) -> int:
        """How many posts a drain waits for."""
        return self._under_way

    def drain(self) -> None:
        """Begin no post any more; what is not told stays for the next start."""
        self._draining = True

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Post in the background; on leaving, what is under way is cut."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            self._news.clear()
            try:
                seconds = await self._round()
            except FilepipeError as error:
                log.warning("webhooks have to wait", reason=str(error))
                await asyncio.sleep(LOOK)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._news.wait()

    async def _round(self) -> float:
        """Post what is due; the seconds until there may be more."""
        if self._draining:
            return LOOK
        now = time.time()
        events = await self._database.run(lambda conn: outbox.due(conn, now, AT_ONCE))
        if not events:
            first = await self._database.run(outbox.next_due)
            return LOOK if first is None else min(max(first - now, 0.0), LOOK)
        ends = await asyncio.gather(*map(self._deliver, events), return_exceptions=True)
        for end in ends:
            if end is not None:
                raise end
        return 0.0

    async def _deliver(self, event: Event) -> None:
        self._under_way += 1
        try:
            trouble = await self._post(event)
            if trouble is None:
                self._statistics.webhooks["delivered"] += 1
                await self._database.run(lambda conn: outbox.remove(conn, event.id))
            else:
                await self._put_off(event, trouble)
        finally:
            self._under_way -= 1

    async def _put_off(self, event: Event, trouble: str) -> None:
        failed = event.attempts + 1
        seconds = webhook.delay(failed)
        facts = {"webhook": event.id, "upload": event.upload, "reason": trouble, "attempts": failed}
        if seconds is None:
            self._statistics.webhooks["given_up"] += 1
            log.warning("webhook given up", **facts)
            await self._database.run(lambda conn: outbox.remove(conn, event.id))
            return
        self._statistics.webhooks["failed"] += 1
        log.debug("webhook failed", seconds=round(seconds), **facts)
        until = time.time() + seconds
        await self._database.run(lambda conn: outbox.put_off(conn, event.id, until))

    async def _post(self, event: Event) -> str | None:
        """Tell an event once; None, or why it was not heard."""
        gate = Gate(self._rules)
        content = webhook.body(event)
        headers = webhook.headers(self._secret, event.id, int(time.time()), content)
        try:
            # encoded: what the text check has read is what is asked for
            target = yarl.URL(event.url, encoded=True)
            gate.host = target.raw_host or ""
            async with (
                gate.session(PATIENCE) as session,
                session.post(
                    target, data=content, headers=headers, allow_redirects=False
                ) as response,
            ):
                status = response.status
        except TimeoutError:
            return "the target stalled"
        except (aiohttp.ClientError, OSError, ValueError):
            return "the target is not allowed" if gate.shut else "the target cannot be reached"
        return None if 200 <= status < 300 else f"the target answered {status}"
