"""Streams over raw requests: short words for what most tests do."""

from __future__ import annotations

import json
from typing import Any

from tests.scenarios.answers import Answer
from tests.scenarios.mount import Mount

TEXT = "Content-Type: text/plain"
JSON = "Content-Type: application/json"
CLOSED = "Stream-Closed: true"


def at(offset: int) -> str:
    """An offset as the wire has it."""
    return f"{offset:020d}"


def create(mount: Mount, path: str, body: bytes = b"", *headers: str) -> Answer:
    """PUT; text, unless the headers say otherwise."""
    return mount.give("PUT", path, body, *(headers or (TEXT,)))


def add(mount: Mount, path: str, body: bytes, *headers: str) -> Answer:
    """POST; text, unless a header says otherwise."""
    typed = any(header.startswith("Content-Type") for header in headers)
    return mount.give("POST", path, body, *headers, *(() if typed else (TEXT,)))


def get(mount: Mount, path: str, query: str = "offset=-1", *headers: str) -> Answer:
    """GET; chunked bodies are joined."""
    return mount.curl(f"{path}?{query}", *(f"-H{header}" for header in headers))


def producer(name: str, epoch: object, number: object) -> tuple[str, ...]:
    """The headers of an append that may come again."""
    return f"Producer-Id: {name}", f"Producer-Epoch: {epoch}", f"Producer-Seq: {number}"


def events(body: bytes) -> list[tuple[str, str]]:
    """Name and data of each event."""
    found = []
    for block in body.decode().split("\n\n"):
        lines = block.split("\n")
        if lines[0].startswith("event: "):
            data = [line[5:].removeprefix(" ") for line in lines[1:]]
            found.append((lines[0][7:], "\n".join(data)))
    return found


def control(data: str) -> dict[str, Any]:
    """What a control event says."""
    return json.loads(data)
