"""What only an engine that does not let go, or fails, can bring about."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from filepipe.channels.channel import Metadata
from filepipe.channels.offset_plan import Wish, new_record
from filepipe.errors import (
    Broken,
    Busy,
    DiskFull,
    Draining,
    FilepipeError,
    OverBudget,
    Stalled,
    StorageFailed,
)
from filepipe.records.uploads import Upload
from filepipe.web.routes.tus import FRONT, Tus

ID = "0" * 32
WISH = Wish("api", FRONT, None, None, True, 10, Metadata(), {}, "local")


class Stubborn:
    """An engine that has one upload, of which it can tell nothing."""

    def __init__(self, error: FilepipeError) -> None:
        self._error = error

    async def find(self, upload_id: str) -> Upload:
        """The upload."""
        return new_record(upload_id, WISH, "handle", 60.0)

    async def settle(self, upload_id: str) -> Upload:
        """It does not."""
        raise self._error


async def ask(error: FilepipeError) -> web.Response:
    """The answer to a HEAD."""
    context: Any = SimpleNamespace(offsets=Stubborn(error), rules=SimpleNamespace(public_url=None))
    access: Any = SimpleNamespace(api_key=b"key")
    headers = {"Tus-Resumable": "1.0.0", "X-API-Key": "key"}
    request = make_mocked_request("HEAD", f"/files/{ID}", headers)
    answer = await Tus(context, access, None).serve(request, ID, "")
    assert isinstance(answer, web.Response)
    return answer


@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [
        (Busy("somebody else is at it"), 423, "1"),
        (Stalled("silent"), 503, None),
        (Draining("going down"), 503, "5"),
        (Broken("another request goes on"), 502, None),
        (OverBudget("too many", "uploads"), 507, "5"),
        (DiskFull("no room"), 507, "5"),
        (StorageFailed("the storage failed"), 500, None),
    ],
)
async def test_a_failure_is_told_so_that_clients_try_again(
    error: FilepipeError, status: int, retry: str | None
) -> None:
    """They do after 423 and 5xx, and after no other 4xx but 409."""
    answer = await ask(error)
    assert answer.status == status
    assert answer.headers.get("Retry-After") == retry
    assert answer.headers["Tus-Resumable"] == "1.0.0"
    assert "Upload-Offset" not in answer.headers
    assert isinstance(answer.body, bytes)
    assert json.loads(answer.body) == {"error": str(error), "status": status, "code": error.code}
