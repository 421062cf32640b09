"""The long loops: `python tests/soak/run.py` writes docs/reliability.md, see `--help`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.endurance import endure
from tests.soak.report import render

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def main() -> int:
    """Run, write, and say by the exit code whether every promise held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long (default: 600)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the chance")
    parser.add_argument("--output", type=Path, default=PAGE, help="the page (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="filepipe-soak-") as folder:
        report = endure(Path(folder), arguments.seed, seconds=arguments.seconds)
    before = arguments.output.read_text() if arguments.output.exists() else ""
    page = render(report, before)
    arguments.output.write_text(page)
    print(page)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
