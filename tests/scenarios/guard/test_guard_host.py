"""Who is asked: the Host of a request, and whether its sender is on this machine."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import Daemon, curl
from tests.scenarios.answers import ask, assert_refused, parse, raw, talk, upload

Start = Callable[..., Daemon]

OURS = [
    "localhost", "LOCALHOST", "localhost:{port}", "127.0.0.1", "127.0.0.1:{port}", "127.8.9.10",
    "[::1]", "[::1]:{port}", "[0:0:0:0:0:0:0:1]", "a.localhost", "a-b.c.localhost:1", "localhost:",
]  # fmt: skip
OTHERS = [
    "evil.example", "evil.example:{port}", "localhost.evil.example", "localhost.", "127.0.0.1.",
    "127.0.0.1.evil.example", "0.0.0.0", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1",
    "127.0.0.256", "[::]", "[::2]", "[::ffff:127.0.0.1]", "192.168.0.1", "evillocalhost",
    "%6cocalhost", ".localhost", "a..localhost",
]  # fmt: skip
REQUESTS = {
    "plain": ("GET /version HTTP/1.1", "Accept: */*"),
    "small": ("PUT /host-{n} HTTP/1.1", "Content-Length: 0"),
    "general": ("GET /version HTTP/1.1", "X: y"),
    "state": ("GET /state HTTP/1.1", "Accept: */*"),
}


@pytest.mark.parametrize("host", OURS)
def test_a_name_of_ours(guarded: Daemon, host: str) -> None:
    """Whatever can only mean this machine is answered."""
    host = host.format(port=guarded.address[1])
    assert talk(guarded, raw("GET /version HTTP/1.1", f"Host: {host}")).status == 200
    assert talk(guarded, raw("PUT /k?max-age=0 HTTP/1.1", f"Host: {host}")).status in (200, 409)


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("host", OTHERS)
def test_a_name_of_somebody_else(guarded: Daemon, host: str, kind: str) -> None:
    """A page that points its own name at this machine gets nothing from a browser on it."""
    line, *headers = REQUESTS[kind]
    host = f"Host: {host.format(port=guarded.address[1])}"
    answer = talk(guarded, raw(line.format(n="x"), host, *headers))
    assert_refused(answer, 421, "loopback")
    assert guarded.state()["channels"] == {}


def test_rebinding(guarded: Daemon) -> None:
    """The same with curl, whose resolver is told that evil.example is 127.0.0.1."""
    port = guarded.address[1]
    here = ("--resolve", f"evil.example:{port}:127.0.0.1")
    assert parse(curl("-i", *here, f"http://evil.example:{port}/state").stdout).status == 421
    sent = curl("-i", *here, "-T", "-", f"http://evil.example:{port}/k", input=b"hello").stdout
    assert parse(sent).status == 421


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "unix"])
def test_a_listener_for_everybody(start: Start, listen: str) -> None:
    """Whom the world can reach cannot know all of its names, only how a name is written."""
    if listen == "unix":
        name = f"{start.__name__}.sock"
        daemon = start("--listen", f"unix:{name}")
        reach = ("--unix-socket", str(daemon.folder / name), "http://localhost")
    else:
        daemon = start("--listen", listen)
        reach = (daemon.url(),)
    *over, base = reach
    for path in ("/version", "/k?wait=0"):
        answer = parse(curl("-i", *over, "-H", "Host: example.org:99", base + path).stdout)
        assert answer.status in (200, 404)
        answer = parse(curl("-i", *over, "-H", "Host: a/b@c:1", base + path).stdout)
        assert_refused(answer, 400, "Host")
    daemon.assert_clean_log()


def test_ipv6(start: Start) -> None:
    """A listener on [::1] holds to the same."""
    daemon = start("--listen", "[::1]:0")
    assert curl(daemon.url("/version")).stdout.startswith(b"filepipe ")
    assert ask(daemon, "/version", "--header", "Host: evil.example").status == 421
    answer = upload(daemon, "/k", b"hello")
    assert answer.text == daemon.url("/k") + "\n"


# -- a caller on this machine


def test_a_local_caller_sees_the_keys(guarded: Daemon) -> None:
    """Somebody on this machine may know what it holds."""
    upload(guarded, "/secret-name?max-age=2", b"hello")
    assert "secret-name" in ask(guarded, "/state").text


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For: 192.0.2.1", "x-forwarded-for: 127.0.0.1", "X-Forwarded-Any: y",
               "X-Forwarded-Proto: https", "Forwarded: for=192.0.2.1", "Via: 1.1 proxy",
               "X-Real-IP: 192.0.2.1"]
)  # fmt: skip
def test_a_caller_behind_a_proxy(guarded: Daemon, header: str) -> None:
    """Whoever comes through a proxy is somebody else, whatever the proxy says of it."""
    upload(guarded, "/hidden-name?max-age=2", b"hello")
    for page in (("/state",), ("/", "--header", "Accept: application/json")):
        answer = ask(guarded, *page, "--header", header)
        assert answer.status == 200
        assert "hidden-name" not in answer.text
        assert '"keys"' not in answer.text


def test_what_is_for_everybody_names_no_key(guarded: Daemon) -> None:
    """Health and metrics are for other eyes."""
    upload(guarded, "/hushed-name?max-age=2", b"hello")
    for page in ("/health", "/ready", "/metrics"):
        assert "hushed-name" not in ask(guarded, page).text
