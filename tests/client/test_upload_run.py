"""Files in parts: what arrives, what is asked again, and what a later run does not send twice."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from filepipe.client import Client, ClientError, Interrupted, Refused, SourceChanged, uploads
from filepipe.client import part_meter as meters
from filepipe.client.upload_run import MOST_DAMAGED
from tests.client.fake_parts import CHUNK, FakeParts

BODY = bytes(range(256)) * 20
"""Six parts, the last one short."""


class Heard:
    """Keeps what an upload reports."""

    def __init__(self, on_advance: Callable[[], None] = lambda: None) -> None:
        self.total: int | None = None
        self.there = 0
        self.notes: list[str] = []
        self._on_advance = on_advance

    def begin(self, total: int | None, done: int) -> None:
        self.total, self.there = total, done

    def advance(self, count: int) -> None:
        self.there += count
        self._on_advance()

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of some parts."""
    made = tmp_path / "film.mov"
    made.write_bytes(BODY)
    return made


def _notes(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "state").rglob("*.*"))


async def test_a_whole_file(uploader: Client, parts: FakeParts, path: Path, tmp_path: Path) -> None:
    """It arrives, is complete, and leaves no note; the key is shown where it is needed only."""
    heard = Heard()
    result = await uploader.uploads.upload(path, to="films/big.mov", progress=heard)
    assert parts.content() == BODY
    assert (result.id, result.path, result.size) == ("id-0", "films/big.mov", len(BODY))
    assert result.sent == len(BODY)
    assert parts.uploads["id-0"].wanted == {"filename": "films/big.mov", "total_size": len(BODY)}
    assert (heard.total, heard.there, heard.notes) == (len(BODY), len(BODY), [])
    assert _notes(tmp_path) == []
    for (method, _), headers in zip(parts.seen, parts.headers, strict=True):
        assert ("X-API-Key" in headers) is (method != "PUT")


async def test_no_bytes(uploader: Client, parts: FakeParts, path: Path) -> None:
    """An empty file has no parts and is a file all the same."""
    path.write_bytes(b"")
    result = await uploader.uploads.upload(path)
    assert (result.path, result.size, parts.sent()) == ("film.mov", 0, [])


@pytest.mark.parametrize("number", [1, 3])
async def test_side_by_side(uploader: Client, parts: FakeParts, path: Path, number: int) -> None:
    """As many parts at a time as are asked for."""
    parts.together = asyncio.Barrier(number)
    async with asyncio.timeout(20):
        await uploader.uploads.upload(path, parts=number)
    assert parts.content() == BODY


@pytest.mark.parametrize("fault", [503, 429, 500, "cut", "damage", "lose"])
async def test_again(uploader: Client, parts: FakeParts, path: Path, fault: object) -> None:
    """What may be better next time is asked again, after the other parts."""
    parts.faults.extend([fault, fault])
    heard = Heard()
    await uploader.uploads.upload(path, parts=1, progress=heard)
    assert parts.content() == BODY
    assert parts.sent() == [0, 1, 2, 3, 4, 5, 0, 1]
    assert heard.there == len(BODY)
    assert len(heard.notes) == 1


@pytest.mark.parametrize("fault", [400, 404, 410, 413, 507])
async def test_not_again(uploader: Client, parts: FakeParts, path: Path, fault: int) -> None:
    """What will not be better is told at once, in the server's words."""
    parts.faults.append(fault)
    with pytest.raises(Refused, match=f"as the test wishes \\({fault}\\)"):
        await uploader.uploads.upload(path, parts=1)
    assert parts.sent() == [0]


async def test_it_gives_up(
    uploader: Client, parts: FakeParts, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When nothing was stored for the window; a later run goes on."""
    parts.faults.extend([None, *[503] * 1000])
    monkeypatch.setattr(uploads, "RETRY_WINDOW", 0.1)
    with pytest.raises(Interrupted, match="gave up: as the test wishes") as caught:
        await uploader.uploads.upload(path, parts=1)
    assert caught.value.received == CHUNK
    parts.faults.clear()
    result = await uploader.uploads.upload(path)
    assert (result.sent, parts.content()) == (len(BODY) - CHUNK, BODY)


async def test_a_line_that_damages_everything(
    uploader: Client, parts: FakeParts, path: Path
) -> None:
    """Is not tried for ever."""
    parts.faults.extend(["damage"] * 100)
    with pytest.raises(ClientError, match="arrived damaged, as others did"):
        await uploader.uploads.upload(path, parts=1)
    assert len(parts.sent()) == MOST_DAMAGED + 1


async def test_a_silent_line(
    uploader: Client, parts: FakeParts, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part whose answer does not come is sent again."""
    monkeypatch.setattr(meters, "ANSWER_SECONDS", 0.2)
    parts.faults.append("hang")
    heard = Heard()
    await uploader.uploads.upload(path, progress=heard)
    assert parts.content() == BODY
    assert heard.notes == ["the server was silent for too long: trying again"]


async def test_tokens_that_expire(uploader: Client, parts: FakeParts, path: Path) -> None:
    """New ones are asked for, once for all parts."""
    parts.stale = True
    await uploader.uploads.upload(path)
    assert parts.content() == BODY
    assert parts.seen.count(("POST", "/upload/id-0/tokens")) == 1


async def test_a_token_that_never_holds(uploader: Client, parts: FakeParts, path: Path) -> None:
    """A new token that is refused too is the end."""
    parts.faults.extend([401, 401])
    with pytest.raises(Refused, match="401"):
        await uploader.uploads.upload(path, parts=1)


async def test_an_end_that_takes_its_time(uploader: Client, parts: FakeParts, path: Path) -> None:
    """202 is not the end: the status is asked for until it is."""
    parts.endings.extend([503, 202])
    result = await uploader.uploads.upload(path)
    assert result.info.status == "complete"
    assert parts.seen[-1] == ("GET", "/upload/id-0/status")


async def test_an_end_that_fails(uploader: Client, parts: FakeParts, path: Path) -> None:
    """What the server says of it is what is raised."""
    parts.endings.append(422)
    with pytest.raises(Refused, match="as the test wishes"):
        await uploader.uploads.upload(path)
    parts.endings.append(202)
    parts.uploads["id-0"].error = "the disk broke"
    with pytest.raises(ClientError, match="could not finish it: the disk broke"):
        await uploader.uploads.upload(path)
    assert len(parts.sent()) == 6


async def test_a_server_that_lost_a_part(uploader: Client, parts: FakeParts, path: Path) -> None:
    """Completing tells, and the part is sent again."""
    parts.endings.append(400)
    heard = Heard()
    await uploader.uploads.upload(path, parts=1, progress=heard)
    assert (parts.content(), heard.there) == (BODY, len(BODY))
    assert parts.sent() == [0, 1, 2, 3, 4, 5, 2]


async def test_stopped_and_gone_on_with(uploader: Client, parts: FakeParts, path: Path) -> None:
    """A run that was cancelled notes what it sent; the next one sends the rest only."""
    parts.faults.extend([None, None, "hang"])
    running = asyncio.create_task(uploader.uploads.upload(path, parts=1))
    while len(parts.sent()) < 3:
        await asyncio.sleep(0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    heard = Heard()
    result = await uploader.uploads.upload(path, progress=heard)
    assert parts.content() == BODY
    assert result.sent == len(BODY) - 2 * CHUNK
    assert sorted(parts.sent()[3:]) == [2, 3, 4, 5]
    assert heard.there == len(BODY)


async def test_a_part_that_was_not_noted(
    uploader: Client, parts: FakeParts, path: Path, tmp_path: Path
) -> None:
    """What the server has and the note lacks is read and compared, not sent."""
    await _broken_run(uploader, parts, path)
    (note,) = _notes(tmp_path)
    note.write_text(note.read_text().partition('"parts"')[0] + '"parts": {}}')
    result = await uploader.uploads.upload(path)
    assert (parts.content(), result.sent) == (BODY, len(BODY) - 2 * CHUNK)


async def _broken_run(uploader: Client, parts: FakeParts, path: Path) -> None:
    parts.faults.extend([None, None, 400])
    with pytest.raises(Refused):
        await uploader.uploads.upload(path, parts=1)


async def test_another_content_on_the_server(
    uploader: Client, parts: FakeParts, path: Path
) -> None:
    """Then all of it is sent anew, to a new upload; the old one is dropped."""
    await _broken_run(uploader, parts, path)
    parts.uploads["id-0"].parts[1] = b"x" * CHUNK
    result = await uploader.uploads.upload(path)
    assert (parts.content(), result.sent) == (BODY, len(BODY))
    assert ("DELETE", "/upload/id-0") in parts.seen


async def test_another_file_of_that_name(uploader: Client, parts: FakeParts, path: Path) -> None:
    """A file that changed between two runs is another one; what there was is dropped."""
    await _broken_run(uploader, parts, path)
    path.write_bytes(BODY[::-1])
    os.utime(path, ns=(1, 1))
    result = await uploader.uploads.upload(path)
    assert (parts.content(), result.sent) == (BODY[::-1], len(BODY))
    assert ("DELETE", "/upload/id-0") in parts.seen


@pytest.mark.parametrize("gone", [True, False])
async def test_what_is_gone_is_begun_anew(
    uploader: Client, parts: FakeParts, path: Path, gone: bool
) -> None:
    """Also what is there and has another size."""
    await _broken_run(uploader, parts, path)
    if gone:
        parts.uploads.clear()
    else:
        parts.uploads["id-0"].wanted["total_size"] = 7
    result = await uploader.uploads.upload(path)
    assert result.sent == len(BODY)


async def test_what_is_complete_is_not_sent(
    uploader: Client, parts: FakeParts, path: Path, tmp_path: Path
) -> None:
    """A run that was killed before it heard of the end."""
    await _broken_run(uploader, parts, path)
    held = parts.uploads["id-0"]
    held.status = "complete"
    result = await uploader.uploads.upload(path)
    assert (result.id, result.path, result.sent) == ("id-0", "film.mov", 0)
    assert _notes(tmp_path) == []


async def test_two_runs_of_one_file(uploader: Client, parts: FakeParts, path: Path) -> None:
    """The second one is refused; to another place it is another upload."""
    parts.faults.append("hang")
    running = asyncio.create_task(uploader.uploads.upload(path, parts=1))
    while not parts.sent():
        await asyncio.sleep(0.001)
    with pytest.raises(OSError, match="another upload of this file is running"):
        await uploader.uploads.upload(path)
    await uploader.uploads.upload(path, to="elsewhere")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize("change", ["longer", "shorter", "touched"])
async def test_a_file_that_changes_meanwhile(
    uploader: Client, parts: FakeParts, path: Path, tmp_path: Path, change: str
) -> None:
    """Nothing is completed, and the server drops what it has."""

    def write() -> None:
        if change == "longer":
            path.write_bytes(BODY + b"x")
        elif change == "shorter":
            path.write_bytes(BODY[:2500])
        else:
            os.utime(path, ns=(1, 1))

    with pytest.raises(SourceChanged, match="while it was sent"):
        await uploader.uploads.upload(path, parts=1, progress=Heard(write))
    assert parts.uploads == {}
    assert _notes(tmp_path) == []
