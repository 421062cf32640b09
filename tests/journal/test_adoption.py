"""Files that were there become logs, and stay what they were until something is appended."""

import os
from random import Random

import pytest

from filepipe.errors import Conflict
from filepipe.journal.adoption import adopt, adopt_all, is_there
from filepipe.journal.files import name_of
from filepipe.journal.recovery import recover
from tests.journal.forgetful import content

KEY = "some/key"


@pytest.fixture
def folder(tmp_path):
    """Where the indexes are."""
    (tmp_path / "daemon/logs").mkdir(parents=True)
    return tmp_path / "daemon/logs"


@pytest.fixture
def file(tmp_path):
    """A file of somebody."""
    (tmp_path / "root/some").mkdir(parents=True)
    file = tmp_path / "root/some/key"
    file.write_bytes(b"theirs")
    return file


@pytest.fixture
def root(root, file):
    """The folder in which it is."""
    return root


@pytest.fixture
def adopted(folder, root, disk):
    """The log of the file."""
    return adopt(folder, root, KEY, disk)


def again(folder, root, disk):
    """The log after a crash."""
    return recover(folder, name_of(KEY), disk, root)


def test_a_file_becomes_a_log(adopted, file, folder, root, disk):
    """Of the bytes that it has; what is added follows them, and is compared after a restart."""
    assert content(adopted) == b"theirs"
    adopted.add([b" ours"])
    adopted.rest()
    assert file.read_bytes() == b"theirs ours"
    file.write_bytes(b"THEIRS ours")
    found = again(folder, root, disk)
    assert not found.is_proven(0, 11)
    found.prove(0, 11)
    assert found.is_proven(0, 11)
    assert found.damage is None
    file.write_bytes(b"theirs OURS")
    found = again(folder, root, disk)
    found.prove(0, 11)
    assert found.damage == "its bytes from 6 on are damaged"


@pytest.mark.parametrize("seed", range(20))
def test_the_power_goes(adopted, folder, root, disk, file, seed):
    """What others wrote is there, and what was acknowledged; or it is adopted anew."""
    adopted.add([b" kept"])
    adopted.add([b" loose"], durable=False)
    adopted.rest()
    disk.lose_power(Random(seed))
    found = again(folder, root, disk)
    assert found.damage is None
    assert content(found) in (b"theirs kept", b"theirs kept loose")
    assert file.read_bytes() == content(found)
    found.rest()


@pytest.mark.parametrize("seed", range(20))
def test_the_power_goes_before_anything_is_added(adopted, folder, root, disk, file, seed):
    """The index may be lost, the file not."""
    adopted.rest()
    disk.lose_power(Random(seed))
    assert again(folder, root, disk) is None
    assert os.listdir(folder) == []
    assert file.read_bytes() == b"theirs"


def test_a_file_is_that_of_others_until_something_is_added(adopted, folder, root, disk, file):
    """Each start adopts it as it is then; it keeps its ETag if it is the same."""
    adopted.rest()
    assert again(folder, root, disk) is None
    second = adopt(folder, root, KEY, disk)
    second.rest()
    assert second.birth == adopted.birth
    file.write_bytes(b"more of theirs")
    assert again(folder, root, disk) is None
    third = adopt(folder, root, KEY, disk)
    assert content(third) == b"more of theirs"
    assert third.birth != adopted.birth
    third.add([b"!"], durable=False, close=True)
    third.rest()
    fourth = again(folder, root, disk)
    assert (content(fourth), fourth.closed) == (b"more of theirs!", True)
    fourth.rest()


def test_all_are_adopted(folder, root, disk, file):
    """Once, up to a number; of the others it is said why not."""
    (file.parent / "link").symlink_to(file)
    (file.parent / "second").touch()
    logs, others = adopt_all(folder, root, disk, [], 9)
    assert sorted(log.birth.key for log in logs) == [KEY, "some/second"]
    assert others == ["some/link: it is no plain file, or its path is no key"]
    known = [log.birth.key for log in logs]
    assert adopt_all(folder, root, disk, known, 9) == ([], others)
    (file.parent / "third").touch()
    logs, others = adopt_all(folder, root, disk, known, 2)
    assert logs == []
    assert "some/third: there are too many keys" in others


def test_a_file_with_a_second_name_is_none(folder, root, disk, file):
    """It may be anybody's; nothing is left of the try."""
    os.link(file, file.with_name("other"))
    with pytest.raises(Conflict, match="second name"):
        adopt(folder, root, KEY, disk)
    assert os.listdir(folder) == []
    file.with_name("other").unlink()
    files = adopt(folder, root, KEY, disk)
    os.link(file, file.with_name("backup"))  # from then on it is ours
    files.rest()
    files.add([b"!"])
    files.rest()


def test_whether_something_is_there(root, disk, file):
    """A path through a file is refused, and so is what is no file."""
    assert is_there(root, KEY, disk)
    assert not is_there(root, "some/other", disk)
    with pytest.raises(Conflict):
        is_there(root, KEY + "/below", disk)
    with pytest.raises(Conflict, match="a folder of other keys"):
        is_there(root, "some", disk)
