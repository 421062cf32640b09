"""Measure filepipe beside its peers and print a Markdown table for each mode."""

import argparse
import contextlib
import json
import resource
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from modes import MODES, Mode
from report import Runs, page, table
from servers import RunError, Server, filepipe, filled, parse_peer, running

GENERATOR = Path(__file__).with_name("pipeload")
BINARY = GENERATOR / "pipeload"
# What 5,000 readers need, on either side, with room for the server's own files.
OPEN_FILES = 16_384


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
        metavar="NAME[WORDS]=COMMAND",
        help="a server to measure beside ours; {port} and {dir} are filled in; [WORDS], "
        "which may be left out: the modes that it takes part in, method=, prefix=; repeatable",
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
    if mode.sized:
        words += ("-size", str(size))
    if not server.ours:
        words += mode.peers
    with running(server) as (pid, port, folder):
        words = tuple(filled(word, {"{dir}": str(folder)}) for word in words)
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


def sides(mode: Mode, peers: list[Server]) -> list[Server]:
    """List who runs in each round: filepipe, the mode's peers, and one of them a second time."""
    ours = filepipe(mode)
    present = [peer for peer in peers if mode.name in peer.modes]
    return [*ours, *present, (present or ours)[0].again()]


def allow_connections() -> None:
    """Raise the limit of open files, for ourselves and all that we start, as far as we may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> int:
    """Measure all modes; the status is 1 when filepipe failed in one."""
    arguments = parse_arguments()
    names = [peer.name for peer in arguments.peer]
    ours = {server.name for mode in MODES for server in filepipe(mode)}
    if len(ours.union(names)) != len(ours) + len(names):
        raise SystemExit(f"Each peer needs a name of its own, not one of ours: {sorted(ours)}.")
    build()
    allow_connections()
    every = []
    for mode in arguments.modes:
        titled = replace(mode, title=mode.title.format(size=shown(arguments.size)))
        servers = sides(mode, arguments.peer)
        every.append(run_mode(titled, servers, arguments.rounds, arguments.size))
        print(table(every[-1]), flush=True)
    if arguments.markdown:
        command = shlex.join(["python", *sys.argv])
        arguments.markdown.write_text(page(command, arguments.rounds, every))
    return int(any(ours & runs.failures.keys() for runs in every))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
