"""A page of decisions and the tests that it names."""

from __future__ import annotations

import re
from pathlib import Path


def assert_bound(page: Path, folder: Path, count: int) -> None:
    """Rows 1 to `count` of the page each name all tests of their number in the folder."""
    source = "".join(path.read_text() for path in folder.glob("test_*.py"))
    existing = set(re.findall(r"def (test_\d\d_\w+)", source))
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]+) \|$", page.read_text(), re.MULTILINE)
    named = {int(number): set(re.findall(r"`(\w+)`", tests)) for number, tests in rows}
    assert list(named) == list(range(1, count + 1))
    for number, tests in named.items():
        assert tests == {name for name in existing if name.startswith(f"test_{number:02}_")}


def assert_rows_name_tests(page: Path, title: str, folder: Path) -> None:
    """Each row below the heading names tests in its last cell, which are all in the folder."""
    source = "".join(path.read_text() for path in folder.glob("test_*.py"))
    existing = set(re.findall(r"def (test_\w+)", source))
    text = page.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    last = re.findall(r"^\|.*\| ([^|]+) \|$", text, re.MULTILINE)[1:]  # not the heads
    assert len(last) > 10
    for cell in last:
        named = set(re.findall(r"`(test_\w+)`", cell))
        assert named, cell
        assert named <= existing, named - existing
