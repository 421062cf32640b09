"""The ways to load a server, and the numbers that each gives."""

from dataclasses import dataclass

CHANNELS = "/channels/bench/"
AUTO = (("auto", "/"),)
PIPING = (("piping", "/"),)


@dataclass(frozen=True)
class Metric:
    """One number of a run: its name in the generator's line, its heading, its decimals."""

    key: str
    heading: str
    decimals: int


@dataclass(frozen=True)
class Mode:
    """One way to load a server, and what its table shows.

    `ours` has the protocols that filepipe speaks, with the path before the key; with several,
    filepipe runs once for each. `serve` is what `filepipe serve` is told besides. `asked` leaves
    a peer out unless its --peer names the mode. `peers` is what the generator is told besides for
    a peer. In all words {dir} is the folder of the server.
    """

    name: str
    title: str
    words: tuple[str, ...]
    metrics: tuple[Metric, ...]
    sized: bool = False
    serve: tuple[str, ...] = ()
    ours: tuple[tuple[str, str], ...] = AUTO
    asked: bool = False
    peers: tuple[str, ...] = ()


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
UPLOADS = (("uploads", "/"),)
FILES = (("files", "/files/"),)
MODES = (
    Mode(
        "stream", "A reader takes {size} while it is written", ("-mode", "stream"), RATE, sized=True
    ),
    Mode(
        "chunked",
        "The same, written without a Content-Length",
        ("-mode", "stream", "-chunked"),
        RATE,
        sized=True,
    ),
    Mode("late", "{size} written whole, then read", ("-mode", "late"), LATE, sized=True),
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
        sized=True,
        serve=("--max-memory", "64M"),
    ),
    Mode(
        "rendezvous",
        "{size} handed over from a sender to a receiver (filepipe: piping)",
        ("-mode", "stream", "-method", "POST"),
        RATE,
        sized=True,
        ours=PIPING,
        asked=True,
    ),
    Mode(
        "rendezvous-4",
        "{size} handed over from a sender to 4 receivers, GB as sent (filepipe: piping)",
        ("-mode", "stream", "-method", "POST", "-readers", "4", "-suffix", "?n=4"),
        RATE,
        sized=True,
        ours=PIPING,
        asked=True,
    ),
    Mode(
        "messages",
        "POST and GET of 1 KiB, 16 at once, connections kept (filepipe: httpipe)",
        ("-mode", "pairs", "-method", "POST"),
        PAIRS,
        ours=(("httpipe", CHANNELS), ("auto", CHANNELS)),
        asked=True,
    ),
    Mode(
        "waiting",
        "5,000 receivers wait; senders come for 500 of them (filepipe: piping)",
        ("-mode", "waiting", "-method", "POST"),
        (
            Metric("kib_per_reader", "KiB per receiver", 1),
            Metric("p50_ms", "first byte p50 ms", 2),
            Metric("p99_ms", "p99 ms", 2),
            Metric("max_ms", "most ms", 2),
        ),
        ours=PIPING,
        asked=True,
    ),
    Mode(
        "tus",
        "{size} by one PATCH of tus; filepipe has it on the disk then, its peers in the page cache",
        ("-mode", "tus"),
        RATE,
        sized=True,
        ours=FILES,
        asked=True,
    ),
    Mode(
        "tus-durable",
        "{size} by one PATCH of tus, and of the peers the file is synced afterwards",
        ("-mode", "tus"),
        RATE,
        sized=True,
        ours=FILES,
        asked=True,
        peers=("-fsync", "{dir}"),
    ),
    Mode(
        "parts",
        "8 parts of 50 MiB at once, beside 8 dd conv=fsync of the same bytes",
        ("-mode", "parts", "-n", "8", "-c", "8", "-dd", "{dir}"),
        (*RATE, Metric("dd_gb_per_s", "dd GB/s", 2), Metric("over_dd", "÷ dd", 2)),
        serve=("--chunk-size-mb", "50"),
        ours=UPLOADS,
        asked=True,
    ),
    Mode(
        "flight",
        "64 parts of 16 MiB in flight",
        ("-mode", "parts", "-n", "64", "-c", "64", "-size", "16777216"),
        (*RATE, Metric("peak_mib", "peak MiB", 1)),
        serve=("--chunk-size-mb", "16"),
        ours=UPLOADS,
        asked=True,
    ),
    Mode(
        "complete",
        "The end of an upload of 10 GiB in 205 parts",
        ("-mode", "complete", "-n", "205", "-c", "4", "-timeout", "15m"),
        (Metric("complete_ms", "ms", 1),),
        serve=("--chunk-size-mb", "50"),
        ours=UPLOADS,
        asked=True,
    ),
    Mode(
        "append",
        "Messages of 1 KiB appended over a WebSocket, 64 in flight, acknowledged when on the disk, "
        "beside a loop that writes 64 KiB and flushes it",
        ("-mode", "append", "-c", "64", "-bare", "{dir}"),
        (
            Metric("messages_per_s", "messages/s", 0),
            Metric("cpu_us_per_message", "CPU µs per message", 1),
            Metric("per_answer", "messages per answer", 1),
            Metric("bare_per_s", "loop/s", 0),
            Metric("over_bare", "÷ loop", 2),
        ),
        asked=True,
    ),
)
