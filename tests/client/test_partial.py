"""`FILE.part` and its note: what a later run may trust."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from filepipe.client import partial
from filepipe.client.partial import PartialFile

URL = "http://h/a"
ETAG = '"one"'


def _opened(path: Path, *, resume: bool = True, url: str = URL) -> PartialFile:
    made = PartialFile(path, url)
    made.open(resume)
    return made


def _interrupted(path: Path, data: bytes = b"abc") -> None:
    made = _opened(path)
    made.restart(ETAG)
    made.append(data)
    assert made.keep() == path.with_name(path.name + ".part")


def _names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_appears_when_whole(tmp_path: Path) -> None:
    """Until it is published, nothing has the name; then nothing else is there."""
    path = tmp_path / "f"
    made = _opened(path)
    made.restart(ETAG)
    made.append(b"abc")
    assert not path.exists()
    assert made.publish() == path
    assert path.read_bytes() == b"abc"
    assert _names(tmp_path) == ["f"]


def test_later_run_goes_on(tmp_path: Path) -> None:
    """What was kept is there again, with the name of its object."""
    _interrupted(tmp_path / "f")
    made = _opened(tmp_path / "f")
    assert (made.size, made.etag) == (3, ETAG)
    made.append(b"def")
    made.publish()
    assert (tmp_path / "f").read_bytes() == b"abcdef"


def test_later_run_drops_another_object(tmp_path: Path) -> None:
    """A restart leaves no byte of the old object."""
    _interrupted(tmp_path / "f")
    made = _opened(tmp_path / "f")
    made.restart('"two"')
    assert (made.size, made.etag) == (0, '"two"')
    made.append(b"x")
    made.publish()
    assert (tmp_path / "f").read_bytes() == b"x"


def test_later_run_told_to_start_anew(tmp_path: Path) -> None:
    """Without `resume` nothing of before is used."""
    _interrupted(tmp_path / "f")
    made = _opened(tmp_path / "f", resume=False)
    assert (made.size, made.etag) == (0, None)
    made.discard()


def test_bytes_that_nobody_vouches_for(tmp_path: Path) -> None:
    """What was written after the last checkpoint may be a hole after a power cut: it is dropped."""
    _interrupted(tmp_path / "f")
    with (tmp_path / "f.part").open("ab") as stream:
        stream.write(bytes(100))
    made = _opened(tmp_path / "f")
    assert made.size == 3
    made.publish()
    assert (tmp_path / "f").read_bytes() == b"abc"


@pytest.mark.parametrize(
    "note",
    [
        "",
        "{",
        "[]",
        '"x"',
        json.dumps({"url": URL, "etag": ETAG}),
        json.dumps({"url": URL, "etag": ETAG, "size": "3"}),
        json.dumps({"url": URL, "etag": ETAG, "size": 4}),
        json.dumps({"url": URL, "etag": ETAG, "size": -1}),
        json.dumps({"url": URL, "etag": None, "size": 3}),
        json.dumps({"url": "http://h/b", "etag": ETAG, "size": 3}),
    ],
)
def test_note_that_cannot_be_trusted(tmp_path: Path, note: str) -> None:
    """A note that is torn, wrong or about something else counts as none."""
    _interrupted(tmp_path / "f")
    (tmp_path / "f.part.json").write_text(note)
    made = _opened(tmp_path / "f")
    assert (made.size, made.etag) == (0, None)
    made.discard()


def test_nothing_worth_keeping(tmp_path: Path) -> None:
    """An empty beginning, or one without a name, is removed."""
    made = _opened(tmp_path / "f")
    assert made.keep() is None
    made = _opened(tmp_path / "f")
    made.restart(None)
    made.append(b"abc")
    assert made.keep() is None
    assert _names(tmp_path) == []


def test_discard(tmp_path: Path) -> None:
    """Discarding removes both files and may be repeated."""
    made = _opened(tmp_path / "f")
    made.restart(ETAG)
    made.append(b"abc")
    made.discard()
    made.discard()
    assert made.keep() is None
    assert _names(tmp_path) == []


def test_checkpoint_after_many_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is killed loses at most what came since the last checkpoint."""
    monkeypatch.setattr(partial, "CHECKPOINT_BYTES", 4)
    made = _opened(tmp_path / "f")
    made.restart(ETAG)
    made.append(b"abc")
    assert _size(tmp_path) == 0
    made.append(b"de")
    assert _size(tmp_path) == 5
    made.append(b"fgh")
    assert _size(tmp_path) == 5
    made.discard()


def test_checkpoint_after_some_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow download is confirmed too."""
    monkeypatch.setattr(partial, "CHECKPOINT_SECONDS", 0.0)
    made = _opened(tmp_path / "f")
    made.restart(ETAG)
    made.append(b"a")
    assert _size(tmp_path) == 1
    made.discard()


def test_no_checkpoint_of_what_cannot_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an ETag nobody goes on later, so the disk is not waited for before the end."""
    monkeypatch.setattr(partial, "CHECKPOINT_BYTES", 4)
    monkeypatch.setattr(partial, "CHECKPOINT_SECONDS", 0.0)
    made = _opened(tmp_path / "f")
    made.restart(None)
    made.append(b"abcdef")
    assert _size(tmp_path) == 0
    assert made.publish().read_bytes() == b"abcdef"


def _size(folder: Path) -> Any:
    return json.loads((folder / "f.part.json").read_text())["size"]


def test_one_run_at_a_time(tmp_path: Path) -> None:
    """A second download into the same file is refused, not mixed in."""
    made = _opened(tmp_path / "f")
    with pytest.raises(OSError, match="another download") as caught:
        _opened(tmp_path / "f")
    assert caught.value.errno == errno.EBUSY
    made.discard()
    _opened(tmp_path / "f").discard()


@pytest.mark.parametrize("name", ["f.part", "f.part.json"])
def test_link_is_not_followed(tmp_path: Path, name: str) -> None:
    """Whoever plants a link beside the target cannot make us write elsewhere."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / name).symlink_to(victim)
    made = PartialFile(tmp_path / "f", URL)
    with pytest.raises(OSError, match=r"symbolic links|not a file of ours"):
        made.open(True)
    assert victim.read_text() == "precious"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_file_of_somebody_else(tmp_path: Path) -> None:
    """Bytes that another user left there are not ours to go on from."""
    _interrupted(tmp_path / "f")
    os.chown(tmp_path / "f.part", 12345, 12345)
    with pytest.raises(OSError, match="not a file of ours"):
        _opened(tmp_path / "f")


def test_target_that_is_a_link(tmp_path: Path) -> None:
    """A link stays, and what it points to is replaced."""
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "f"
    target.write_bytes(b"old")
    (tmp_path / "link").symlink_to(target)
    made = _opened(tmp_path / "link")
    made.restart(ETAG)
    made.append(b"new")
    assert made.publish() == target
    assert (tmp_path / "link").is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("mode", [0o600, 0o755])
def test_mode_of_the_old_file_stays(tmp_path: Path, mode: int) -> None:
    """A private file stays private, also while it is downloaded."""
    path = tmp_path / "f"
    path.write_bytes(b"old")
    path.chmod(mode)
    made = _opened(path)
    assert (tmp_path / "f.part").stat().st_mode & 0o777 == mode
    made.restart(ETAG)
    made.append(b"new")
    made.publish()
    assert path.stat().st_mode & 0o777 == mode


def test_failed_fsync_loses_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed fsync nobody knows what is on the disk: the beginning is not kept."""
    made = _opened(tmp_path / "f")
    made.restart(ETAG)
    made.append(b"abc")

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="Input/output"):
            made.publish()
    assert made.keep() is None
    assert _names(tmp_path) == []


def test_failed_rename_keeps_the_bytes(tmp_path: Path) -> None:
    """A name that was taken by a folder meanwhile does not cost the download."""
    made = _opened(tmp_path / "f")
    made.restart(ETAG)
    made.append(b"abc")
    (tmp_path / "f").mkdir()
    with pytest.raises(IsADirectoryError):
        made.publish()
    assert made.keep() == tmp_path / "f.part"
    assert (tmp_path / "f.part").read_bytes() == b"abc"
