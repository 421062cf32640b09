"""The rows of docs/decisions/streams.md by number."""

from __future__ import annotations

from pathlib import Path

from tests.scenarios.decisions import assert_bound

PAGE = Path(__file__).parents[3] / "docs/decisions/streams.md"


def test_the_page_names_the_tests() -> None:
    """Every row of the page, and nothing that is not there."""
    assert_bound(PAGE, Path(__file__).parent, 13)
