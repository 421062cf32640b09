"""The habits of three generations of a client, as far as a server meets them on the wire.

Their formulas, retries and ways to resume; where they are wrong they are wrong here too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.scenarios.uploads.api import KEY, Api, Reply

PAUSE = 0.02
"""Seconds, where the client would wait for one."""


class Failed(Exception):
    """What the client tells whoever uses it."""


class First:
    """1.0.2: retries every part, whatever the answer; takes any 2xx of complete for the end."""

    tries = 3
    init_tries = 1
    statuses_query = ""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.lose: Callable[[int], bool] = lambda number: False
        """Whether the answer to a part gets lost on its way."""

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        """One management call."""
        return self.api.call(method, path, body, {"X-API-Key": KEY, **headers})

    def init(self, filename: str, size: int) -> dict[str, Any]:
        """Begin."""
        body = json.dumps({"filename": filename, "total_size": size}).encode()
        reply = self.call("POST", "/upload/init", body, **{"Content-Type": "application/json"})
        assert reply.status == 200, reply
        return dict(reply.json)

    def put(self, upload_id: str, number: int, token: str, data: bytes) -> Reply:
        """Send a part, once; it counts on JSON."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/octet-stream"}
        reply = self.api.call("PUT", f"/upload/{upload_id}/part/{number}", data, headers)
        assert isinstance(reply.json, dict)
        if self.lose(number):
            raise ConnectionResetError
        return reply

    def stored(self, reply: Reply) -> bool:
        """Whether an answer says that the part is there."""
        return 200 <= reply.status < 300

    def hopeless(self, reply: Reply) -> bool:
        """Whether trying again is of no use."""
        return False

    def send(self, upload_id: str, number: int, token: str, data: bytes) -> None:
        """Send a part until it is there, or the tries are over."""
        for attempt in range(self.tries):
            time.sleep(PAUSE * attempt)
            try:
                reply = self.put(upload_id, number, token, data)
            except ConnectionResetError:
                continue
            if self.stored(reply):
                return
            if self.hopeless(reply):
                break
        raise Failed(f"part {number}")

    def send_all(self, upload_id: str, pieces: Mapping[int, tuple[str, bytes]]) -> None:
        """Three workers."""
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda n: self.send(upload_id, n, *pieces[n]), pieces))

    def upload(self, filename: str, data: bytes) -> dict[str, Any]:
        """Everything."""
        made = self.init(filename, len(data))
        size = made["chunk_size"]
        tokens = {part["part"]: part["token"] for part in made["parts"]}
        pieces = {
            number: (tokens[number], data[number * size : (number + 1) * size])
            for number in range(-(-len(data) // size))
        }
        self.send_all(made["file_id"], pieces)
        return self.complete(made["file_id"])

    def complete(self, upload_id: str) -> dict[str, Any]:
        """The end, as it understands it."""
        reply = self.call("POST", f"/upload/{upload_id}/complete")
        if not 200 <= reply.status < 300:
            raise Failed(reply.json["error"])
        return dict(reply.json)

    def size_of(self, status: Mapping[str, Any]) -> int:
        """The size of a part, worked out anew."""
        return -(-int(status["total_size"]) // int(status["total_parts"]))

    def resume(self, upload_id: str, data: bytes, tokens: Mapping[int, str]) -> dict[str, Any]:
        """Go on."""
        status = self.call("GET", f"/upload/{upload_id}/status{self.statuses_query}").json
        if status["status"] == "complete":
            return dict(status)
        assert status["total_size"] == len(data)
        pending = [part["part"] for part in status["parts"] if part["status"] == "pending"]
        if pending:
            size = self.size_of(status)
            pieces = {n: (tokens[n], data[n * size : (n + 1) * size]) for n in pending}
            self.send_all(upload_id, pieces)
        return self.complete(upload_id)

    def cancel(self, upload_id: str) -> dict[str, Any]:
        """Remove."""
        reply = self.call("DELETE", f"/upload/{upload_id}")
        if not 200 <= reply.status < 300:
            raise Failed(reply.json["error"])
        return dict(reply.json)

    def healthy(self) -> bool:
        """As it asks."""
        return bool(self.api.call("GET", "/health").json["status"] == "OK")


class Second(First):
    """2.0.1: asks for parts by query, takes chunk_size from the status, polls after complete."""

    statuses_query = "?include_parts=true"

    def size_of(self, status: Mapping[str, Any]) -> int:
        """As the server says."""
        return int(status["chunk_size"])

    def complete(self, upload_id: str) -> dict[str, Any]:
        """Until the status says so; without a path it is an error."""
        answer = super().complete(upload_id)
        deadline = time.monotonic() + 20
        while answer["status"] != "complete":
            assert answer["status"] in ("finalizing", "failed"), "it would poll for hours"
            if answer["status"] == "failed":
                raise Failed(answer["finalization_error"])
            assert time.monotonic() < deadline
            time.sleep(PAUSE)
            answer = self.call("GET", f"/upload/{upload_id}/status").json
        if not answer["final_path"]:
            raise Failed("no path")
        return dict(answer)


class Third(Second):
    """2.1.0: five tries, only where there is hope; 409 means stored; 404 of a removal is fine."""

    tries = 5
    hope = (408, 425, 429, *range(500, 600))

    def stored(self, reply: Reply) -> bool:
        """409 too."""
        return super().stored(reply) or reply.status == 409

    def hopeless(self, reply: Reply) -> bool:
        """All other refusals."""
        return reply.status not in self.hope

    def cancel(self, upload_id: str) -> dict[str, Any]:
        """Gone is gone."""
        reply = self.call("DELETE", f"/upload/{upload_id}")
        if reply.status == 404:
            return {}
        assert reply.status == 200
        return dict(reply.json)


GENERATIONS = {"1.0.2": First, "2.0.1": Second, "2.1.0": Third}
