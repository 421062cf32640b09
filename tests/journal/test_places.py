"""Where the bytes of a log are: the same for both kinds, and what is special below a root."""

import os

import pytest

from filepipe.journal.disk import Disk
from filepipe.journal.places import Beside, Named, is_there


@pytest.fixture
def folder(tmp_path):
    """The folder of a root."""
    return tmp_path / "root"


@pytest.fixture(params=["beside", "named"])
def place(request, root, tmp_path):
    """One of either kind."""
    if request.param == "beside":
        return Beside(tmp_path / "x.data", Disk())
    return Named(root, "some/key", Disk())


def test_the_life_of_a_file(place):
    """Made once, found, touched, removed, and removed again."""
    assert not is_there(place)
    fd = place.open(new=True)
    os.write(fd, b"bytes")
    os.close(fd)
    place.flush_name()
    with pytest.raises(FileExistsError):
        place.open(new=True)
    assert place.stat().st_size == 5
    os.utime(place.open(), (0, 0))
    place.touch()
    assert place.stat().st_mtime > 0
    assert is_there(place)
    place.remove()
    place.remove()
    assert not is_there(place)
    with pytest.raises(FileNotFoundError):
        place.open()


def test_folders_come_and_go(root, folder):
    """With the file; also where it cannot be made."""
    place = Named(root, "a/b/c", Disk())
    os.close(place.open(new=True))
    assert (folder / "a/b/c").is_file()
    with pytest.raises(NotADirectoryError):
        Named(root, "a/b/c/d/e", Disk()).open(new=True)
    place.remove()
    assert os.listdir(folder) == []
    with pytest.raises(OSError, match="too long"):
        Named(root, "a/" + "x" * 300, Disk()).open(new=True)
    assert os.listdir(folder) == []


def test_only_a_plain_file_is_opened(root, folder):
    """What somebody put in its place is let be."""
    os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    (folder / "link").symlink_to(folder / "folder")
    for name in ("pipe", "folder", "link", "folder/none"):
        place = Named(root, name, Disk())
        assert not is_there(place)
        with pytest.raises(OSError):  # noqa: PT011 - each has another reason
            place.open()
    for name in ("folder", "link/none"):
        Named(root, name, Disk()).remove()
    assert sorted(os.listdir(folder)) == ["folder", "link", "pipe"]


def test_an_empty_folder_that_goes_just_now(root, folder, monkeypatch):
    """It is made again."""
    real, times = root.enter, iter(range(3))

    def enter(folders, *, make=False):
        fd = real(folders, make=make)
        if next(times, None) is not None:
            (folder / "a").rmdir()
        return fd

    monkeypatch.setattr(root, "enter", enter)
    os.close(Named(root, "a/key", Disk()).open(new=True))
    assert (folder / "a/key").is_file()
