"""The page of decisions names a test for each defect, and the tests that it names exist."""

from __future__ import annotations

from pathlib import Path

from tests.scenarios.decisions import assert_bound

PAGE = Path(__file__).parents[3] / "docs" / "decisions" / "beam.md"


def test_each_defect_has_its_test() -> None:
    """Row N names tests of the number N, and all of them."""
    assert_bound(PAGE, Path(__file__).parent, 12)
