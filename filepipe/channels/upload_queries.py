"""What is known of uploads, asked of the records."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from filepipe.channels import upload_steps as steps
from filepipe.channels.upload_plan import UploadRules
from filepipe.records import uploads as records
from filepipe.records.database import Database
from filepipe.records.uploads import Part, Upload

T = TypeVar("T")


class UploadQueries:
    """The records of uploads."""

    def __init__(self, database: Database, rules: UploadRules) -> None:
        self.database = database
        self._rules = rules

    async def find(self, upload_id: str) -> Upload:
        """The record. Raises `NotFound`."""
        return await self._run(lambda conn: steps.found(conn, upload_id))

    async def parts(self, upload_id: str) -> list[Part]:
        """The parts that are here, in order."""
        return await self._run(lambda conn: records.parts(conn, upload_id))

    async def stored_parts(self, upload_id: str) -> int:
        """How many that are."""
        return await self._run(lambda conn: records.stored_parts(conn, upload_id))

    async def listing(self, principal: str, limit: int, before: str | None) -> list[Upload]:
        """A page of the uploads, the newest first; of those after the upload `before`."""
        return await self._run(lambda conn: records.listing(conn, principal, limit, before))

    async def touch(self, upload_id: str) -> Upload:
        """Let the upload live on from now."""
        now, expires = time.time(), self._expiry()
        await self._run(lambda conn: records.touch(conn, upload_id, now, expires))
        return await self.find(upload_id)

    def _expiry(self) -> float:
        return time.time() + self._rules.ttl

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self.database.run(work)

    async def _free(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self.database.free(work)
