"""A file that is sent in parts."""

import hashlib
import os
from pathlib import Path

import pytest

from filepipe.client.blocking import BlockingThread
from filepipe.client.errors import SourceChanged
from filepipe.client.part_file import PartFile
from filepipe.client.source import CHUNK

BODY = os.urandom(2 * CHUNK + 10)


async def _part(file: PartFile, offset: int, size: int) -> tuple[bytes, str]:
    digest = hashlib.sha256()
    with BlockingThread() as thread:
        chunks = [chunk async for chunk in file.read(offset, size, digest, thread)]
    return b"".join(chunks), digest.hexdigest()


async def test_any_part_with_its_hash(tmp_path: Path) -> None:
    """Exactly the bytes that were asked for, and the hash of these."""
    (tmp_path / "f").write_bytes(BODY)
    file = PartFile(tmp_path / "f")
    for offset, size in ((0, len(BODY)), (5, CHUNK + 1), (len(BODY) - 1, 1)):
        data = BODY[offset : offset + size]
        assert await _part(file, offset, size) == (data, hashlib.sha256(data).hexdigest())
    file.check()
    file.close()


async def test_fewer_bytes(tmp_path: Path) -> None:
    """A file that ends too early is another one."""
    (tmp_path / "f").write_bytes(BODY)
    file = PartFile(tmp_path / "f")
    os.truncate(tmp_path / "f", 7)
    with pytest.raises(SourceChanged, match="became shorter"):
        await _part(file, 0, 8)
    with pytest.raises(SourceChanged, match="changed"):
        file.check()
    file.close()


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "proc"])
def test_what_is_no_file(tmp_path: Path, kind: str) -> None:
    """Nothing that could not be read again, and nothing that hides its size; at once."""
    path = tmp_path
    if kind == "pipe":
        path = tmp_path / "p"
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/null")
    elif kind == "proc":
        path = Path("/proc/self/stat")
        if not path.exists():
            pytest.skip("this system has no /proc")
    with pytest.raises(OSError, match="Is a directory|is not a file") as caught:  # noqa: RUF043
        PartFile(path)
    assert caught.value.filename == str(path)
