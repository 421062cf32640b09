"""Measure those who follow a log: many live ones, one who catches up, one who stops reading.

Prints a table for each. Needs Go for the load generator.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from modes import Mode
from report import machine, software, spread
from run import BINARY, allow_connections, build, parse_size, rounds, shown
from servers import RunError, Server, filepipe, running

KEY = "history"
Result = dict[str, float]
Column = tuple[str, Callable[[Result], float], int]
Row = tuple[str, list[Result]]


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--parts", default="live,history,stopped", help="which of live,history,stopped (all)")
    add("--rounds", default=3, type=rounds, help="runs of each (3)")
    add("--followers", default=200, type=rounds, help="who are live (200)")
    add("--message", default="16K", type=parse_size, help="bytes of an appended message (16K)")
    add("--rate", default=10.0, type=float, help="MB that are appended in a second (10)")
    add("--seconds", default=15, type=rounds, help="for which they are (15)")
    add("--size", default="1G", type=parse_size, help="of the history (1G)")
    add("--stall", default=60, type=rounds, help="--stall-timeout where somebody stops (60)")
    return parser.parse_args()


def daemon(*serve: str) -> Server:
    """Our daemon, with these settings besides."""
    return filepipe(Mode("followers", "", (), (), serve=serve))[0]


def load(port: int, pid: int, *words: object) -> Result:
    """Run the load generator; raises RunError with the reason when something is missing."""
    command = [str(BINARY), "-addr", f"127.0.0.1:{port}", "-pid", str(pid), "-timeout", "15m"]
    command += map(str, words)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    try:
        result: Result = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise RunError(f"the load generator ended with {done.returncode}") from None
    if "error" in result:
        raise RunError(str(result["error"]))
    return result


def table(title: str, columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Print medians, with the least and the most."""
    print(f"\n## {title}\n")
    print("| | " + " | ".join(heading for heading, _, _ in columns) + " |")
    print("| --- |" + " --- |" * len(columns))
    for name, results in rows:
        cells = (spread([value(r) for r in results], decimals) for _, value, decimals in columns)
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def in_turns(names: Sequence[str], number: int, one: Callable[[str], Result]) -> list[Row]:
    """Run each in turn, every second round backwards."""
    rows: list[Row] = [(name, []) for name in names]
    for turn in range(number):
        for name, results in rows if turn % 2 == 0 else reversed(rows):
            results.append(one(name))
            numbers = {key: value for key, value in results[-1].items() if key.endswith(("s", "b"))}
            print(f"{turn + 1}/{number} {name}: {numbers}", file=sys.stderr)
    return rows


def key(name: str) -> Callable[[Result], float]:
    """One number of the generator."""
    return lambda result: result[name]


DELAYS: list[Column] = [
    ("delay p50 ms", key("p50_ms"), 1),
    ("p99 ms", key("p99_ms"), 1),
    ("most ms", key("max_ms"), 1),
]


def live(arguments: argparse.Namespace) -> None:
    """One appender and many followers, of one kind and of both."""
    count = arguments.followers
    kinds: dict[str, tuple[object, ...]] = {
        "half and half": ("-sockets", count // 2),
        "GET ?follow": ("-sockets", 0),
        "WebSocket": ("-sockets", count),
        "WebSocket, filepipe.binary": ("-sockets", count, "-subprotocol", "filepipe.binary"),
    }
    words = _appended(arguments, arguments.seconds)

    def one(name: str) -> Result:
        with running(daemon()) as (pid, port, _):
            result = load(port, pid, *words, "-readers", count, *kinds[name])
        result["cpu_s_per_gb"] = result["cpu_s"] / (result["size"] * count / 1e9)
        return result

    columns = [
        *DELAYS,
        ("KiB per follower, waiting", key("waiting_kib_per_follower"), 1),
        ("at most", key("kib_per_follower"), 1),
        ("after", key("after_kib_per_follower"), 1),
        ("CPU s per GB sent", key("cpu_s_per_gb"), 2),
        ("appender late p99 ms", key("late_p99_ms"), 1),
    ]
    title = (
        f"{count} followers of {arguments.rate:g} MB/s in messages of {shown(arguments.message)}"
    )
    table(title, columns, in_turns(list(kinds), arguments.rounds, one))


def _appended(arguments: argparse.Namespace, seconds: int) -> tuple[object, ...]:
    rate = arguments.rate * 1e6
    size = int(rate * seconds)
    return ("-mode", "followers", "-message", arguments.message, "-rate", rate, "-size", size)


def history(arguments: argparse.Namespace) -> None:
    """One follower who catches up, beside a server that only calls sendfile on the same file."""
    ways: dict[str, tuple[object, ...]] = {
        "sendfile": (),
        "?follow, closed log": ("-key", f"{KEY}-closed", "-suffix", "?follow"),
        "?follow, open log": ("-key", KEY, "-suffix", "?follow"),
        "WebSocket, filepipe.binary": (
            "-key", KEY, "-sockets", 1, "-subprotocol", "filepipe.binary"
        ),
        "WebSocket": ("-key", KEY, "-sockets", 1),
    }  # fmt: skip
    sized = ("-size", arguments.size)
    with running(daemon()) as (pid, port, folder):
        for name, query in ((KEY, "?append"), (f"{KEY}-closed", "?append&close")):
            load(port, pid, "-mode", "fill", "-chunked", "-key", name, "-suffix", query, *sized)
        [file, _] = sorted(Path(folder, "filepipe", "logs").glob("*.data"))
        script = str(Path(__file__).with_name("sendfile_server.py"))
        command = (sys.executable, script, "{port}", str(file))
        with running(Server("sendfile", command, frozenset())) as (other_pid, other_port, _):

            def one(name: str) -> Result:
                if name == "sendfile":
                    return load(other_port, other_pid, "-mode", "history", "-key", KEY, *sized)
                return load(port, pid, "-mode", "history", *ways[name], *sized)

            for words in ways.values():  # once with every byte compared, and nothing measured
                if words:
                    load(port, pid, "-mode", "history", "-verify", *words, *sized)
            rows = in_turns(list(ways), arguments.rounds, one)
    peer = rows[0][1]
    for _, results in rows:
        for mine, its in zip(results, peer, strict=True):
            mine["over"] = mine["gb_per_s"] / its["gb_per_s"]
    columns: list[Column] = [
        ("GB/s", key("gb_per_s"), 2),
        ("÷ sendfile", key("over"), 2),
        ("CPU s per GB", key("cpu_s_per_gb"), 2),
    ]
    table(f"One follower catches up {shown(arguments.size)}", columns, rows)


def stopped(arguments: argparse.Namespace) -> None:
    """Two of the followers, one of each kind, stop reading for good, as far as the daemon knows."""
    after = 5
    seconds = after + arguments.stall * 5 // 4 + 10
    count = max(2, arguments.followers // 10)
    words = (*_appended(arguments, seconds), "-readers", count, "-sockets", count // 2)
    words += ("-stopped", 2, "-stop-after", f"{after}s", "-stall", f"{arguments.stall}s")

    def one(name: str) -> Result:
        with running(daemon("--stall-timeout", str(arguments.stall))) as (pid, port, folder):
            result = load(port, pid, *words)
            lines = map(json.loads, folder.with_name("log").read_text().splitlines())
            said = [line["offset"] for line in lines if "took nothing" in line["event"]]
        if len(said) != 2:
            raise RunError(f"the daemon's log tells of {len(said)} who were cut, not of 2")
        for received, sent in zip(sorted(result["cut_at"]), sorted(said), strict=True):
            if received > sent:
                raise RunError(f"who was cut at {sent} has {received} bytes")
        return result

    rows = in_turns(["before"], arguments.rounds, one)
    results = rows[0][1]
    for prefix, name in (("stopped_", "while two take nothing"), ("after_", "once they are cut")):
        rows.append(
            (name, [{k: r[prefix + k] for k in ("p50_ms", "p99_ms", "max_ms")} for r in results])
        )
    title = f"{count} followers of {arguments.rate:g} MB/s, two stop for {arguments.stall} s"
    table(f"{title}: the delay of the others", DELAYS, rows)
    cuts = [f"{offset / 1e6:.1f}" for result in results for offset in result["cut_at"]]
    print(f"\n- They were cut with {', '.join(cuts)} MB, and went on from there without a gap.")


def main() -> int:
    """Measure what was asked for; the status is 1 when a byte was missing."""
    arguments = parse_arguments()
    parts = {"live": live, "history": history, "stopped": stopped}
    wanted = arguments.parts.split(",")
    if unknown := set(wanted) - set(parts):
        raise SystemExit(f"no part {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    build()
    allow_connections()
    for name in wanted:
        try:
            parts[name](arguments)
        except RunError as error:
            print(f"{name} failed: {error}", file=sys.stderr)
            return 1
    print(f"\n{machine()}; {software()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
