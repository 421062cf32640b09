"""Targets: streams, files, folders and devices."""

import asyncio
import io
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from yarl import URL

from filepipe.client.blocking import BlockingThread
from filepipe.client.sink import StreamSink, open_sink

URL_A = URL("http://user:secret@h/dir/a.bin?token=t")


@dataclass
class About:
    """The head of a body."""

    offset: int = 0
    etag: str | None = '"one"'
    filename: str | None = None


@pytest.fixture
def thread():
    """A thread for the calls that block."""
    with BlockingThread() as made:
        yield made


async def _store(target: Path, thread: BlockingThread, about: About, data: bytes) -> Path | None:
    sink = await open_sink(target, URL_A, thread, keep=True)
    await sink.prepare()
    assert await sink.begin(about)
    await sink.write(data)
    assert (sink.offset, sink.etag) == (len(data), about.etag)
    return await sink.finish()


async def test_stream_takes_all(thread: BlockingThread) -> None:
    """A stream that takes little at a time still gets everything, and stays open."""

    class Picky(io.BytesIO):
        def write(self, data: object) -> int:
            return super().write(bytes(data)[:2])  # type: ignore[call-overload]

    stream = Picky()
    sink = StreamSink(stream, thread)
    await sink.begin(About())
    await sink.write(b"abcde")
    assert stream.getvalue() == b"abcde"
    assert await sink.finish() is None
    assert not stream.closed
    assert await sink.abandon() is None
    assert not stream.closed


async def test_file(thread: BlockingThread, tmp_path: Path) -> None:
    """A path that does not exist becomes the file."""
    assert await _store(tmp_path / "f", thread, About(), b"abc") == tmp_path / "f"
    assert (tmp_path / "f").read_bytes() == b"abc"


async def test_note_has_no_secrets(thread: BlockingThread, tmp_path: Path) -> None:
    """What lies beside the file does not tell the password."""
    sink = await open_sink(tmp_path / "f", URL_A, thread, keep=True)
    await sink.prepare()
    await sink.begin(About())
    await sink.write(b"abc")
    assert await sink.abandon() == tmp_path / "f.part"
    note = (tmp_path / "f.part.json").read_text()
    assert "http://h/dir/a.bin" in note
    assert "secret" not in note
    assert "token" not in note


async def test_folder_that_is_missing(thread: BlockingThread, tmp_path: Path) -> None:
    """A file in a folder that does not exist fails before anything is asked."""
    sink = await open_sink(tmp_path / "none" / "f", URL_A, thread, keep=True)
    with pytest.raises(FileNotFoundError):
        await sink.prepare()
    assert await sink.abandon() is None


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        (None, "a.bin"),
        ("name.txt", "name.txt"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/etc/cron.d/x", "x"),
        (".bashrc", "bashrc"),
        ("...", "a.bin"),
        ("", "a.bin"),
        ("a\x00b\x1b.txt", "ab.txt"),
    ],
)
async def test_folder_takes_the_offered_name(
    thread: BlockingThread, tmp_path: Path, offered: str | None, expected: str
) -> None:
    """The server's name, made harmless, else the last part of the key; never outside."""
    inside = tmp_path / "in" / "side"
    inside.mkdir(parents=True)
    where = await _store(inside, thread, About(filename=offered), b"abc")
    assert where == inside / expected
    assert [path.name for path in inside.iterdir()] == [expected]


@pytest.mark.parametrize("key", ["http://h/..", "http://h/", "http://h/a/%2e%2e"])
async def test_folder_and_a_key_without_a_name(
    thread: BlockingThread, tmp_path: Path, key: str
) -> None:
    """A key whose last part is no file name still gives a file inside."""
    sink = await open_sink(tmp_path, URL(key, encoded=True), thread, keep=True)
    await sink.begin(About())
    await sink.write(b"abc")
    assert await sink.finish() == tmp_path / "download"


async def test_server_cannot_replace_a_file(thread: BlockingThread, tmp_path: Path) -> None:
    """A name that nobody typed does not overwrite; the key, which somebody typed, does."""
    (tmp_path / "mine").write_bytes(b"mine")
    sink = await open_sink(tmp_path, URL_A, thread, keep=True)
    with pytest.raises(FileExistsError, match="server's choice"):
        await sink.begin(About(filename="mine"))
    assert await sink.abandon() is None
    assert (tmp_path / "mine").read_bytes() == b"mine"
    (tmp_path / "a.bin").write_bytes(b"old")
    assert await _store(tmp_path, thread, About(), b"new") == tmp_path / "a.bin"
    assert (tmp_path / "a.bin").read_bytes() == b"new"


async def test_folder_goes_on_from_an_earlier_run(thread: BlockingThread, tmp_path: Path) -> None:
    """Once the name is known, the beginning that is there is asked to be continued."""
    first = await open_sink(tmp_path, URL_A, thread, keep=True)
    await first.begin(About(filename="n"))
    await first.write(b"abc")
    assert await first.abandon() == tmp_path / "n.part"
    second = await open_sink(tmp_path, URL_A, thread, keep=True)
    await second.prepare()
    assert not await second.begin(About(filename="n"))
    assert (second.offset, second.etag) == (3, '"one"')
    assert await second.begin(About(offset=3, filename="n"))
    await second.write(b"def")
    assert await second.finish() == tmp_path / "n"
    assert (tmp_path / "n").read_bytes() == b"abcdef"


async def test_device_is_written_not_replaced(thread: BlockingThread) -> None:
    """`-o /dev/null` leaves the device what it is."""
    assert await _store(Path("/dev/null"), thread, About(), b"abc") is None
    assert Path("/dev/null").is_char_device()


async def test_named_pipe_is_written(thread: BlockingThread, tmp_path: Path) -> None:
    """A named pipe gets the bytes, and its reader the end."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reading = asyncio.create_task(asyncio.to_thread(path.read_bytes))
    await _store(path, thread, About(), b"abc")
    assert await reading == b"abc"
