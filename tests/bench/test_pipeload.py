"""The load generator and its runner: they measure a sound server and refuse a broken one."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "bench" / "pipeload"
SIZE = 3_000_000
API_KEY = "the-key-of-these-tests-and-of-nothing-else"

# A first build compiles Go's own library too.
pytestmark = pytest.mark.timeout(240)

Load = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def go() -> str:
    found = shutil.which("go")
    if found is None:
        pytest.skip("go is not installed, so the load generator cannot be built")
    return found


@pytest.fixture(scope="module")
def binary(go: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("go") / "pipeload"
    subprocess.run([go, "build", "-buildvcs=false", "-o", built, "."], cwd=SOURCE, check=True)
    return built


@pytest.fixture
def load(binary: Path) -> Load:
    """Run the generator; gives its exit status and its line."""

    def run(port: int, *words: str) -> tuple[int, dict[str, Any]]:
        command = [str(binary), "-addr", f"127.0.0.1:{port}", "-timeout", "30s", *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
        return done.returncode, json.loads(done.stdout)

    return run


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """The real daemon on a free port; gives port and process id."""
    yield from _daemon(tmp_path_factory)


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """One that takes uploads in parts of a MiB."""
    yield from _daemon(tmp_path_factory, "--chunk-size-mb", "1")


def _daemon(tmp_path_factory: pytest.TempPathFactory, *settings: str) -> Iterator[tuple[int, int]]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    data = tmp_path_factory.mktemp("data")
    command = [sys.executable, "-m", "filepipe", "serve", "--listen", f"127.0.0.1:{port}"]
    environment = {**os.environ, "API_KEY": API_KEY}
    words = [*command, "--data-dir", str(data), *settings]
    process = subprocess.Popen(words, cwd=data, env=environment)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            time.sleep(0.05)
        yield port, process.pid
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], int]]:
    """Start servers that take any PUT and answer each GET with fixed bytes; gives the port."""
    listeners: list[socket.socket] = []

    def start(reply: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=_answer_all, args=(listener, reply), daemon=True).start()
        port: int = listener.getsockname()[1]
        return port

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _answer_all(listener: socket.socket, reply: bytes) -> None:
    with contextlib.suppress(OSError):
        while True:
            conn, _ = listener.accept()
            with conn:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += conn.recv(65536)
                head, _, rest = request.partition(b"\r\n\r\n")
                if head.startswith(b"GET "):
                    conn.sendall(reply)
                    continue
                missing = int(head.lower().split(b"content-length: ")[1].split()[0]) - len(rest)
                while missing > 0:
                    missing -= len(conn.recv(65536))
                conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize(
    ("words", "number"),
    [
        pytest.param("-mode stream -readers 3", "gb_per_s", id="readers-first"),
        pytest.param("-mode stream -first put", "gb_per_s", id="writer-first"),
        pytest.param("-mode stream -chunked", "gb_per_s", id="chunked"),
        pytest.param(
            "-mode stream -method POST -readers 2 -suffix ?n=2", "gb_per_s", id="rendezvous"
        ),
        pytest.param("-mode late", "put_gb_per_s", id="late-put"),
        pytest.param("-mode late -chunked", "get_gb_per_s", id="late-get-chunked"),
        pytest.param("-mode pairs -n 60 -c 4 -size 1024", "pairs_per_s", id="pairs"),
        pytest.param("-mode pairs -n 60 -c 4 -keepalive=false", "p99_ms", id="pairs-new"),
        pytest.param("-mode pairs -n 60 -c 4 -first put -size 9", "p50_ms", id="pairs-put-first"),
        pytest.param(
            "-mode pairs -n 60 -c 4 -method POST -prefix /channels/bench/", "p99_ms", id="messages"
        ),
        pytest.param("-mode stuck -readers 2", "seconds", id="stuck"),
    ],
)
def test_mode_measures_the_daemon(
    load: Load, daemon: tuple[int, int], words: str, number: str
) -> None:
    """Each mode moves and compares all bytes, and reports time, CPU and memory."""
    port, pid = daemon
    sized = [] if "pairs" in words else ["-size", str(SIZE)]
    status, line = load(port, "-pid", str(pid), "-verify", *sized, *words.split())
    assert "error" not in line
    assert status == 0
    assert line[number] > 0
    assert any(name.endswith("cpu_s") for name in line)
    assert any(name.endswith("peak_kib") and value > 1000 for name, value in line.items())


@pytest.mark.parametrize(
    ("words", "number"),
    [
        pytest.param("-mode tus -prefix /files/ -verify", "gb_per_s", id="tus"),
        pytest.param("-mode tus -prefix /files/ -fsync {dir}", "gb_per_s", id="tus-durable"),
        pytest.param("-mode parts -n 3 -c 2 -dd {dir}", "over_dd", id="parts"),
        pytest.param("-mode complete -n 2 -c 2", "complete_ms", id="complete"),
    ],
)
def test_uploads_are_measured(
    load: Load, uploads: tuple[int, int], tmp_path: Path, words: str, number: str
) -> None:
    """Each mode brings all bytes there, and reports time, CPU and memory."""
    port, pid = uploads
    given = words.replace("{dir}", str(tmp_path)).split()
    status, line = load(port, "-pid", str(pid), "-apikey", API_KEY, "-size", str(1 << 20), *given)
    assert "error" not in line
    assert status == 0
    assert line[number] > 0
    assert line["peak_kib"] > 1000


def test_a_part_of_another_size_is_refused(load: Load, uploads: tuple[int, int]) -> None:
    """What the server wants otherwise than it was asked for is no measurement."""
    words = ["-mode", "parts", "-apikey", API_KEY, "-n", "3", "-size", "400000"]
    status, line = load(uploads[0], *words)
    assert status == 1
    assert "the server wants 2 parts" in line["error"]


def test_appended_messages_are_counted(load: Load, daemon: tuple[int, int], tmp_path: Path) -> None:
    """All are acknowledged, no answer tells of none, and the log has their bytes."""
    port, pid = daemon
    words = ["-mode", "append", "-n", "2000", "-c", "64", "-bare", str(tmp_path), "-verify"]
    status, line = load(port, "-pid", str(pid), *words)
    assert "error" not in line
    assert status == 0
    assert line["messages"] == 2000
    assert 1 <= line["per_answer"] <= 64
    assert line["over_bare"] > 0
    assert line["peak_kib"] > 1000
    assert not list(tmp_path.iterdir())


def test_a_refused_handshake_is_no_measurement(
    load: Load, answering: Callable[[bytes], int]
) -> None:
    """Its status is told."""
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    status, line = load(answering(refusal), "-mode", "append")
    assert status == 1
    assert "the handshake got status 403" in line["error"]


@pytest.mark.parametrize("asked", ["", "filepipe.binary"])
def test_followers_time_every_message(load: Load, daemon: tuple[int, int], asked: str) -> None:
    """Of both kinds; who stops reading is cut, and goes on."""
    port, pid = daemon
    words = f"-mode followers -readers 4 -sockets 2 -size {SIZE} -message 1000 -rate 4e6"
    status, line = load(port, "-pid", str(pid), *words.split(), "-subprotocol", asked)
    assert "error" not in line
    assert status == 0
    assert 0 <= line["p50_ms"] <= line["p99_ms"] <= line["max_ms"]
    assert line["waiting_kib_per_follower"] >= 0


def test_a_follower_that_is_not_cut_is_no_measurement(load: Load, daemon: tuple[int, int]) -> None:
    """Who stopped reading, and was waited for, got everything."""
    port, _ = daemon
    words = f"-mode followers -readers 2 -stopped 1 -stop-after 0s -stall 1ms -size {SIZE}"
    status, line = load(port, *words.split(), "-rate", "7e5")
    assert status == 1
    assert line["error"] == "who stopped reading was not cut"


@pytest.mark.parametrize("words", ["-suffix ?follow", "-sockets 1 -subprotocol filepipe.binary"])
def test_one_catches_up(load: Load, daemon: tuple[int, int], words: str) -> None:
    """With what is there, whatever comes after it."""
    port, pid = daemon
    sized = ("-key", f"history-{len(words)}", "-size", str(SIZE), "-verify", "-pid", str(pid))
    assert load(port, "-mode", "fill", "-chunked", "-suffix", "?append", *sized)[0] == 0
    status, line = load(port, "-mode", "history", *words.split(), *sized)
    assert "error" not in line
    assert status == 0
    assert line["gb_per_s"] > 0


def test_idle_counts_memory_of_waiting_readers(load: Load, daemon: tuple[int, int]) -> None:
    """Readers of keys that nobody writes wait, and each has its price in KiB."""
    port, pid = daemon
    status, line = load(port, "-pid", str(pid), "-mode", "idle", "-n", "20")
    assert "error" not in line
    assert status == 0
    assert line["kib_per_reader"] >= 0
    assert line["waiting"] == 20


def test_waiting_times_senders_while_the_others_wait(load: Load, daemon: tuple[int, int]) -> None:
    """Some of the waiting readers get their key, and the time to its first byte is known."""
    port, pid = daemon
    words = "-mode waiting -n 20 -senders 5 -method POST -verify"
    status, line = load(port, "-pid", str(pid), *words.split())
    assert "error" not in line
    assert status == 0
    assert line["kib_per_reader"] >= 0
    assert 0 < line["p50_ms"] <= line["p99_ms"] <= line["max_ms"]


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n12345", "5 of 9 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345", "5 of 9 bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\n12345", "5 of 9 bytes"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n",
            "no last chunk",
        ),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone", "404"),
        (b"", "no answer"),
    ],
    ids=["cut", "short", "short-by-close", "no-last-chunk", "refused", "silent"],
)
@pytest.mark.parametrize("mode", ["late", "stream"])
def test_missing_bytes_end_the_run_with_an_error(
    load: Load, answering: Callable[[bytes], int], mode: str, reply: bytes, says: str
) -> None:
    """A server that loses or refuses bytes gets no numbers but exit status 1."""
    status, line = load(answering(reply), "-mode", mode, "-size", "9", "-first", "put")
    assert status == 1
    assert says in line["error"]
    assert not any("gb_per_s" in name for name in line if not name.startswith("put_"))


def test_wrong_bytes_end_a_verified_run(load: Load, answering: Callable[[bytes], int]) -> None:
    """With -verify, bytes that nobody wrote are an error, though their number is right."""
    port = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789")
    assert load(port, "-mode", "late", "-size", "9")[0] == 0
    status, line = load(port, "-mode", "late", "-size", "9", "-verify")
    assert status == 1
    assert "wrong bytes between 0 and 9" in line["error"]


def test_short_small_body_ends_the_run_with_an_error(
    load: Load, answering: Callable[[bytes], int]
) -> None:
    """Pairs count the bytes of each answer too."""
    port = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345")
    status, line = load(port, "-mode", "pairs", "-size", "9", "-first", "put", "-n", "4")
    assert status == 1
    assert "5 of 9 bytes" in line["error"]


@pytest.mark.parametrize("words", ["-mode idle", "-mode waiting -senders 2"])
def test_answered_readers_are_no_waiting_readers(
    load: Load, answering: Callable[[bytes], int], words: str
) -> None:
    """Both fail when the server answers what it should keep waiting."""
    size = ["-size", "5", "-first", "put"]
    port = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345")
    status, line = load(port, "-n", "2", *size, *words.split())
    assert status == 1
    assert "waiting reader 0" in line["error"]


def test_unknown_mode_is_refused(load: Load) -> None:
    """A wrong mode is an error that lists the right ones."""
    status, line = load(1, "-mode", "fast")
    assert status == 1
    assert "late, pairs, parts, stream" in line["error"]


def test_more_senders_than_readers_are_refused(load: Load) -> None:
    """Each sender needs a reader of its own."""
    status, line = load(1, "-mode", "waiting", "-n", "2", "-senders", "3")
    assert status == 1
    assert "-senders is at least 1 and at most -n" in line["error"]


def test_generator_is_clean(go: str) -> None:
    """The generator's own tests pass, and gofmt and vet find nothing in it."""
    gofmt = str(Path(go).with_name("gofmt"))
    unformatted = subprocess.run([gofmt, "-l", "."], cwd=SOURCE, stdout=subprocess.PIPE, check=True)
    assert unformatted.stdout == b""
    subprocess.run([go, "vet", "./..."], cwd=SOURCE, check=True)
    subprocess.run([go, "test", "./..."], cwd=SOURCE, check=True)


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "bench/run.py", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_runner_writes_a_page(go: str, tmp_path: Path) -> None:
    """One round gives a page with machine, command, one table a mode and the failed peer."""
    page = tmp_path / "page.md"
    peer = "gone=/nonexistent/server {port}"
    names = ["--modes", "rendezvous-4,late"]
    words = ["--rounds", "1", "--size", "2M", "--markdown", str(page)]
    done = _run("--peer", peer, *names, *words)
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert text.startswith("# Benchmarks\n")
    assert f"--peer '{peer}'" in text
    assert text.count("| filepipe | ") == 2
    assert "## 2 MiB written whole, then read" in text
    # It takes part in what its --peer names, or without that in what does not ask for it.
    first, second = text.split("\n## ")[1:]
    assert "- filepipe ÷ filepipe (again): " in first
    assert "gone" not in first
    assert "- gone: failed: cannot start /nonexistent/server: No such file" in second
    assert text.endswith(done.stdout.rpartition("##")[2].rstrip("\n") + "\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--peer", "nothing"], "a peer is NAME=COMMAND"),
        (["--peer", "a[late=server {port}"], "a peer is NAME=COMMAND or NAME[MODE,MODE]=COMMAND"),
        (["--peer", "a[late,fast]=server {port}"], "a: 'fast' is neither a mode nor method="),
        (["--peer", "a=server -p 80"], "has no {port}"),
        (["--modes", "fast"], "no mode 'fast'"),
        (["--size", "much"], "is no size"),
        (["--rounds", "0"], "is no number of rounds"),
    ],
)
def test_runner_refuses_a_wrong_argument(words: list[str], says: str) -> None:
    """A wrong argument is one clear line and exit status 2."""
    done = _run(*words)
    assert done.returncode == 2
    assert says in done.stderr


def test_readme_lists_every_mode() -> None:
    """The runner names its modes when one is wrong, and each has its line in the README."""
    names = _run("--modes", "fast").stderr.strip().partition("there are ")[2].split(", ")
    readme = (ROOT / "bench" / "README.md").read_text()
    assert "rendezvous" in names
    assert [name for name in names if f"\n| `{name}` |" not in readme] == []
