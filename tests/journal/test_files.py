"""Files of a log: made, closed, removed; and damage, which is not taken for a crash."""

from __future__ import annotations

import os
import shutil
import struct
from dataclasses import replace
from pathlib import Path
from random import Random
from zlib import crc32

import pytest

from filepipe.errors import DiskFull, StorageFailed
from filepipe.journal.disk import Disk
from filepipe.journal.files import LogFiles, name_of
from filepipe.journal.frames import Damaged
from filepipe.journal.recovery import recover
from tests.journal.forgetful import (
    BIRTH,
    BROKEN,
    FULL,
    NAME,
    ForgetfulDisk,
    compared,
    content,
    recovered,
)

BEGUN = replace(BIRTH, begun=True)

# -- the making and the end


def test_a_log_that_was_made_is_there(tmp_path: Path, disk: ForgetfulDisk) -> None:
    """Made is made, also if nothing was ever added."""
    LogFiles.create(tmp_path, BIRTH, disk).rest()
    disk.lose_power(Random(1))
    files = recovered(tmp_path, disk)
    assert (files.birth, files.size, files.closed) == (BIRTH, 0, False)


def test_a_half_made_log_is_removed(tmp_path: Path, disk: ForgetfulDisk) -> None:
    """A crash before the first flush leaves nothing in the way."""
    LogFiles.create(tmp_path, BIRTH, disk).rest()
    (tmp_path / (NAME + ".index")).write_bytes(b"\xf1lo")
    assert recover(tmp_path, NAME, disk) is None
    assert list(tmp_path.iterdir()) == []
    LogFiles.create(tmp_path, BIRTH, disk).rest()


@pytest.mark.parametrize("call", ["write index", "flush data", "flush index"])
def test_a_log_that_cannot_be_made_leaves_nothing(
    tmp_path: Path, disk: ForgetfulDisk, call: str
) -> None:
    """The disk is full; once it is not, the same log can be made."""
    disk.fail = (call, FULL)
    with pytest.raises(DiskFull):
        LogFiles.create(tmp_path, BIRTH, disk)
    assert list(tmp_path.iterdir()) == []
    LogFiles.create(tmp_path, BIRTH, disk).rest()


@pytest.mark.parametrize("call", ["write data", "write index", "flush data", "flush index"])
def test_a_log_that_cannot_begin_leaves_nothing(
    tmp_path: Path, disk: ForgetfulDisk, call: str
) -> None:
    """It is made with its first bytes, or not at all."""
    disk.fail = (call, FULL)
    with pytest.raises(DiskFull):
        LogFiles.create(tmp_path, BEGUN, disk, b"first")
    assert list(tmp_path.iterdir()) == []
    LogFiles.create(tmp_path, BEGUN, disk, b"first", close=True).rest()
    found = recovered(tmp_path, disk)
    assert (content(found), found.closed) == (b"first", True)


def test_a_log_that_had_not_begun_is_removed(tmp_path: Path, disk: ForgetfulDisk) -> None:
    """Whoever makes it again does not find it empty."""
    LogFiles.create(tmp_path, BEGUN, disk, b"first").rest()
    index, data = tmp_path / (NAME + ".index"), tmp_path / (NAME + ".data")
    index.write_bytes(index.read_bytes()[:-1])
    assert data.read_bytes() == b"first"
    assert recover(tmp_path, NAME, disk) is None
    assert list(tmp_path.iterdir()) == []


def test_the_order_is_known_again(tmp_path: Path, files: LogFiles, disk: ForgetfulDisk) -> None:
    """The last place that was given, whatever was added without one."""
    for order in ("a", "b", None):
        files.add([b"x"], order=order)
    files.rest()
    assert recovered(tmp_path, disk).order == "b"


def test_what_is_in_the_way_stays(tmp_path: Path, files: LogFiles, disk: ForgetfulDisk) -> None:
    """Making a log never writes over one."""
    files.add([b"bytes"])
    with pytest.raises(StorageFailed):
        LogFiles.create(tmp_path, BIRTH, disk)
    files.rest()
    assert content(recovered(tmp_path, disk)) == b"bytes"


def test_a_closed_log_stays_closed(tmp_path: Path, files: LogFiles, disk: ForgetfulDisk) -> None:
    """Closing needs no bytes."""
    files.add([b"the end"])
    files.add([], close=True)
    files.rest()
    disk.lose_power(Random(1))
    found = recovered(tmp_path, disk)
    assert (found.closed, content(found)) == (True, b"the end")


def test_removing_leaves_nothing(tmp_path: Path, files: LogFiles) -> None:
    """Neither file."""
    files.add([b"bytes"])
    files.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failing", [".data", ".index"])
def test_a_crash_while_removing_is_made_up_for(
    tmp_path: Path, files: LogFiles, disk: ForgetfulDisk, monkeypatch, failing: str
) -> None:
    """The next start removes the rest, and takes it for no damage."""
    files.add([b"bytes"], durable=False)

    def remove(path: Path) -> None:
        if path.suffix == failing:
            raise OSError(BROKEN, os.strerror(BROKEN))
        Disk.remove(disk, path)

    monkeypatch.setattr(disk, "remove", remove)
    with pytest.raises(StorageFailed):
        files.remove()
    files.rest()
    monkeypatch.undo()
    disk.lose_power(Random(1))
    assert recover(tmp_path, NAME, disk) is None
    assert list(tmp_path.iterdir()) == []


def test_a_log_can_be_read_to_its_end_after_it_was_removed(files: LogFiles) -> None:
    """By whoever has it open."""
    files.add([b"bytes"])
    files.descriptor()
    files.remove()
    assert content(files) == b"bytes"


@pytest.mark.parametrize("call", ["read", "write", "flush"])
def test_nobody_loses_his_descriptor_while_he_uses_it(
    files: LogFiles, disk: ForgetfulDisk, monkeypatch, call: str
) -> None:
    """Whoever lets the log rest meanwhile; and when he is done, nothing is open."""
    files.add([b"bytes"])
    real = getattr(disk, call)

    def after_a_rest(*arguments):
        files.rest()
        return real(*arguments)

    monkeypatch.setattr(disk, call, after_a_rest)
    if call != "read":
        files.add([b" and more"])
    assert content(files)[:5] == b"bytes"
    files.rest()
    assert not disk.open_now


def test_a_late_read_leaves_nothing_open(files: LogFiles, disk: ForgetfulDisk) -> None:
    """Of somebody who has left; while somebody stays, the files stay open."""
    files.add([b"bytes"])
    files.rest()
    assert content(files) == b"bytes"
    assert not disk.open_now
    files.stay()
    assert content(files) == b"bytes"
    assert len(disk.open_now) == 2
    files.rest()
    assert not disk.open_now


def test_the_data_file_is_exactly_the_bytes(tmp_path: Path, files: LogFiles) -> None:
    """So that any tool can read it."""
    files.add([b"one ", b"", b"two "])
    files.add([b"three"])
    assert (tmp_path / (NAME + ".data")).read_bytes() == b"one two three"


# -- damage


def test_an_empty_log_is_not_taken_for_a_half_made_one(
    tmp_path: Path, files: LogFiles, disk: ForgetfulDisk
) -> None:
    """Its birth is damaged, and a frame behind it tells that it was whole once."""
    files.add([], close=True)
    files.rest()
    index = tmp_path / (NAME + ".index")
    content = bytearray(index.read_bytes())
    content[20] ^= 1
    index.write_bytes(content)
    with pytest.raises(Damaged, match="damaged at byte 0"):
        recover(tmp_path, NAME, disk)
    assert index.read_bytes() == content


def test_a_birth_of_a_later_version_is_no_half_made_one(tmp_path: Path, disk: Disk) -> None:
    """It is whole, and says what nobody here knows."""
    body = b'\x01{"key": "a/key", "color": "red"}'
    (tmp_path / (NAME + ".data")).write_bytes(b"")
    frame = b"\xf1log" + struct.pack("<II", len(body), crc32(body)) + body
    (tmp_path / (NAME + ".index")).write_bytes(frame)
    with pytest.raises(Damaged, match="cannot be read"):
        recover(tmp_path, NAME, disk)


@pytest.mark.parametrize("call", ["flush data", "flush index"])
def test_a_log_that_cannot_be_recovered_keeps_its_key(
    tmp_path: Path, files: LogFiles, disk: ForgetfulDisk, call: str
) -> None:
    """It is refused until the next start, which may find it well; it is not as if it was gone."""
    files.add([b"bytes"])
    files.rest()
    disk.fail = (call, BROKEN)
    found = recovered(tmp_path, disk)
    assert found.birth == BIRTH
    assert found.damage == "the storage failed: Input/output error"
    assert content(recovered(tmp_path, disk)) == b"bytes"


@pytest.fixture
def grown(files: LogFiles) -> LogFiles:
    """A log of some records, at rest."""
    for number in range(20):
        files.add([b"record %d\n" % number])
    files.rest()
    return files


def test_a_changed_byte_of_the_index_is_found(tmp_path: Path, grown: LogFiles) -> None:
    """Wherever it is, but for the last frame, which may be a torn one; nothing is cut."""
    index = tmp_path / (NAME + ".index")
    whole = index.read_bytes()
    last = whole.rindex(b"\xf1log")
    random = Random(5)
    for position in [*random.sample(range(last), 100), last - 1, 0]:
        changed = bytearray(whole)
        changed[position] ^= 1 << random.randrange(8)
        index.write_bytes(changed)
        try:
            damage = recovered(tmp_path, Disk()).damage
        except Damaged as error:  # whose log it is cannot be told
            damage = str(error)
        assert damage, position
        assert "damaged at byte" in damage
        assert index.read_bytes() == changed
    index.write_bytes(whole)
    assert recovered(tmp_path, Disk()).size == grown.size


def test_a_torn_last_frame_is_cut(tmp_path: Path, grown: LogFiles) -> None:
    """With the bytes that it spoke of; whatever it was torn to."""
    index = tmp_path / (NAME + ".index")
    whole = index.read_bytes()
    last = whole.rindex(b"\xf1log")
    for torn in (whole[:-1], whole[: last + 3], whole[:last] + bytes(len(whole) - last)):
        index.write_bytes(torn)
        files = recovered(tmp_path, Disk())
        assert files.damage is None
        assert files.size == grown.size - len("record 19\n")
        assert index.stat().st_size == last
        files.add([b"record 19\n"])
        files.rest()
        assert index.read_bytes() == whole


def test_missing_bytes_are_found(tmp_path: Path, grown: LogFiles) -> None:
    """What was acknowledged and is not there is no torn end."""
    data = tmp_path / (NAME + ".data")
    os.truncate(data, grown.size - 1)
    assert recovered(tmp_path, Disk()).damage == (
        f"of its {grown.size} bytes only {grown.size - 1} are there"
    )
    data.unlink()
    assert recovered(tmp_path, Disk()).damage == "its bytes are missing"


def test_changed_bytes_are_found_by_looking(tmp_path: Path, grown: LogFiles) -> None:
    """Each of them; the log then takes nothing more."""
    data = tmp_path / (NAME + ".data")
    whole = data.read_bytes()
    random = Random(6)
    for position in random.sample(range(len(whole)), 50):
        changed = bytearray(whole)
        changed[position] ^= 1 << random.randrange(8)
        data.write_bytes(changed)
        files = recovered(tmp_path, Disk())
        assert compared(files) is not None
        with pytest.raises(StorageFailed):
            files.add([b"more"])
        files.rest()


def test_an_index_of_another_log_is_found(tmp_path: Path, grown: LogFiles) -> None:
    """A copied file is not taken for what its name says."""
    other = name_of("other")
    for suffix in (".data", ".index"):
        shutil.copy(tmp_path / (NAME + suffix), tmp_path / (other + suffix))
    with pytest.raises(Damaged):
        recover(tmp_path, other, Disk())


def test_a_damaged_log_can_be_removed(tmp_path: Path, grown: LogFiles) -> None:
    """It is in nobody's way then."""
    (tmp_path / (NAME + ".data")).write_bytes(b"")
    recovered(tmp_path, Disk()).remove()
    assert list(tmp_path.iterdir()) == []


def test_an_unsynced_end_is_checked_byte_by_byte(tmp_path: Path, files: LogFiles) -> None:
    """Its frames may be on the disk before its bytes."""
    files.add([b"safe"])
    files.add([b"loose"], durable=False)
    files.add([b"more"], durable=False)
    files.rest()
    (tmp_path / (NAME + ".data")).write_bytes(b"safe" + bytes(5) + b"more")
    found = recovered(tmp_path, Disk())
    assert (found.damage, content(found)) == (None, b"safe")
