"""Turn the numbers of all runs into Markdown."""

import datetime
import importlib.metadata
import os
import platform
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from modes import Mode

INTRO = """\
# Benchmarks

One table for each way to load a server, all from one run on one machine, with the load
generator and the servers on the same cores. Each cell is the median of the rounds, with
(least-most). In each round every server starts anew in an empty folder, one after the other,
every second round in the opposite order.
"filepipe ÷ it" divides the two values of the same round: for GB/s and pairs more than 1 is
better for filepipe, for CPU, times and memory less than 1. A server that runs twice, as "(again)",
shows how much is noise. GB is 10^9 bytes; CPU is the server's own.
[bench/README.md](../bench/README.md) tells what is measured and where the peers come from.
"""


@dataclass
class Runs:
    """All that one mode measured: for each server, a result per round."""

    mode: Mode
    results: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    control: tuple[str, str] | None = None

    def values(self, name: str, key: str) -> list[float]:
        """Return one number of each round of a server."""
        return [result[key] for result in self.results[name]]

    def ratios(self, name: str, other: str, key: str) -> list[float]:
        """Divide the values of the same round; a round where the other has 0 is left out."""
        pairs = zip(self.values(name, key), self.values(other, key), strict=True)
        return [mine / its for mine, its in pairs if its]


def spread(values: list[float], decimals: int) -> str:
    """Write the median with the least and the most."""
    if not values:
        return "-"
    shown = (statistics.median(values), min(values), max(values))
    middle, least, most = (f"{value:.{decimals}f}" for value in shown)
    return f"{middle} ({least}-{most})"


def table(runs: Runs) -> str:
    """Write the table of one mode, with its control and its failures below."""
    headings = ["server"]
    for metric in runs.mode.metrics:
        headings += [metric.heading, "filepipe ÷ it"]
    lines = [f"## {runs.mode.title}", "", _row(headings), _row(["---"] * len(headings))]
    lines += [_row(_cells(runs, name)) for name in runs.results if name not in runs.failures]
    notes = [f"{name}: {why}" for name, why in runs.failures.items()]
    notes += _control(runs)
    lines += ["", *(f"- {note}" for note in notes)] if notes else []
    return "\n".join(lines) + "\n"


def _cells(runs: Runs, name: str) -> Iterable[str]:
    yield name
    for metric in runs.mode.metrics:
        yield spread(runs.values(name, metric.key), metric.decimals)
        lacking = name == "filepipe" or "filepipe" in runs.failures
        yield "" if lacking else spread(runs.ratios("filepipe", name, metric.key), 2)


def _control(runs: Runs) -> list[str]:
    if runs.control is None or any(name in runs.failures for name in runs.control):
        return []
    name, again = runs.control
    parts = [
        f"{metric.heading} {spread(runs.ratios(name, again, metric.key), 2)}"
        for metric in runs.mode.metrics
    ]
    return [f"{name} ÷ {again}: " + ", ".join(parts)]


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def page(command: str, rounds: int, every: list[Runs]) -> str:
    """Write the whole page: what it is, the machine, the command, the tables."""
    facts = [f"- Machine: {machine()}", f"- Software: {software()}"]
    facts.append(f"- Date: {datetime.datetime.now(datetime.UTC).date()}; rounds: {rounds}")
    made = f"Made by\n\n```\n{command}\n```\n"
    return "\n".join([INTRO, *facts, "", made, *(table(runs) for runs in every)])


def machine() -> str:
    """Say what the numbers were measured on."""
    model = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores ({model}), {platform.system()} {platform.release()}"


def software() -> str:
    """Name the versions that matter for our side."""
    names = ("filepipe", "aiohttp", "uvloop")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in names]
    return ", ".join([*versions, f"{platform.python_implementation()} {platform.python_version()}"])
