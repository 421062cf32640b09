"""One small disk for records and drafts: when it is full, uploads can go on and can be removed."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import Daemon, eventually
from tests.scenarios.peers import MIB, body_of
from tests.scenarios.resumable.peer import Client
from tests.scenarios.uploads.api import ENVIRONMENT, Api

Start = Callable[..., Daemon]

BODY = body_of(20 * MIB)


@pytest.fixture
def starts_on(start: Start, small_disk: Path) -> Start:
    """Starts a daemon with records, drafts and files on the small disk."""
    records, files = str(small_disk / "records"), str(small_disk / "files")
    places = ("--database-path", records, "--local-storage-path", files)
    return partial(start, *places, "--max-disk", "unlimited")


def free(small_disk: Path) -> int:
    """Bytes that anybody could still write there."""
    disk = os.statvfs(small_disk)
    return disk.f_bavail * disk.f_bsize


def fill(small_disk: Path, spare: int = 0) -> Path:
    """Leave no more than `spare` bytes; the file that takes the others."""
    theirs = small_disk / "theirs"
    with theirs.open("wb", buffering=0) as file:
        while (size := free(small_disk)) > spare:
            file.write(bytes(size - spare))
    return theirs


@pytest.mark.parametrize("length", [True, False], ids=["length", "chunked"])
def test_an_append_that_fills_it(starts_on: Start, small_disk: Path, length: bool) -> None:
    """It is refused, what is recorded stays, the upload can be removed, and the room is back."""
    daemon = starts_on()
    client = Client(daemon)
    before = free(small_disk)
    at = client.begin(b"abc").location
    fields = client.fields(complete=True, offset=3, Content_Type="application/partial-upload")
    if length:
        refused = client.ask("PATCH", at, fields, BODY)
    else:
        refused = client.in_chunks("PATCH", at, fields, BODY)
    refused.problem(507)
    kept = client.look(at).offset
    assert 3 <= kept < 8 * MIB
    assert client.ask("DELETE", at, client.fields()).status == 204
    eventually(lambda: free(small_disk) > before - MIB // 2)
    assert client.append(client.begin(b"abc").location, 3, BODY[: 2 * MIB]).status in (200, 204)
    daemon.assert_clean_log()


def test_others_fill_it(starts_on: Start, small_disk: Path) -> None:
    """With no byte left nothing begins or grows; all the same everything can be removed.

    With room again what has stayed goes on.
    """
    daemon = starts_on()
    client = Client(daemon)
    removed, stays = (client.begin(BODY[:MIB]).location for _ in range(2))
    fill(small_disk)
    client.append(removed, MIB, BODY[MIB : 2 * MIB]).problem(507)
    client.append(stays, MIB, BODY[MIB : 2 * MIB]).problem(507)
    assert client.look(stays).offset == MIB
    assert client.ask("DELETE", removed, client.fields()).status == 204
    assert client.append(stays, MIB, BODY[MIB : MIB + MIB // 2], complete=True).status == 200
    assert client.ask("GET", stays, {}).body == BODY[: MIB + MIB // 2]
    fill(small_disk)
    assert client.ask("DELETE", stays, client.fields()).status == 204
    assert client.look(stays).status == 410
    daemon.assert_clean_log()


def test_a_part_that_does_not_fit_any_more(starts_on: Start, small_disk: Path) -> None:
    """Its blocks are there and its record is not: it is refused, and counts when there is room."""
    api = Api(starts_on(env=ENVIRONMENT), listener=0)
    made, removed = api.begin(BODY[: 2 * MIB]), api.begin(BODY[:MIB])
    theirs = fill(small_disk)
    made.put(0).refused(507, "disk_full")
    assert removed.cancel().status == 200
    theirs.unlink()
    made.put_all()
    fill(small_disk)
    assert made.complete().status == 200
    assert made.content().body == made.body
    assert made.cancel().status == 200
    assert api.ask("GET", f"/upload/{made.id}/status").status == 404


def test_full_at_the_end(starts_on: Start, small_disk: Path) -> None:
    """Wherever the finishing meets the end of the disk: what cannot be finished can be removed."""
    daemon = starts_on(env=ENVIRONMENT)
    api, client = Api(daemon, listener=0), Client(daemon)
    for pages in range(13):
        made = api.begin(b"in parts")
        made.put_all()
        at = client.begin(b"resum").location
        theirs = fill(small_disk, pages * 4096)
        assert made.complete().status in (200, 422, 507)
        assert made.cancel().status == 200
        assert client.append(at, 5, b"able", complete=True).status in (200, 507)
        assert client.ask("DELETE", at, client.fields()).status == 204
        theirs.unlink()
    assert api.upload(b"in parts").content().body == b"in parts"
    daemon.assert_clean_log()
