"""The page of decisions names a test for each defect, and the tests that it names exist."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "decisions" / "piping.md"


def test_each_defect_has_its_test() -> None:
    """Row N names tests of the number N, and all of them."""
    source = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    existing = set(re.findall(r"def (test_\d\d_\w+)", source))
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE)
    named = {int(number): set(re.findall(r"`(\w+)`", tests)) for number, tests in rows}
    assert list(named) == list(range(1, 11))
    for number, tests in named.items():
        assert tests == {name for name in existing if name.startswith(f"test_{number:02}_")}


def test_the_tests_of_the_differences_exist() -> None:
    """Each difference names its test, or says that there is nothing to be seen of it."""
    source = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    existing = set(re.findall(r"def (test_\w+)", source))
    tables = PAGE.read_text().partition("## Paths")[2]
    rows = [line for line in tables.splitlines() if line.startswith("| ")]
    shown = [row.rstrip("| ").rpartition(" | ")[2] for row in rows if "shown by" not in row]
    assert len(shown) > 30
    for cell in shown:
        names = re.findall(r"`(test_\w+)`", cell)
        assert names or cell == "\N{EN DASH}", cell
        assert set(names) <= existing
