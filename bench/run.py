"""Measure filepipe beside its peers and print a Markdown table for each mode."""

import argparse
import contextlib
import json
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from report import Metric, Mode, Runs, page, table
from servers import RunError, Server, filepipe, parse_peer, running

GENERATOR = Path(__file__).with_name("pipeload")
BINARY = GENERATOR / "pipeload"

RATE = (Metric("gb_per_s", "GB/s", 2), Metric("cpu_s_per_gb", "CPU s per GB", 2))
PAIRS = (
    Metric("pairs_per_s", "pairs/s", 0),
    Metric("cpu_ms_per_pair", "CPU ms per pair", 3),
    Metric("p99_ms", "p99 ms", 1),
)
LATE = (
    Metric("put_gb_per_s", "PUT GB/s", 2),
    Metric("put_cpu_s_per_gb", "PUT CPU s per GB", 2),
    Metric("get_gb_per_s", "GET GB/s", 2),
    Metric("get_cpu_s_per_gb", "GET CPU s per GB", 2),
)
MODES = (
    Mode("stream", "A reader takes {size} while it is written", ("-mode", "stream"), RATE),
    Mode(
        "chunked",
        "The same, written without a Content-Length",
        ("-mode", "stream", "-chunked"),
        RATE,
    ),
    Mode("late", "{size} written whole, then read", ("-mode", "late"), LATE),
    Mode("pairs", "PUT and GET of 1 KiB, 16 at once, connections kept", ("-mode", "pairs"), PAIRS),
    Mode(
        "pairs-new",
        "PUT and GET of 1 KiB, 16 at once, each on a new connection",
        ("-mode", "pairs", "-keepalive=false"),
        PAIRS,
    ),
    Mode(
        "idle",
        "500 readers wait for keys that nobody writes",
        ("-mode", "idle"),
        (Metric("kib_per_reader", "KiB per waiting GET", 1),),
    ),
    Mode(
        "stuck",
        "8 readers of {size} stop after the head (filepipe: --max-memory 64M)",
        ("-mode", "stuck"),
        (Metric("above_idle_mib", "MiB above idle", 1),),
        serve=("--max-memory", "64M"),
    ),
)
SIZED = ("stream", "chunked", "late", "stuck")


def parse_size(text: str) -> int:
    """Read a number of bytes, with K, M or G for powers of 1024."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    unit = units.get(text[-1:].upper(), 1)
    digits = text if unit == 1 else text[:-1]
    if not digits.isdecimal() or int(digits) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write for example 256M")
    return int(digits) * unit


def shown(size: int) -> str:
    """Write a number of bytes in the largest unit that divides it."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} bytes"


def parse_modes(text: str) -> list[Mode]:
    """Read mode names with commas between."""
    known = {mode.name: mode for mode in MODES}
    names = text.split(",")
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"no mode {name!r}; there are {', '.join(known)}")
    return [known[name] for name in names]


def peer(text: str) -> Server:
    """Read --peer for argparse."""
    try:
        return parse_peer(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def rounds(text: str) -> int:
    """Read --rounds for argparse."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rounds")
    return int(text)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        type=peer,
        metavar="NAME=COMMAND",
        help="a server to measure beside ours; {port} and {dir} are filled in; repeatable",
    )
    parser.add_argument(
        "--modes",
        default=list(MODES),
        type=parse_modes,
        help="any of " + ",".join(mode.name for mode in MODES) + " (default: all)",
    )
    parser.add_argument("--rounds", default=5, type=rounds, help="runs of each server (5)")
    parser.add_argument("--size", default="1G", type=parse_size, help="of a large body (1G)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the whole page too")
    return parser.parse_args()


def build() -> None:
    """Build the load generator where it is missing or older than its source."""
    newest = max(path.stat().st_mtime for path in GENERATOR.glob("*.go"))
    if BINARY.exists() and BINARY.stat().st_mtime >= newest:
        return
    go = shutil.which("go")
    if go is None:
        raise SystemExit("The load generator must be built: install Go 1.21 or newer (go.dev/dl).")
    subprocess.run([go, "build", "-buildvcs=false", "-o", BINARY, "."], cwd=GENERATOR, check=True)


def measure(server: Server, mode: Mode, size: int) -> dict[str, float]:
    """Load one fresh server once; raises RunError with the reason when it breaks."""
    words = mode.words + server.words
    if mode.name in SIZED:
        words += ("-size", str(size))
    with running(server, mode.serve if server.ours else ()) as (pid, port):
        command = [str(BINARY), "-addr", f"127.0.0.1:{port}", "-pid", str(pid), *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    try:
        result: dict[str, float] = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise RunError(f"the load generator ended with {done.returncode}") from None
    if "error" in result:
        raise RunError(str(result["error"]))
    return result


def run_mode(mode: Mode, servers: list[Server], rounds: int, size: int) -> Runs:
    """Run all servers in turn, as often as there are rounds; a server that fails is out.

    Every second round goes backwards, so that nobody always runs after the same other.
    """
    runs = Runs(mode, results={server.name: [] for server in servers})
    runs.control = _control(servers)
    for server in servers:
        if mode.name in server.cannot:
            runs.failures[server.name] = server.cannot[mode.name]
    for number in range(1, rounds + 1):
        for server in servers if number % 2 else reversed(servers):
            if server.name in runs.failures:
                continue
            said = f"{mode.name} {number}/{rounds} {server.name}"
            try:
                result = measure(server, mode, size)
            except RunError as error:
                runs.failures[server.name] = f"failed: {error}"
                print(f"{said}: {error}", file=sys.stderr)
                continue
            runs.results[server.name].append(result)
            numbers = (f"{m.heading} {result[m.key]:.{m.decimals}f}" for m in mode.metrics)
            print(f"{said}: {', '.join(numbers)}", file=sys.stderr)
    return runs


def _control(servers: list[Server]) -> tuple[str, str]:
    again = servers[-1].name
    return again.removesuffix(" (again)"), again


def sides(peers: list[Server]) -> list[Server]:
    """List who runs in each round: filepipe, the peers, and one of them a second time."""
    ours = filepipe()
    first = peers[0] if peers else ours
    again = Server(f"{first.name} (again)", first.command, first.ours)
    return [ours, *peers, again]


def main() -> int:
    """Measure all modes; the status is 1 when filepipe failed in one."""
    arguments = parse_arguments()
    names = [peer.name for peer in arguments.peer]
    if len(set(names) | {"filepipe"}) != len(names) + 1:
        raise SystemExit("Each peer needs a name of its own, other than filepipe.")
    build()
    servers = sides(arguments.peer)
    every = []
    for mode in arguments.modes:
        titled = replace(mode, title=mode.title.format(size=shown(arguments.size)))
        every.append(run_mode(titled, servers, arguments.rounds, arguments.size))
        print(table(every[-1]), flush=True)
    if arguments.markdown:
        command = shlex.join(["python", *sys.argv])
        arguments.markdown.write_text(page(command, arguments.rounds, every))
    return int(any("filepipe" in runs.failures for runs in every))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
