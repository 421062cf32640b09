"""The page that a run writes: what was done how often, what went wrong, what is left."""

from __future__ import annotations

import platform
from collections.abc import Iterable

from filepipe import __version__
from tests.soak.endurance import MIB, Report
from tests.soak.rounds import ROUNDS

HEAD = """\
# Reliability: what was tried, and what it did

The daemon runs as a process of its own; its peers are the real `curl` and raw sockets. Each round
of a scenario chooses by chance the way of the body (the kernel's, the event loop's, in chunks), its
size, and the moment and the manner in which somebody goes. A violation is a broken promise: a part
that was taken for the whole, a wrong answer, a hang, a byte or a descriptor that stayed behind.

`make soak` writes this page anew; `--seconds` sets how long, `--seed` repeats the same choices.
The test suite runs the same rounds a few times.
"""


UPLOADS = "\n## Uploads, killed\n"
"""The heading of the first of the sections that other loops have measured."""


def render(report: Report, before: str = "") -> str:
    """The page as Markdown; what the page `before` says of kills stays."""
    page = "\n".join([HEAD, *_rounds(report), "", *_leaks(report), "", *_about(report), ""])
    _, heading, uploads = before.partition(UPLOADS)
    return page + heading + uploads


def _table(*rows: Iterable[object]) -> list[str]:
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    columns = lines[0].count("|") - 1
    return [lines[0], "|" + " --- |" * columns, *lines[1:]]


def _rounds(report: Report) -> list[str]:
    rows: list[tuple[object, ...]] = [("scenario", "what must hold", "rounds", "violations")]
    for name, function in ROUNDS.items():
        promise = (function.__doc__ or "").partition("\n")[0].rstrip(".")
        count: object = len(report.violations.get(name, ()))
        if name in report.skipped:
            count = f"left out: {report.skipped[name]}"
        rows.append((name, promise, report.rounds[name], count))
    total = sum(report.rounds.values())
    rows.append(("**all**", "", total, sum(map(len, report.violations.values()))))
    lines = ["## Rounds", "", *_table(*rows)]
    for name, texts in report.violations.items():
        lines += ["", f"Violations in *{name}*:", "", *(f"- {text}" for text in texts)]
    return lines


def _leaks(report: Report) -> list[str]:
    rows: list[tuple[object, ...]] = [
        ("held at rest", "after the warm-up", "half-way", "at the end")
    ]
    for name in report.held[0]:
        for what, show in (
            ("descriptors", lambda held: held.descriptors),
            ("threads", lambda held: held.threads),
            ("resident memory, MiB", lambda held: round(held.rss / MIB)),
        ):
            shown = (show(moment[name]) for moment in report.held)
            rows.append((f"`--{name}`: {what}", *shown))
    return [
        "## What is left",
        "",
        "Two daemons live through the whole run. At each of these moments they had no key, nobody",
        "who waited, and 0 bytes of memory and disk in the ledger: the run waits for that, and",
        "fails without it.",
        "",
        *_table(*rows),
    ]


def _about(report: Report) -> list[str]:
    return [
        "## The run",
        "",
        f"filepipe {__version__}, Python {platform.python_version()}, {platform.system()} "
        f"{platform.release()}; seed {report.seed}, {report.seconds:.0f} seconds.",
    ]
