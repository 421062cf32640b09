"""Interim answers: who gets them, and how often."""

from __future__ import annotations

import asyncio
from unittest import mock

import pytest
from aiohttp import web
from aiohttp.http import HttpVersion, HttpVersion10, HttpVersion11
from aiohttp.test_utils import make_mocked_request

from filepipe.protocols.resumable import INTEROPS, Limits
from filepipe.web import interim
from filepipe.web.interim import STEP, Interim, Wanted


class Sink:
    """The way to a client: what is written, until it has left."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.output_size = 0
        self.gone = False

    async def write(self, data: bytes) -> None:
        """Keep it."""
        if self.gone:
            raise ConnectionResetError
        self.output_size += len(data)
        self.written.append(data)


def ask(sink: Sink, version: HttpVersion = HttpVersion11, **headers: str) -> web.BaseRequest:
    """A request whose client is at the end of the sink."""
    transport = mock.Mock(is_closing=mock.Mock(return_value=False))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return make_mocked_request(
        "PUT",
        "/key",
        named,
        version=version,
        writer=sink,
        transport=transport,  # type: ignore[arg-type]
    )


@pytest.fixture
def sink() -> Sink:
    """Of one request."""
    return Sink()


@pytest.mark.parametrize(
    ("wanted", "interop", "version", "headers", "sent"),
    [
        ("auto", 9, HttpVersion11, {}, True),
        ("auto", 3, HttpVersion11, {}, True),
        ("auto", None, HttpVersion11, {}, False),
        ("auto", 9, HttpVersion10, {}, False),
        ("auto", 9, HttpVersion11, {"Via": "1.1 a"}, False),
        ("auto", 9, HttpVersion11, {"X_Forwarded_For": "a"}, False),
        ("always", 9, HttpVersion11, {"Via": "1.1 a"}, True),
        ("always", None, HttpVersion11, {}, False),
        ("always", 9, HttpVersion10, {}, False),
        ("never", 9, HttpVersion11, {}, False),
    ],
)
async def test_who_is_told_where_to_go_on(
    sink: Sink,
    wanted: Wanted,
    interop: int | None,
    version: HttpVersion,
    headers: dict[str, str],
    sent: bool,
) -> None:
    """Nobody who did not ask for it, and nobody behind a proxy."""
    request = ask(sink, version, **headers)
    answers = Interim(request, INTEROPS[interop], wanted)
    await answers.announce("/files/x", Limits())
    assert answers.announced is sent
    assert len(sink.written) == sent
    assert sink.output_size == 0


async def test_nobody_is_told_who_has_left(sink: Sink) -> None:
    """Neither when that is known, nor when the writing shows it."""
    request = ask(sink)
    answers = Interim(request, INTEROPS[9], "auto")
    sink.gone = True
    await answers.announce("/files/x", Limits())
    sink.gone = False
    assert request.transport is not None
    request.transport.is_closing.return_value = True  # type: ignore[attr-defined]
    await answers.announce("/files/x", Limits())
    assert sink.written == []


async def reports(sink: Sink, interop: int | None, offsets: list[int]) -> list[int]:
    """The offsets that are reported while the upload is at these, one after another."""
    done = asyncio.Event()
    coming = iter(offsets)

    def offset() -> int:
        found = next(coming, None)
        if found is None:
            done.set()
        return offsets[-1] if found is None else found

    async with Interim(ask(sink), INTEROPS[interop], "auto").reporting(offset):
        if interop in (6, 9):
            await done.wait()
    return [int(answer.split(b"Upload-Offset: ")[1].split(b"\r")[0]) for answer in sink.written]


@pytest.mark.parametrize("interop", [6, 9])
async def test_reports(sink: Sink, interop: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only of what is worth it."""
    monkeypatch.setattr(interim, "PACE", 0.001)
    offsets = [5, 6, STEP + 4, STEP + 5, STEP + 6, 2 * STEP, 3 * STEP]
    assert await reports(sink, interop, offsets) == [STEP + 5, 3 * STEP]


@pytest.mark.parametrize("interop", [None, 3, 4])
async def test_versions_without_reports(sink: Sink, interop: int | None) -> None:
    """They know no such thing."""
    assert await reports(sink, interop, [0, STEP, 2 * STEP]) == []


async def test_a_report_to_who_has_left_ends_nothing(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The body's end shows it."""
    monkeypatch.setattr(interim, "PACE", 0.001)
    sink.gone = True
    assert await reports(sink, 9, [0, STEP, 2 * STEP]) == []
