"""From a URL to a storage."""

from importlib.metadata import EntryPoint

import pytest

from filepipe.errors import ConfigError
from filepipe.storage import plugins
from filepipe.storage.plugins import open_shelf, open_storage
from filepipe.testing import opened, read_all, store


@pytest.fixture
def known(monkeypatch):
    """Replace what is installed by the entry points of a test."""

    def install(**values):
        monkeypatch.setattr(
            plugins,
            "entry_points",
            lambda group: [EntryPoint(name, value, group) for name, value in values.items()],
        )

    return install


@pytest.mark.parametrize("scheme", ["memory", "file"])
async def test_our_own_storages_are_found(tmp_path, scheme):
    """What we ship comes in by its entry point, like anybody else's."""
    storage = open_storage("memory:" if scheme == "memory" else f"file:{tmp_path}/spill")
    blob = await storage.create()
    await blob.append([b"bytes"])
    assert await read_all(blob) == b"bytes"
    await blob.discard()
    await storage.aclose()


def test_the_location_is_all_after_the_first_colon(known):
    """A location may hold colons itself; it may be empty, with or without the colon."""
    known(echo="builtins:str")
    assert open_storage("echo:bucket:with/colons") == "bucket:with/colons"
    assert open_storage("echo:") == ""
    assert open_storage("echo") == ""


@pytest.mark.parametrize("url", ["s4:bucket", "", ":", "/var/lib/filepipe", "FILE:/tmp"])
def test_an_unknown_name_lists_the_known_ones(known, url):
    """A wrong name is answered with the names that exist."""
    known(memory="a:b", file="a:c")
    with pytest.raises(ConfigError, match=r"known are file:, memory:$") as caught:
        open_storage(url)
    assert repr(url) in str(caught.value)


def test_nothing_installed(known):
    """Without any storage the sentence says so."""
    known()
    with pytest.raises(ConfigError, match="known are none"):
        open_storage("memory:")


def test_a_missing_library_names_its_extra(known):
    """A storage whose library is not installed says how to install it."""
    known(s3="a_library_that_nobody_has:S3Storage")
    with pytest.raises(ConfigError, match=r"pip install 'filepipe\[s3\]'") as caught:
        open_storage("s3:bucket")
    assert "a_library_that_nobody_has" in str(caught.value)


def test_a_storage_refuses_its_location():
    """A location that the storage cannot use is a setting that cannot be used."""
    with pytest.raises(ConfigError, match="needs a folder"):
        open_storage("file:")


async def test_our_own_shelf_is_found(tmp_path):
    """The local disk comes in by its entry point too, with a folder for what it needs besides."""
    async with opened(lambda: open_shelf(f"local:{tmp_path}/objects", tmp_path / "own")) as shelf:
        await store(shelf, "a", b"bytes", "name")
    assert (tmp_path / "objects" / "name").read_bytes() == b"bytes"
    assert (tmp_path / "own").is_dir()


def test_an_unknown_shelf_lists_the_known_ones(known, tmp_path):
    """A wrong name is answered with the names that exist, and its location is not shown."""
    known(local="a:b", s3="a:c")
    with pytest.raises(ConfigError, match=r"known are local:, s3:$") as caught:
        open_shelf("s4:user:password@bucket", tmp_path)
    assert "password" not in str(caught.value)
    known(s3="a_library_that_nobody_has:S3Shelf")
    with pytest.raises(ConfigError, match=r"pip install 'filepipe\[s3\]'"):
        open_shelf("s3:bucket", tmp_path)


def test_a_shelf_refuses_its_location(tmp_path):
    """A location that the shelf cannot use is a setting that cannot be used."""
    with pytest.raises(ConfigError, match="need a folder"):
        open_shelf("local:", tmp_path)
