"""The page of decisions names a test for each defect, and the tests that it names exist."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "decisions" / "file-pipe.md"


def test_each_defect_has_its_test() -> None:
    """Row N names tests of the number N, and all of them."""
    source = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    existing = set(re.findall(r"def (test_\d\d_\w+)", source))
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE)
    named = {int(number): set(re.findall(r"`(\w+)`", tests)) for number, tests in rows}
    assert list(named) == list(range(1, 21))
    for number, tests in named.items():
        assert tests == {name for name in existing if name.startswith(f"test_{number:02}_")}
