"""The rounds of the soak, a few times each; `make soak` runs them for long."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.soak.endurance import Report, endure
from tests.soak.ground import Holdings
from tests.soak.report import render
from tests.soak.rounds import ROUNDS

MIB = 1024 * 1024


@pytest.mark.timeout(300)
def test_a_few_rounds_of_each(tmp_path: Path) -> None:
    """Every promise holds, and nothing is left."""
    report = endure(tmp_path, seed=1, least=2)
    assert report.violations == {}
    assert report.leaks() == []
    assert set(report.rounds.values()) == {2}


def held(descriptors: int = 10, threads: int = 5, mib: int = 50) -> dict[str, Holdings]:
    """What one daemon holds."""
    return {"relay": Holdings(descriptors, threads, mib * MIB)}


@pytest.mark.parametrize(
    ("middle", "last", "leak"),
    [
        (held(), held(), []),
        (held(11), held(11), ["relay: 11 descriptors"]),
        (held(threads=40), held(threads=40), ["relay: 40 threads"]),
        (held(mib=60), held(mib=60), []),  # a plateau
        (held(mib=60), held(mib=90), ["relay: 90 MiB of memory"]),
    ],
)
def test_what_is_a_leak(
    middle: dict[str, Holdings], last: dict[str, Holdings], leak: list[str]
) -> None:
    """More than after the warm-up is one; memory may rise once, but not go on."""
    report = Report(seed=1, held=[held(), middle, last])
    assert report.leaks() == leak
    assert report.failed is bool(leak)


def test_the_page() -> None:
    """Each scenario has its line, and what went wrong is told, not only counted."""
    report = Report(
        seed=7,
        rounds=Counter(transfer=3, kill=2),
        violations={"kill": ["AssertionError: a reader took the part for the whole"]},
        skipped={"fault": "strace is not installed"},
        held=[held(), held(), held(mib=51)],
    )
    lines = render(report).splitlines()
    assert (
        "| transfer | Readers before, during and after an upload get every byte | 3 | 0 |" in lines
    )
    assert "- AssertionError: a reader took the part for the whole" in lines
    assert any(line.endswith("| 0 | left out: strace is not installed |") for line in lines)
    assert "| **all** |  | 5 | 1 |" in lines
    assert "| `--relay`: resident memory, MiB | 50 | 50 | 51 |" in lines
    assert sum(line.startswith(f"| {name} |") for name in ROUNDS for line in lines) == len(ROUNDS)
    uploads = "\n## Uploads, killed\n\nof another loop\n"
    assert render(report, render(report) + uploads).endswith(uploads)
