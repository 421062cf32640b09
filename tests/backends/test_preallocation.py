"""Blocks for a file whose size is known."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from filepipe_backends import preallocation
from filepipe_backends.preallocation import preallocate, reserve


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    """Open an empty file."""
    number = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT, 0o600)
    yield number
    os.close(number)


def test_blocks_come_and_the_length_stays(fd: int) -> None:
    """Where the system can, the blocks are there and the file is still empty."""
    if not preallocate(fd, 1 << 20):
        pytest.skip("this file system gives no blocks in advance")
    status = os.fstat(fd)
    assert status.st_size == 0
    assert status.st_blocks * 512 >= 1 << 20


def test_a_full_disk_says_so(fd: int) -> None:
    """More than any disk has is refused at once, and the file keeps no block of it."""
    if not preallocate(fd, 4096):
        pytest.skip("this file system gives no blocks in advance")
    with pytest.raises(OSError, match=r"space|large") as refused:
        preallocate(fd, 1 << 60)
    assert refused.value.errno in (errno.ENOSPC, errno.EFBIG)
    assert os.fstat(fd).st_size == 0


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM])
def test_a_file_system_that_cannot_is_no_failure(
    fd: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system that knows no such call is told apart from one without room."""
    monkeypatch.setattr(preallocation, "_fallocate", lambda *_: -1)
    monkeypatch.setattr(preallocation.ctypes, "get_errno", lambda: code)
    assert preallocate(fd, 4096) is False


def test_an_interrupted_call_is_repeated(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal in the middle changes nothing."""
    answers = iter([-1, 0])
    monkeypatch.setattr(preallocation, "_fallocate", lambda *_: next(answers))
    monkeypatch.setattr(preallocation.ctypes, "get_errno", lambda: errno.EINTR)
    assert preallocate(fd, 4096) is True


def test_another_system_has_no_such_call(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the call nothing is given and nothing fails."""
    monkeypatch.setattr(preallocation, "_fallocate", None)
    assert preallocate(fd, 4096) is False


def test_what_cannot_fit_is_not_tried(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The try would take all the room there is from everybody, for as long as it lasts."""
    tried: list[int] = []
    monkeypatch.setattr(preallocation, "preallocate", lambda _, size: tried.append(size))
    with pytest.raises(OSError, match="space"):
        reserve(fd, 1 << 60)
    assert not tried
    reserve(fd, 4096)
    assert tried == [4096]
