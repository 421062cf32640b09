"""Files of a log below a root, where others may write, too."""

from dataclasses import replace
from random import Random

import pytest

from filepipe.errors import BadKey, Conflict, DiskFull, StorageFailed
from filepipe.journal.files import AWAY, LogFiles
from filepipe.journal.frames import Damaged
from filepipe.journal.recovery import recover
from tests.journal.forgetful import BIRTH, BROKEN, FULL, NAME, content

NAMED = replace(BIRTH, named=True)


@pytest.fixture
def folder(tmp_path):
    """Where the index is."""
    (tmp_path / "daemon/logs").mkdir(parents=True)
    return tmp_path / "daemon/logs"


@pytest.fixture
def file(tmp_path):
    """The bytes of the log."""
    return tmp_path / "root" / BIRTH.key


@pytest.fixture
def files(folder, root, disk):
    """An empty log."""
    return LogFiles.create(folder, NAMED, disk, root=root)


def again(folder, root, disk):
    """The log after a crash."""
    files = recover(folder, NAME, disk, root)
    files.rest()
    return files


def test_a_log_is_its_file(files, folder, root, disk, file):
    """And found again."""
    files.add([b"one ", b"two"])
    files.rest()
    disk.lose_power(Random(1))
    assert file.read_bytes() == b"one two"
    found = again(folder, root, disk)
    assert (found.birth, content(found), found.aside) == (NAMED, b"one two", None)
    found.remove()
    found.rest()
    assert list(folder.iterdir()) == list((file.parent.parent).iterdir()) == []


@pytest.mark.parametrize("call", ["write index", "flush data", "flush index"])
def test_a_log_that_cannot_be_made_leaves_nothing(folder, root, disk, file, call):
    """Neither an index nor a folder."""
    disk.fail = (call, FULL)
    with pytest.raises(DiskFull):
        LogFiles.create(folder, NAMED, disk, root=root)
    assert list(folder.iterdir()) == list((file.parent.parent).iterdir()) == []


def test_a_file_that_is_there_is_not_written_over(folder, root, disk, file):
    """Whoever put it there at this moment."""
    file.parent.mkdir()
    file.write_bytes(b"theirs")
    with pytest.raises(Conflict, match="try again"):
        LogFiles.create(folder, NAMED, disk, root=root)
    assert file.read_bytes() == b"theirs"
    assert list(folder.iterdir()) == []


def test_a_path_that_cannot_be_one(folder, root, disk, file):
    """It is the key that is refused, not the disk that has failed."""
    with pytest.raises(BadKey):
        LogFiles.create(folder, replace(NAMED, key="x" * 300), disk, root=root)
    file.parent.write_bytes(b"a file")
    with pytest.raises(Conflict, match="is a file"):
        LogFiles.create(folder, NAMED, disk, root=root)
    assert list(folder.iterdir()) == []


def test_what_is_behind_the_end_is_put_aside(files, folder, root, disk, file):
    """Each time; it goes with the log."""
    files.add([b"ours"])
    files.rest()
    for data in (b" torn", b" theirs"):
        with file.open("ab") as out:
            out.write(data)
        found = again(folder, root, disk)
        assert file.read_bytes() == b"ours"
        assert found.aside.startswith(f"{len(data)} bytes behind its end were moved to {NAME}.")
        assert (folder / found.aside.split()[-1]).read_bytes() == data
    assert len(list(folder.glob("*.aside"))) == 2
    found.remove()
    found.rest()
    assert list(folder.iterdir()) == []


def test_what_cannot_be_put_aside_stays(files, folder, root, disk, file):
    """It is not cut off."""
    files.add([b"ours"])
    files.rest()
    file.write_bytes(b"ours theirs")
    disk.fail = ("write data", FULL)
    assert again(folder, root, disk).damage == "disk full, try again later"
    assert file.read_bytes() == b"ours theirs"


def test_a_file_that_others_change_takes_nothing(files, file):
    """Until it is as it was; nothing of theirs is cut off."""
    files.add([b"ours"])
    for content_of_others in (b"ours theirs", b"our"):
        file.write_bytes(content_of_others)
        with pytest.raises(StorageFailed, match="somebody else"):
            files.add([b"more"])
        assert file.read_bytes() == content_of_others
    file.write_bytes(b"ours")
    files.add([b" more"])
    file.unlink()
    with pytest.raises(StorageFailed, match="somebody else"):
        files.add([b"lost"])
    files.rest()


def test_without_its_root(files, folder, disk):
    """It is refused, and not removed: the bytes would stay, and be a log again."""
    files.rest()
    found = recover(folder, NAME, disk)
    assert found.damage == AWAY
    with pytest.raises(StorageFailed):
        found.remove()
    assert len(list(folder.iterdir())) == 1


def test_an_index_whose_begin_is_lost(files, folder, root, disk, file):
    """It is damage, and not the leavings of a making: its bytes would become another log."""
    files.add([b"ours"])
    files.rest()
    index = folder / f"{NAME}.index"
    index.write_bytes(b"?" + index.read_bytes()[1:])
    with pytest.raises(Damaged):
        recover(folder, NAME, disk, root)
    assert file.read_bytes() == b"ours"
    with pytest.raises(StorageFailed, match="another log"):
        LogFiles.create(folder, replace(NAMED, adopted=True), disk, root=root)


def test_a_log_whose_file_is_gone_can_be_removed(files, folder, file):
    """By whoever sees that it is."""
    files.rest()
    file.unlink()
    files.remove()
    assert list(folder.iterdir()) == []


def test_a_write_that_fails_is_taken_back(files, disk, file):
    """The file has what was acknowledged."""
    files.add([b"ours"])
    disk.fail = ("write data", BROKEN)
    with pytest.raises(StorageFailed):
        files.add([b"more"])
    assert file.read_bytes() == b"ours"
    files.add([b" again"])
    files.rest()


def test_a_crash_while_it_is_made(folder, root, disk, file, monkeypatch):
    """No empty file is left that would become somebody's log."""

    class Crash(BaseException):
        pass

    def crash(*args, **kwargs):
        raise Crash

    for place in ("open", "write", "flush", "flush_names"):
        for count in range(6):
            folder_before = list(file.parent.parent.iterdir())
            assert folder_before == []
            calls = iter(range(count))
            real = getattr(disk, place)

            def failing(*args, real=real, calls=calls, **kwargs):
                return crash() if next(calls, None) is None else real(*args, **kwargs)

            with monkeypatch.context() as patch:
                patch.setattr(disk, place, failing)
                try:
                    LogFiles.create(folder, replace(NAMED, begun=True), disk, b"first", root=root)
                except Crash:
                    made = False
                else:
                    made = True
            found = recover(folder, NAME, disk, root)
            assert made <= (found is not None)
            if found is not None:
                assert content(found) == b"first"
                found.remove()
                found.rest()
            assert list(folder.iterdir()) == []
