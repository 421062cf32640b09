"""The uploads of a server: brought there, looked at, removed."""

import hashlib
import unicodedata
from pathlib import Path

import pytest

from filepipe.client import Client, NotThere, Refused
from tests.client.fake_parts import FakeParts

BODY = bytes(range(256)) * 20
"""Six parts, the last one short."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of some parts."""
    made = tmp_path / "film.mov"
    made.write_bytes(BODY)
    return made


async def _broken_run(uploader: Client, parts: FakeParts, path: Path) -> None:
    parts.faults.extend([None, None, 400])
    with pytest.raises(Refused):
        await uploader.uploads.upload(path, parts=1)


async def test_what_is_wished(uploader: Client, parts: FakeParts, path: Path) -> None:
    """All that can be said of it reaches the server."""
    checksum = hashlib.sha256(BODY).hexdigest()
    await uploader.uploads.upload(path, checksum=checksum, overwrite=True, storage="s3")
    wanted = parts.uploads["id-0"].wanted
    assert (wanted["checksum_sha256"], wanted["overwrite"]) == (checksum, True)
    assert wanted["storage"] == "s3"


async def test_without_a_note(
    uploader: Client, parts: FakeParts, path: Path, tmp_path: Path
) -> None:
    """`resume=False` leaves and finds none."""
    parts.faults.append(400)
    with pytest.raises(Refused):
        await uploader.uploads.upload(path, parts=1, resume=False)
    assert list((tmp_path / "state").rglob("*")) == []
    await uploader.uploads.upload(path, resume=False)
    assert len(parts.uploads) == 2


async def test_looking_and_removing(uploader: Client, parts: FakeParts, path: Path) -> None:
    """The list has every page; status, tokens and removal are of one."""
    await _broken_run(uploader, parts, path)
    for number in range(4):
        await uploader.uploads.upload(path, to=f"f{number}")
    assert [info.id for info in await uploader.uploads.listing()] == [f"id-{n}" for n in range(5)]
    info = await uploader.uploads.status("id-0")
    assert (info.status, info.uploaded_parts, info.total_parts) == ("pending", 2, 6)
    assert set(info.checksums) == {0, 1}
    assert set(await uploader.uploads.tokens("id-0")) == {2, 3, 4, 5}
    await uploader.uploads.remove("id-0")
    with pytest.raises(NotThere):
        await uploader.uploads.status("id-0")


async def test_its_own_name(uploader: Client, parts: FakeParts, tmp_path: Path) -> None:
    """A file that is brought nowhere else keeps its name, composed as the server wants it."""
    path = tmp_path / unicodedata.normalize("NFD", "hörbar")
    path.write_bytes(b"x")
    result = await uploader.uploads.upload(path)
    assert result.path == unicodedata.normalize("NFC", "hörbar")
