"""Names on a share."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from filepipe.errors import Conflict
from filepipe_backends.smb_names import segments, written


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("plain.txt", "plain.txt"),
        ("ein Märchen 童話 🧚", "ein Märchen 童話 🧚"),
        ('"*:<>?\\|', "\uf020\uf021\uf022\uf023\uf024\uf025\uf026\uf027"),
        ("\x01\x1f\x7f", "\uf001\uf01f\x7f"),
        ("dots..", "dots.\uf029"),
        ("a ", "a\uf028"),
        (" a", " a"),
        (".hidden", ".hidden"),
    ],
)
def test_how_a_name_is_written(name: str, there: str) -> None:
    """What SMB has no character for becomes a private one, of which there is one for each."""
    assert written(name) == there


def test_the_table_is_that_of_mapposix() -> None:
    """The characters are those that Linux and macOS write and read."""
    assert {sign: ord(written(f"{sign}x")[0]) - 0xF000 for sign in '"*:<>?\\|'} == {
        '"': 0x20, "*": 0x21, ":": 0x22, "<": 0x23, ">": 0x24, "?": 0x25, "\\": 0x26, "|": 0x27,
    }  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [
        "/absolute", ".", "", "..", "a/../b", "nul", "NUL", "nul.txt", "prn .x", "a/com0/b",
        "LPT³", "CONIN$", ".filepipe-parts", "a/.FilePipe-Parts/b", "a\0b",
    ],
)  # fmt: skip
def test_what_no_object_is_called(path: str) -> None:
    """Neither what leads elsewhere nor a device of Windows."""
    with pytest.raises(Conflict, match="the name cannot be had"):
        segments(PurePosixPath(path))


@pytest.mark.parametrize("path", ["a/b", "console", "com", "com10", "xnul", "nul-1.txt", "..."])
def test_what_may_be_called_so(path: str) -> None:
    """Names that only look like those."""
    assert len(segments(PurePosixPath(path))) == path.count("/") + 1
