"""The page of decisions has a row for each defect, and the tests that it names exist."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[2]
PAGE = TESTS.parent / "docs" / "decisions" / "uploads.md"


def test_each_defect_has_its_test() -> None:
    """Or the row says that it is not done yet."""
    source = "".join(path.read_text() for path in TESTS.rglob("*.py"))
    source += "".join(path.read_text() for path in (TESTS.parent / "filepipe/testing").glob("*.py"))
    existing = set(re.findall(r"def (test_\w+)\(", source))
    rows = re.findall(r"^\| (\d+) \|(.*)\| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, 30))
    for number, text, tests in rows:
        named = set(re.findall(r"`(\w+)`", tests))
        assert named <= existing, (number, named - existing)
        assert named or "Not done yet" in text, number
