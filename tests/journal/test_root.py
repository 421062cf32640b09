"""The folder of logs under their own names: which keys are paths, what is found, who has it."""

import errno
import os

import pytest

from filepipe.errors import BadKey, ConfigError, Conflict, DiskFull
from filepipe.journal.root import Root, check_name, refused


@pytest.fixture
def folder(tmp_path):
    """Where it is; the folder of the daemon is beside it."""
    return tmp_path / "root"


@pytest.mark.parametrize("key", ["a", "a/b.c", "a b", "a.", "-", "~", "a..b", "x" * 255, "ö" * 127])
def test_keys_that_are_paths(key):
    """Whatever is a name without a dot before it."""
    check_name(key)


@pytest.mark.parametrize("key", [".a", "a/.b", "a/", "x" * 256, "ö" * 128, "a/" + "x" * 256])
def test_keys_that_are_none(key):
    """What is hidden, would be a folder, or is too long."""
    with pytest.raises(BadKey):
        check_name(key)


def test_what_the_system_says_is_put_into_words():
    """A client gets no path, and its own mistakes are not ours."""
    for code, kind in (
        (errno.ENOTDIR, Conflict), (errno.ENAMETOOLONG, BadKey), (errno.ENOSPC, DiskFull),
    ):  # fmt: skip
        error = refused(OSError(code, "why", "/secret/path"))
        assert isinstance(error, kind)
        assert "secret" not in str(error)


def test_a_folder_is_made_for_us_alone(root, folder, tmp_path):
    """One daemon at a time, until it is closed."""
    assert folder.stat().st_mode & 0o777 == 0o700
    with pytest.raises(ConfigError, match="another filepipe"):
        Root(folder, tmp_path / "private")


@pytest.mark.parametrize("path", ["private", "private/logs", ".", "link"])
def test_a_folder_that_has_private_files(tmp_path, path):
    """No key may be a path to them, also not by a link."""
    (tmp_path / "private").mkdir()
    (tmp_path / "link").symlink_to("private")
    with pytest.raises(ConfigError, match="one in the other"):
        Root(tmp_path / path, tmp_path / "private")


def test_a_folder_that_cannot_be_used(tmp_path):
    """The daemon does not start."""
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "missing/folder"):
        with pytest.raises(ConfigError, match="cannot be used"):
            Root(path, tmp_path / "private")


def test_no_link_is_followed(root, folder, tmp_path):
    """Not even one that stays inside."""
    (folder / "real").mkdir()
    (folder / "link").symlink_to("real")
    os.close(root.enter(["real"]))
    with pytest.raises(NotADirectoryError):
        root.enter(["link"])


def test_everything_is_found(root, folder):
    """But what is hidden, and what is too deep to be a key."""
    (folder / "a/b").mkdir(parents=True)
    (folder / "a/b/file").touch()
    (folder / "a/link").symlink_to("b/file")
    (folder / "a/.hidden").mkdir()
    (folder / "a/.hidden/file").touch()
    (folder / ".file").touch()
    (folder / "e\u0301").touch()  # there is another way to write it, which is the key
    deep = folder.joinpath(*["d" * 50] * 11)
    deep.mkdir(parents=True)
    (deep / "file").touch()
    found = dict(root.paths())
    assert found.pop("a/b/file")
    assert not any(found.values())
    assert set(found) == {"a/link", "e\u0301", "/".join(["d" * 50] * 11 + ["file"])}


def test_empty_folders_go(root, folder):
    """Upwards, as long as nothing else is in them."""
    os.close(root.enter(["a", "b", "c"], make=True))
    (folder / "a/file").touch()
    root.flush(["a", "b", "c"])
    root.prune(["a", "b", "c"])
    assert os.listdir(folder / "a") == ["file"]
    root.prune(["a", "b"])
