"""PUT of a key in the protocol auto: what it answers, what it refuses, what it leaves behind."""

from __future__ import annotations

import concurrent.futures
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Daemon, curl, eventually
from tests.scenarios.answers import ask, assert_refused, parse, raw, talk, upload
from tests.scenarios.peers import MIB, Download, Upload, body_of, key_of, sha

Start = Callable[..., Daemon]


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("size", [0, 5, 70_000, 3 * MIB])
def test_one_line_with_the_url(both: Daemon, path: str, size: int, *, chunked: bool) -> None:
    """The answer is the URL and a newline, and the URL leads to the bytes."""
    body = body_of(size)
    framing = ("--header", "Transfer-Encoding: chunked") if chunked else ()
    answer = upload(both, path, body, *framing)
    assert answer.status == 200
    assert answer.text == both.url(path) + "\n"
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["Access-Control-Allow-Origin"] == "*"
    got = ask(both, path)
    assert answer["ETag"] == got["ETag"]
    assert sha(got.body) == sha(body)


def test_no_body_at_all(shared: Daemon, path: str) -> None:
    """A PUT without any framing has an empty body (RFC 9112, 6.3)."""
    assert talk(shared, raw(f"PUT {path} HTTP/1.1")).status == 200
    got = ask(shared, path)
    assert got["Content-Length"] == "0"
    assert got.body == b""


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ("/a%20b-put", "/a%20b-put"),
        ("/%C3%A9t%C3%A9-put", "/%C3%A9t%C3%A9-put"),
        ("/put-(1)!", "/put-%281%29%21"),
        ("/put-%41", "/put-A"),
        ("/put/a/b/c.txt", "/put/a/b/c.txt"),
        ("/put-folder/", "/put-folder/"),
        ("/put-100%25", "/put-100%25"),
        ("/put-q%3Fa", "/put-q%3Fa"),
    ],
)
def test_the_url_can_be_pasted(shared: Daemon, sent: str, answered: str) -> None:
    """Whatever the key, the URL holds nothing that a shell or a terminal would take apart."""
    answer = upload(shared, sent, b"hello")
    assert answer.text == shared.url(answered) + "\n"
    assert curl(answer.text.strip()).stdout == b"hello"


@pytest.mark.parametrize("size", [5, MIB])
def test_the_url_has_the_name_that_the_caller_used(shared: Daemon, path: str, size: int) -> None:
    """Host names the daemon as the caller reaches it."""
    host = f"box.localhost:{shared.address[1]}"
    answer = upload(shared, path, bytes(size), "--header", f"Host: {host}")
    assert answer.text == f"http://{host}{path}\n"


def test_the_url_without_a_host(shared: Daemon, path: str) -> None:
    """An HTTP/1.0 client that names nobody is told the address that it reached."""
    request = f"PUT {path} HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello".encode()
    assert talk(shared, request).text == shared.url(path) + "\n"


@pytest.mark.parametrize("size", [5, MIB])
def test_public_url(start: Start, size: int) -> None:
    """Behind a proxy the URL is the one that the world uses."""
    daemon = start("--public-url", "https://example.org/pipes/")
    assert upload(daemon, "/a%20b", bytes(size)).text == "https://example.org/pipes/a%20b\n"
    assert b"https://example.org/pipes/KEY" in ask(daemon, "/").body


def test_the_prefix_is_part_of_the_url(shared: Daemon, path: str) -> None:
    """`/-/auto/k` and `/k` are one key; each caller is told the way that it came."""
    answer = upload(shared, f"/-/auto{path}", b"hello")
    assert answer.text == shared.url(f"/-/auto{path}") + "\n"
    assert curl(answer.text.strip()).stdout == b"hello"
    assert curl(shared.url(path)).stdout == b"hello"


def test_https(start: Start, tmp_path: Path) -> None:
    """Over TLS everything is the same, and the URL says https."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    daemon = start(
        "--listen", "https://127.0.0.1:0", "--tls-cert", str(certificate), "--tls-key", str(key)
    )
    url = f"https://localhost:{daemon.addresses[0].rpartition(':')[2]}"
    for size in (5, 3 * MIB):
        body = body_of(size)
        trust = ("--cacert", str(certificate))
        sent = curl(*trust, "--upload-file", "-", f"{url}/k-{size}", input=body)
        assert sent.stdout.decode() == f"{url}/k-{size}\n", sent.stderr
        assert sha(curl(*trust, f"{url}/k-{size}").stdout) == sha(body)
    daemon.assert_clean_log()


def test_a_unix_socket(start: Start, tmp_path: Path) -> None:
    """A listener on a path serves curl --unix-socket."""
    name = str(tmp_path / "s")
    start("--listen", f"unix:{name}")
    over = ("--unix-socket", name)
    body = body_of(3 * MIB)
    assert (
        curl(*over, "-T", "-", "http://localhost/k", input=body).stdout == b"http://localhost/k\n"
    )
    assert sha(curl(*over, "http://localhost/k").stdout) == sha(body)


# -- a key that is in use


@pytest.mark.parametrize("size", [5, 2 * MIB])
def test_a_finished_key_is_in_use(both: Daemon, path: str, size: int) -> None:
    """A second upload is refused, and the first stays."""
    assert upload(both, path, b"first").status == 200
    assert_refused(upload(both, path, bytes(size)), 409, "key already exists")
    assert curl(both.url(path)).stdout == b"first"


def test_a_growing_key_is_in_use(both: Daemon, path: str) -> None:
    """A second upload neither waits for the first nor harms it."""
    body = body_of(3 * MIB)
    with Upload(both, path, len(body)) as first:
        first.send(body[:MIB])
        eventually(lambda: key_of(both, path[1:]))
        assert_refused(upload(both, path, b"second"), 409, "key already exists")
        assert first.finish(body[MIB:]).startswith(b"HTTP/1.1 200 ")
    assert sha(curl(both.url(path)).stdout) == sha(body)


@pytest.mark.parametrize("size", [5, 200_000])
def test_of_many_writers_one_wins(shared: Daemon, path: str, size: int) -> None:
    """Of eight uploads at once exactly one is taken, whole."""
    bodies = [body_of(size, seed) for seed in range(8)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda body: upload(shared, path, body), bodies))
    statuses = [answer.status for answer in answers]
    assert sorted(statuses) == [200] + [409] * 7
    assert sha(curl(shared.url(path)).stdout) == sha(bodies[statuses.index(200)])


@pytest.mark.parametrize("length", [None, 3 * MIB], ids=["chunked", "length"])
def test_a_broken_upload_frees_its_key(both: Daemon, path: str, length: int | None) -> None:
    """Whoever comes after a writer that died may take the key, and gets no byte of it."""
    with Upload(both, path, length) as upload_:
        upload_.send(b"x" * MIB)
        eventually(lambda: key_of(both, path[1:]))
    eventually(lambda: key_of(both, path[1:]) is None)
    assert upload(both, path, b"hello").status == 200
    assert curl(both.url(path)).stdout == b"hello"


# -- what is refused

KEYS = {
    "//k": "empty segment",
    "/a//b": "empty segment",
    "/a/../b": "dot segment",
    "/a/.": "dot segment",
    "/%2e%2e/k": "dot segment",
    "/a%2Fb": "%2F",
    "/a%00b": "control",
    "/a%0d%0ab": "control",
    "/a%E2%80%AEb": "bidirectional",
    "/a%5Cb": "backslash",
    "/a%ff": "UTF-8",
    "/a%zz": "percent sign",
    "/e%CC%81": "normalization",
    "/" + "k" * 513: "512 bytes",
}


@pytest.mark.parametrize("method", ["PUT", "GET", "HEAD"])
@pytest.mark.parametrize("key", KEYS)
def test_a_wrong_key(shared: Daemon, key: str, method: str) -> None:
    """Each wrong key gets 400 and what is wrong with it."""
    answer = talk(shared, raw(f"{method} {key} HTTP/1.1"))
    if method == "HEAD":
        assert (answer.status, answer.body) == (400, b"")
    else:
        assert_refused(answer, 400, KEYS[key])


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("max-age=soon", "max-age is not a duration such as 30, 30s, 5m or 1.5h\n"),
        ("max-age=-1", "max-age is not a duration such as 30, 30s, 5m or 1.5h\n"),
        ("max-age=", "max-age is not a duration such as 30, 30s, 5m or 1.5h\n"),
        ("max-age=61m", "max-age exceeds the maximum of 1 hour\n"),
        ("max-age=1&max-age=2", "query has a parameter twice\n"),
        ("=1", "query has a parameter without a name\n"),
        ("max-age=%zz", "query has a percent sign that begins no escape\n"),
        ("max-age=%ff", "query is not valid UTF-8\n"),
        ("&".join(f"a{i}" for i in range(40)), "query has more than 32 parameters\n"),
    ],
)
def test_a_wrong_query(shared: Daemon, path: str, query: str, sentence: str) -> None:
    """A query that cannot be followed is refused, and the key stays free."""
    answer = upload(shared, f"{path}?{query}", b"hello")
    assert_refused(answer, 400)
    assert answer.text == sentence
    assert key_of(shared, path[1:]) is None


def test_max_age(start: Start) -> None:
    """?max-age= is how long this one object is kept, shorter or longer than the others."""
    daemon = start("--retention", "0.5", "--wait", "0")
    upload(daemon, "/long?max-age=1h", b"hello")
    upload(daemon, "/usual", b"hello")
    eventually(lambda: key_of(daemon, "usual") is None)
    assert ask(daemon, "/long").status == 200
    assert upload(daemon, "/none?max-age=0", b"hello").status == 200
    eventually(lambda: key_of(daemon, "none") is None)


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_body_beyond_the_limit(start: Start, each_path: str, *, chunked: bool) -> None:
    """An announced one is refused at once; another when it crosses the limit, with its readers."""
    daemon = start(each_path, "--max-body-size", "2M", "--wait", "0")
    assert upload(daemon, "/fits", bytes(2 * MIB)).status == 200
    size = 2 * MIB + 1
    if not chunked:
        assert_refused(upload(daemon, "/k", bytes(size)), 413, "limit of 2097152 bytes")
    else:
        with Upload(daemon, "/k") as sender, Download(daemon, "/k?wait=30") as reader:
            sender.send(bytes(MIB))
            assert reader.begin() == 200
            sender.send(bytes(MIB + 1))
            assert_refused(parse(sender.finish()), 413, "limit of 2097152 bytes")
            assert reader.rest() is None
    assert ask(daemon, "/k").status == 404
    daemon.assert_clean_log()


def test_a_form(shared: Daemon, path: str) -> None:
    """Of a form only its file is stored, under the form's own name for it."""
    form = ("--form", "comment=hi", "--form", "f=@-;filename=notes.txt;type=text/plain")
    assert curl("-X", "PUT", *form, shared.url(path), input=b"hello").stdout
    got = ask(shared, path)
    assert got.body == b"hello"
    assert got["Content-Type"] == "text/plain"
    assert got["Content-Disposition"] == 'inline; filename="notes.txt"'


def test_an_upload_with_a_condition(shared: Daemon, path: str) -> None:
    """An upload never replaces an object, so one that is to replace a certain one is refused."""
    for tag in ('"0123456789abcdef"', "*"):
        answer = upload(shared, path, b"hello", "--header", f"If-Match: {tag}")
        assert_refused(answer, 412)
    assert upload(shared, path, b"hello", "--header", "If-None-Match: *").status == 200
