"""The suite for servers by the people who made the protocol, unchanged, run by node.

`STREAM_CONFORMANCE=all` runs the slow cases, too.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Daemon
from tests.scenarios import npm

HERE = Path(__file__).parent / "js"
NODE = (20, 19)
"""The first version of node on which the suite runs."""

NOT_THERE = {
    "Fork - Creation": "there are no forks",
    "Fork - Reading": "there are no forks",
    "Fork - Appending": "there are no forks",
    "Fork - Recursive": "there are no forks",
    "Fork - Live Modes": "there are no forks",
    "Fork - Deletion and Lifecycle": "there are no forks",
    "Fork - TTL and Expiry": "there are no forks",
    "Fork - JSON Mode": "there are no forks",
    "Fork - Edge Cases": "there are no forks",
    "Reserved subscription APIs": "there are no subscriptions",
}
"""Groups of cases, and why we fail them."""

SLOW = {
    "Offset Validation and Resumability should support offset=now with long-poll mode": "20 s",
    "Offset Validation and Resumability should support offset=now with long-poll on empty": "20 s",
}
"""Cases that pass, and how long each waits for nothing; our own tests shorten that wait."""

TIMES = 3
"""How often a case is tried: some measure seconds, and wait no longer than on an idle machine."""


@pytest.fixture(scope="module")
def modules(pytestconfig: pytest.Config) -> Path:
    """The suite and what it needs, where node finds it."""
    assert pytestconfig.cache is not None
    found = npm.fetched(pytestconfig.cache, HERE)
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if tuple(map(int, re.findall(r"\d+", said)[:2])) < NODE:
        pytest.skip(f"the suite needs node {NODE[0]}.{NODE[1]}, this is {said.strip()}")
    return found


def results(modules: Path, daemon: Daemon, left_out: list[str], report: Path) -> Iterator[Any]:
    """What became of each case, none of which begins with one of `left_out`."""
    shutil.copy(HERE / "conformance.test.js", modules.parent)
    done = subprocess.run(
        [
            str(modules / ".bin/vitest"), "run", "conformance.test.js",
            "-t", f"^(?!{'|'.join(map(re.escape, left_out))})",
            "--sequence.concurrent", "--maxConcurrency=24", f"--retry={TIMES - 1}",
            "--testTimeout=40000", "--reporter=json", f"--outputFile={report}",
        ],
        cwd=modules.parent, env={**os.environ, "STREAMS": daemon.url("", 1)},
        capture_output=True, text=True, timeout=230, check=False,
    )  # fmt: skip
    assert report.exists(), done.stderr
    for file in json.loads(report.read_text())["testResults"]:
        yield from file["assertionResults"]


@pytest.mark.timeout(240)
def test_conformance(modules: Path, start: Callable[..., Daemon], tmp_path: Path) -> None:
    """Every case passes but those of what is not there."""
    both = ("--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0=streams")
    daemon = start(*both, "--allow-delete")
    everything = os.environ.get("STREAM_CONFORMANCE") == "all"
    left_out = [*NOT_THERE, *([] if everything else SLOW)]
    passed, wrong, unused = 0, [], set(left_out)
    for case in results(modules, daemon, left_out, tmp_path / "report.json"):
        name = case["fullName"]
        reasons = {each for each in left_out if name.startswith(each)}
        unused -= reasons
        if case["status"] == "passed":
            passed += 1
        elif not reasons:
            wrong.append((name, case["status"], case["failureMessages"]))
    assert not wrong
    assert not unused
    assert passed >= 248
    daemon.assert_clean_log()
