"""Downloads that break: when they go on, when they end, and that nothing is ever mixed."""

import asyncio
import io
import json
import sys
from pathlib import Path

import pytest

from filepipe.client import Changed, Client, Interrupted, NotThere, Refused, Unreachable
from tests.client.fake_origin import FakeOrigin, Fault, Object

BODY = bytes(range(256)) * 40


class Heard:
    """Keeps what a download reports."""

    def __init__(self) -> None:
        self.begun: list[tuple[int | None, int]] = []
        self.moved = 0
        self.notes: list[str] = []

    def begin(self, total: int | None, done: int) -> None:
        self.begun.append((total, done))

    def advance(self, count: int) -> None:
        self.moved += count

    def note(self, text: str) -> None:
        self.notes.append(text)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_whole_at_once(client: Client, origin: FakeOrigin, tmp_path: Path) -> None:
    """A download that does not break leaves its file and nothing beside it."""
    origin.objects["a"] = Object(BODY, headers={"Content-Type": "text/x"})
    result = await client.download("a", tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY
    assert _names(tmp_path) == ["f"]
    assert (result.size, result.path, result.resumed) == (len(BODY), tmp_path / "f", 0)
    assert (result.etag, result.content_type) == ('"one"', "text/x")


@pytest.mark.parametrize("sized", [True, False])
async def test_goes_on_after_each_break(
    client: Client, origin: FakeOrigin, tmp_path: Path, sized: bool
) -> None:
    """Each break is followed by a request for the rest of the same object."""
    origin.objects["a"] = Object(BODY, sized=sized)
    origin.faults.extend([Fault(cut=1000), Fault(cut=0), Fault(cut=3000)])
    heard = Heard()
    result = await client.download("a", tmp_path / "f", wait=7, progress=heard)
    assert (tmp_path / "f").read_bytes() == BODY
    assert result.resumed == 3
    first, *later = origin.requests("GET")
    assert first.path == "/a?wait=7"
    assert "Range" not in first.headers
    assert [seen.headers["Range"] for seen in later] == ["bytes=1000-"] * 2 + ["bytes=4000-"]
    assert {seen.headers["If-Range"] for seen in later} == {'"one"'}
    assert {seen.path for seen in later} == {"/a?wait=0"}
    assert heard.moved == len(BODY)
    assert [done for _, done in heard.begun] == [0, 1000, 1000, 4000]
    assert len(heard.notes) == 3


async def test_goes_on_in_a_stream(client: Client, origin: FakeOrigin) -> None:
    """What went out through a stream is not sent twice."""
    origin.objects["a"] = Object(BODY)
    origin.faults.extend([Fault(cut=1), Fault(cut=5000)])
    stream = io.BytesIO()
    result = await client.download("a", stream)
    assert stream.getvalue() == BODY
    assert (result.size, result.path) == (len(BODY), None)


async def test_goes_on_through_a_restart(client: Client, origin: FakeOrigin) -> None:
    """A server that is not ready yet is asked again."""
    origin.objects["a"] = Object(BODY)
    origin.faults.extend([Fault(cut=100), Fault(status=503), Fault(status=502)])
    stream = io.BytesIO()
    await client.download("a", stream)
    assert stream.getvalue() == BODY


async def test_break_at_the_very_end(client: Client, origin: FakeOrigin) -> None:
    """All bytes without the last chunk: the server confirms that nothing is missing."""
    origin.objects["a"] = Object(BODY, sized=False)
    origin.faults.append(Fault(cut=len(BODY)))
    stream = io.BytesIO()

    class Ends(Heard):
        def note(self, text: str) -> None:
            origin.objects["a"].sized = True

    await client.download("a", stream, progress=Ends())
    assert stream.getvalue() == BODY
    assert len(origin.requests("HEAD")) == 1


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault(becomes=Object(BODY[::-1], etag='"two"')), "the object changed after 100 bytes"),
        (Fault(becomes=Object(BODY, etag=None)), "the object changed after 100 bytes"),
        (Fault(becomes=Object(b"short")), "the object changed after 100 bytes"),
        (
            Fault(becomes=Object(BODY, etag='"two"'), ignore_condition=True),
            "the object changed after 100 bytes",
        ),
        (Fault(ignore_range=True), "the server began again after 100 bytes"),
        (Fault(shift=1), "the server sent from byte 101, not 100"),
    ],
)
async def test_never_glues(client: Client, origin: FakeOrigin, fault: Fault, sentence: str) -> None:
    """Another object, or another place in it, ends the download with what there was."""
    origin.objects["a"] = Object(BODY)
    origin.faults.extend([Fault(cut=100), fault])
    stream = io.BytesIO()
    with pytest.raises(Changed, match=sentence):
        await client.download("a", stream)
    assert stream.getvalue() == BODY[:100]
    assert len(origin.requests("GET")) == 2


async def test_upload_that_broke_off(client: Client, origin: FakeOrigin, tmp_path: Path) -> None:
    """404 after a break is final, and says what that means and what is left."""
    origin.objects["a"] = Object(BODY)
    origin.faults.extend([Fault(cut=100), Fault(status=404)])
    with pytest.raises(Interrupted, match="broke off or expired after 100 bytes") as caught:
        await client.download("a", tmp_path / "f")
    assert caught.value.received == 100
    assert str(caught.value).endswith("f.part has the beginning")
    assert (tmp_path / "f.part").read_bytes() == BODY[:100]


async def test_refused_after_a_break(client: Client, origin: FakeOrigin) -> None:
    """A refusal that repeating does not heal is final."""
    origin.objects["a"] = Object(BODY)
    origin.faults.extend([Fault(cut=100), Fault(status=403)])
    with pytest.raises(Interrupted, match=r"\(403\) after 100 bytes"):
        await client.download("a", io.BytesIO())


async def test_gives_up(client: Client, origin: FakeOrigin) -> None:
    """Without progress for the window the download ends."""
    origin.objects["a"] = Object(BODY)
    origin.faults.append(Fault(cut=100))
    origin.faults.extend([Fault(status=503)] * 1000)
    with pytest.raises(Interrupted, match="gave up after 100 bytes") as caught:
        await client.download("a", io.BytesIO(), retry_window=0.05)
    assert caught.value.received == 100


async def test_no_window(client: Client, origin: FakeOrigin) -> None:
    """A window of 0 asks once."""
    origin.objects["a"] = Object(BODY)
    origin.faults.append(Fault(cut=100))
    with pytest.raises(Interrupted, match="gave up"):
        await client.download("a", io.BytesIO(), retry_window=0)
    assert len(origin.requests("GET")) == 1


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
async def test_without_a_strong_etag(
    client: Client, origin: FakeOrigin, tmp_path: Path, etag: str | None
) -> None:
    """What cannot be named cannot be continued, now or later."""
    origin.objects["a"] = Object(BODY, etag=etag)
    origin.faults.append(Fault(cut=100))
    with pytest.raises(Interrupted, match="broke after 100 bytes"):
        await client.download("a", tmp_path / "f")
    assert _names(tmp_path) == []
    assert len(origin.requests("GET")) == 1


async def test_told_not_to_resume(client: Client, origin: FakeOrigin, tmp_path: Path) -> None:
    """`resume=False` ends at the first break and leaves nothing."""
    origin.objects["a"] = Object(BODY)
    origin.faults.append(Fault(cut=100))
    with pytest.raises(Interrupted):
        await client.download("a", tmp_path / "f", resume=False)
    assert _names(tmp_path) == []
    assert len(origin.requests("GET")) == 1


@pytest.mark.parametrize(("status", "error"), [(404, NotThere), (403, Refused), (503, Refused)])
async def test_first_answer_is_final(
    client: Client, origin: FakeOrigin, tmp_path: Path, status: int, error: type[Exception]
) -> None:
    """A refusal before any byte is the result; no file appears."""
    origin.faults.append(Fault(status=status))
    with pytest.raises(error):
        await client.download("a", tmp_path / "f")
    assert _names(tmp_path) == []
    assert len(origin.requests("GET")) == 1


async def test_nobody_there(tmp_path: Path, origin: FakeOrigin) -> None:
    """A server that is not there is not tried for a minute."""
    await origin.stop()
    async with Client(origin.url) as client:
        with pytest.raises(Unreachable):
            await client.download("a", tmp_path / "f")
    await origin.start()
    assert _names(tmp_path) == []


async def test_next_run_goes_on(client: Client, origin: FakeOrigin, tmp_path: Path) -> None:
    """A later call asks only for what an earlier one did not get."""
    origin.objects["a"] = Object(BODY)
    origin.faults.append(Fault(cut=100))
    with pytest.raises(Interrupted):
        await client.download("a", tmp_path / "f", retry_window=0)
    assert _names(tmp_path) == ["f.part", "f.part.json"]
    heard = Heard()
    result = await client.download("a", tmp_path / "f", progress=heard)
    assert (tmp_path / "f").read_bytes() == BODY
    assert _names(tmp_path) == ["f"]
    assert origin.requests("GET")[-1].headers["Range"] == "bytes=100-"
    assert (result.size, heard.moved) == (len(BODY), len(BODY) - 100)


async def test_next_run_of_a_changed_object(
    client: Client, origin: FakeOrigin, tmp_path: Path
) -> None:
    """When the object is another one by now, the old beginning is dropped."""
    origin.objects["a"] = Object(BODY)
    origin.faults.append(Fault(cut=100))
    with pytest.raises(Interrupted):
        await client.download("a", tmp_path / "f", retry_window=0)
    origin.objects["a"] = Object(b"new and short", etag='"two"')
    await client.download("a", tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == b"new and short"
    assert _names(tmp_path) == ["f"]


async def test_next_run_with_an_unsatisfiable_beginning(
    client: Client, origin: FakeOrigin, tmp_path: Path
) -> None:
    """A server that answers 416 for another object is asked for all of it."""
    (tmp_path / "f.part").write_bytes(BODY)
    note = {"url": f"{origin.url}/a", "etag": '"one"', "size": len(BODY)}
    (tmp_path / "f.part.json").write_text(json.dumps(note))
    origin.objects["a"] = Object(b"short", etag='"two"')
    origin.faults.append(Fault(status=416))
    await client.download("a", tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == b"short"


async def test_next_run_finds_everything_there(
    client: Client, origin: FakeOrigin, tmp_path: Path
) -> None:
    """A run that was killed before the rename needs no byte."""
    (tmp_path / "f.part").write_bytes(BODY)
    note = {"url": f"{origin.url}/a", "etag": '"one"', "size": len(BODY)}
    (tmp_path / "f.part.json").write_text(json.dumps(note))
    origin.objects["a"] = Object(BODY)
    result = await client.download("a", tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY
    assert (result.size, result.etag) == (len(BODY), '"one"')


@pytest.mark.parametrize("status", [404, 503])
async def test_next_run_that_fails_keeps_the_beginning(
    client: Client, origin: FakeOrigin, tmp_path: Path, status: int
) -> None:
    """A server that says no today does not cost what came yesterday."""
    origin.objects["a"] = Object(BODY)
    origin.faults.extend([Fault(cut=100), Fault(status=status)])
    with pytest.raises(Interrupted):
        await client.download("a", tmp_path / "f", retry_window=0)
    with pytest.raises(Refused):
        await client.download("a", tmp_path / "f")
    await client.download("a", tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY
    assert origin.requests("GET")[-1].headers["Range"] == "bytes=100-"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /dev/full")
async def test_full_target(client: Client, origin: FakeOrigin) -> None:
    """An error of the target comes out as it is, at once."""
    origin.objects["a"] = Object(BODY)
    with pytest.raises(OSError, match="No space left"):
        await client.download("a", Path("/dev/full"))
    assert len(origin.requests("GET")) == 1
    assert Path("/dev/full").is_char_device()


async def test_stopped_midway(client: Client, origin: FakeOrigin, tmp_path: Path) -> None:
    """Whatever ends a download, it keeps what a later one can use."""
    origin.objects["a"] = Object(BODY)
    origin.faults.append(Fault(cut=100))

    class Stopped(BaseException):
        pass

    class Stops(Heard):
        def note(self, text: str) -> None:
            raise Stopped

    with pytest.raises(Stopped):
        await client.download("a", tmp_path / "f", progress=Stops())
    assert (tmp_path / "f.part").read_bytes() == BODY[:100]
    origin.faults.clear()
    await client.download("a", tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY
    assert origin.requests("GET")[-1].headers["Range"] == "bytes=100-"


async def test_cancelled(client: Client, origin: FakeOrigin, tmp_path: Path) -> None:
    """A cancelled download ends as cancelled and keeps its beginning."""
    origin.objects["a"] = Object(BODY)
    origin.faults.extend([Fault(cut=100), Fault(hang=True)])
    running = asyncio.create_task(client.download("a", tmp_path / "f"))
    while len(origin.requests("GET")) < 2:
        await asyncio.sleep(0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (tmp_path / "f.part").read_bytes() == BODY[:100]
    assert json.loads((tmp_path / "f.part.json").read_text())["size"] == 100
