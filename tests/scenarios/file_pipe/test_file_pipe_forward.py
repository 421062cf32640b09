"""X-Forward-Url: what the target gets, when it gets it, and what becomes of its failures."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from filepipe.protocols.forwarding import ForwardRules
from filepipe.web.forward import Gate
from tests.conftest import Daemon, eventually, start_curl
from tests.scenarios.file_pipe.front import LISTENERS, Answer, Front, file_of
from tests.scenarios.file_pipe.targets import CREATED, Target, accepting, answering_early, leaving
from tests.scenarios.peers import MIB, body_of, sha

BODY = body_of(3 * MIB)
FORM = "Content-Type: multipart/form-data; boundary=b"
FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nsecret"

Launch = Callable[..., Front]


@pytest.fixture(scope="module")
def forwarding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A daemon that forwards to this machine."""
    settings = ("--forward-allow", "127.0.0.0/8")
    daemon = Daemon([*LISTENERS, *settings], tmp_path_factory.mktemp("forwarding"))
    yield Front(daemon)
    daemon.kill()
    daemon.assert_clean_log()


# -- what arrives


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_the_whole_upload_arrives(
    each_front: Front, key: str, tmp_path: Path, framing: str
) -> None:
    """A length is carried on, as a presigned URL of S3 needs it; what has none goes in chunks."""
    how = ("--header", "Transfer-Encoding: chunked") if framing == "chunked" else ()
    source = file_of(tmp_path, BODY)
    with Target(accepting()) as target:
        answer = each_front.curl(key, "--upload-file", source, "--header", target.header(), *how)
        assert (answer.status, answer.body) == (200, b"")
    (received,) = target.received
    assert received.line == "PUT /there HTTP/1.1"
    assert received.whole
    assert sha(received.body) == sha(BODY)
    length = ("content-length", str(len(BODY)))
    said = dict([length if framing == "length" else ("transfer-encoding", "chunked")])
    assert received.headers == {"host": f"127.0.0.1:{target.port}", "accept": "*/*", **said}
    assert sha(each_front.curl(key).body) == sha(BODY)


def test_what_the_upload_says_of_itself(forwarding: Front, key: str) -> None:
    """Type and encoding go on, nothing else does."""
    said = ("Content-Type: text/x-log", "Content-Encoding: gzip", "Authorization: Bearer s3cret",
            "Cookie: a=b", "Content-Disposition: attachment; filename=a", "X-Other: x")  # fmt: skip
    with Target(accepting()) as target:
        assert forwarding.put(key, b"hello", target.header(), *said).status == 200
    names = {"host", "accept", "content-length", "content-type", "content-encoding"}
    headers = target.received[0].headers
    assert set(headers) == names
    assert (headers["content-type"], headers["content-encoding"]) == ("text/x-log", "gzip")


def test_a_form(forwarding: Front, key: str) -> None:
    """Of a form the file goes on, with its own type."""
    form = (
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n'
        b"Content-Type: text/x-log\r\n\r\nhello\r\n--b--\r\n"
    )
    with Target(accepting()) as target:
        assert forwarding.put(key, form, FORM, target.header()).status == 200
    (received,) = target.received
    assert (received.body, received.whole) == (b"hello", True)
    assert received.headers["content-type"] == "text/x-log"


@pytest.mark.parametrize("framing", ["Content-Length: 0", "Transfer-Encoding: chunked", "X: y"])
def test_an_empty_upload(forwarding: Front, key: str, framing: str) -> None:
    """Nothing is something as well."""
    body = b"0\r\n\r\n" if framing.startswith("T") else b""
    with Target(accepting()) as target:
        assert forwarding.ask("PUT", f"/{key}", framing, target.header(), body=body).status == 200
    (received,) = target.received
    assert (received.body, received.whole) == (b"", True)


@pytest.mark.parametrize(
    "path",
    [
        "/bucket/a%2Fb%20c~(1)?X-Amz-Signature=ab%2Fcd~%7E&b=+%20&&c",
        "/a/../b/./c//d",
        "/%zz?%",
        "/gr%C3%B6%c3%9fe",
        "/?a=b;c=d,e",
        "?a=b",
        "",
    ],
)
def test_the_target_gets_the_url_as_it_was_signed(forwarding: Front, key: str, path: str) -> None:
    """Not one byte of path and query changes."""
    with Target(accepting()) as target:
        assert forwarding.put(key, b"hello", target.header(path)).status == 200
    expected = path if path.startswith("/") else "/" + path
    assert target.received[0].line == f"PUT {expected} HTTP/1.1"


def test_the_target_gets_the_bytes_as_they_come(forwarding: Front, key: str) -> None:
    """The target reads along; the uploader's 200 waits for the target's."""
    with (
        Target(accepting()) as target,
        forwarding.upload(key, 10, target.header()) as upload,
    ):
        upload.send(b"hello")
        eventually(lambda: target.received and target.received[0].body == b"hello")
        assert upload.finish(b"world").startswith(b"HTTP/1.1 200 ")
        assert target.received[0].body == b"helloworld"


def test_no_key_no_forward(forwarding: Front, key: str) -> None:
    """Who does not win the key reaches no target."""
    forwarding.put(key, b"first")
    with Target(accepting()) as target:
        assert forwarding.put(key, b"second", target.header()).status == 409
        assert forwarding.put("", b"second", target.header()).status == 400
    assert target.connections == 0


# -- targets that refuse, or fail


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (FORBIDDEN, "403 Forbidden"),
        (b"HTTP/1.1 403 secret words\r\nContent-Length: 0\r\n\r\n", "403 Forbidden"),
        (b"HTTP/1.1 500 \xff\xfe\r\nContent-Length: 0\r\n\r\n", "500 Internal Server Error"),
        (b"HTTP/1.1 799 secret\r\nContent-Length: 0\r\n\r\n", "799"),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", "304 Not Modified"),
        (b"HTTP/1.1 200", "the target broke the connection"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the target broke the connection"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: a\r\n" * 100000, "the target broke the connection"),
        (b"", "the target broke the connection"),
    ],
)
def test_a_target_that_refuses(forwarding: Front, key: str, answer: bytes, text: str) -> None:
    """502 with the status and its usual words: nobody reads an inner server through us."""

    with Target(accepting(answer)) as target:
        refusal = forwarding.put(key, b"hello", target.header())
    refusal.assert_refusal(502, f"forward failed: {text}")
    assert forwarding.curl(key).body == b"hello"


def test_a_target_that_is_not_there(forwarding: Front, key: str) -> None:
    """A refused connection is a failed forward; what was uploaded stays."""
    with Target(leaving) as target:
        header = target.header()
    forwarding.put(key, b"hello", header).assert_refusal(
        502, "forward failed: the target cannot be reached"
    )
    assert forwarding.curl(key).body == b"hello"


def test_a_name_that_leads_nowhere(launch: Launch) -> None:
    """A name without an address is a failed forward as well."""
    front = launch("--forward-allow", "*")
    for key, host in {"k": "nowhere.invalid", "l": "xn--a.b", "m": "localhost."}.items():
        answer = front.put(key, b"hello", f"X-Forward-Url: http://{host}:1/x")
        answer.assert_refusal(502, "forward failed: the target cannot be reached")
        assert front.curl(key).body == b"hello"
    front.daemon.assert_clean_log()


def test_a_target_that_leaves_in_the_middle(forwarding: Front, key: str, tmp_path: Path) -> None:
    """The upload goes on to its end without its target."""
    source = file_of(tmp_path, BODY)
    with Target(leaving) as target:
        answer = forwarding.curl(key, "--upload-file", source, "--header", target.header())
    answer.assert_refusal(502, "forward failed: the target broke the connection")
    assert sha(forwarding.curl(key).body) == sha(BODY)


def test_an_early_refusal(forwarding: Front, key: str) -> None:
    """A target that has heard enough ends its forward; the upload goes on."""
    with (
        Target(answering_early(FORBIDDEN)) as target,
        forwarding.upload(key, 10, target.header()) as upload,
    ):
        upload.send(b"hello")
        eventually(lambda: forwarding.stored(key) == 5)
        answer = Answer.parse(upload.finish(b"world"))
    answer.assert_refusal(502, "forward failed: 403 Forbidden")
    assert forwarding.curl(key).body == b"helloworld"


@pytest.mark.parametrize("length", [None, 10])
def test_an_early_success(forwarding: Front, key: str, length: int | None) -> None:
    """A target cannot have stored what it has not got yet."""
    with (
        Target(answering_early(CREATED)) as target,
        forwarding.upload(key, length, target.header()) as upload,
    ):
        upload.send(b"hello")
        eventually(lambda: forwarding.readers(key) == 0)
        answer = Answer.parse(upload.finish(b"world"))
    text = "forward failed: the target answered before it had the whole body"
    answer.assert_refusal(502, text)


def test_interim_answers(forwarding: Front, key: str) -> None:
    """100 and 103 are no answer yet."""
    hints = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    with Target(accepting(hints + CREATED)) as target:
        assert forwarding.put(key, b"hello", target.header()).status == 200


def test_an_uploader_that_leaves(forwarding: Front, key: str) -> None:
    """Who waits for a target's answer in vain and goes leaves nothing behind."""
    with Target(answering_early(b"HTTP/1.1 100 Continue\r\n\r\n")) as target:
        source = start_curl(
            "--request", "PUT", "--data", "hello", "--header", target.header(), forwarding.url(key)
        )
        eventually(lambda: forwarding.state_of(key) == "finished")
        assert forwarding.readers(key) == 1
        source.kill()
        source.communicate()
        eventually(lambda: forwarding.readers(key) == 0)
    assert forwarding.curl(key).body == b"hello"


# -- who may be reached


@pytest.mark.parametrize(
    ("url", "status", "text"),
    [
        ("http://10.0.0.1/", 403, "forwarding to this host is not allowed"),
        ("http://[::1]/", 403, "forwarding to this host is not allowed"),
        ("http://2130706433/", 400, "X-Forward-Url has a malformed host"),
        ("http://0x7f.1/", 400, "X-Forward-Url has a malformed host"),
        ("ftp://127.0.0.1/", 400, "X-Forward-Url is not an http or https URL with a host"),
        ("file:///etc/passwd", 400, "X-Forward-Url is not an http or https URL with a host"),
        ("//127.0.0.1/", 400, "X-Forward-Url is not an http or https URL with a host"),
        ("http://u:p@127.0.0.1/", 400, "X-Forward-Url must not have credentials in it"),
        ("http://127.0.0.1/#a", 400, "X-Forward-Url must not have a fragment"),
        ("http://127.0.0.1:0/", 400, "X-Forward-Url has a port that does not exist"),
        ("http://127.0.0.1/a b", 400, "X-Forward-Url has a character that must be percent-encoded"),
        ("", 400, "X-Forward-Url has a character that must be percent-encoded"),
    ],
)
def test_a_target_out_of_the_question(
    forwarding: Front, key: str, url: str, status: int, text: str
) -> None:
    """Such an upload is refused before anything is stored."""
    answer = forwarding.put(key, b"hello", f"X-Forward-Url: {url}")
    answer.assert_refusal(status, text)
    assert forwarding.stored(key) == -1


def test_the_actual_address_counts(forwarding: Front, launch: Launch, key: str) -> None:
    """A name is as good as what it resolves to at the moment of the connect."""
    with Target(accepting()) as target:
        header = target.header(host="localhost")
        assert forwarding.put(key, b"hello", header).status == 200
        elsewhere = launch("--forward-allow", "10.0.0.0/8")
        answer = elsewhere.put("k", b"hello", header)
        answer.assert_refusal(403, "forwarding to this target is not allowed")
        by_name = launch("--forward-allow", "localhost")
        assert by_name.put("k", b"hello", header).status == 200
    assert target.connections == 2


def test_a_name_with_several_addresses() -> None:
    """It is forbidden if none of them is allowed; one that is allowed and down is down."""
    gate = Gate(ForwardRules.parse(["127.0.0.0/8"]))
    inner = (socket.AF_INET6, socket.SOCK_STREAM, 0, "", ("::1", 1, 0, 0))
    with pytest.raises(OSError, match="not allowed"):
        gate.socket(inner)
    assert gate.shut
    gate.socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1))).close()
    assert not gate.shut


def test_redirects_are_not_followed(forwarding: Front, key: str) -> None:
    """Where an allowed target points, nobody goes."""
    with Target(accepting()) as inner:
        redirect = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {inner.url()}\r\n\r\n"
        with Target(accepting(redirect.encode())) as target:
            answer = forwarding.put(key, b"hello", target.header())
    answer.assert_refusal(502, "forward failed: 307 Temporary Redirect")
    assert inner.connections == 0


def test_proxies_of_the_environment_are_not_asked(launch: Launch) -> None:
    """Otherwise the address of the connect would be the proxy's."""
    with Target(accepting()) as proxy, Target(accepting()) as target:
        env = {"http_proxy": proxy.url(""), "HTTP_PROXY": proxy.url("")}
        front = launch("--forward-allow", "127.0.0.0/8", env=env)
        assert front.put("k", b"hello", target.header()).status == 200
    assert (proxy.connections, target.connections) == (0, 1)


def test_several_targets(forwarding: Front, key: str) -> None:
    """One upload has one target, or it is refused."""
    with Target(accepting()) as target:
        answer = forwarding.put(key, b"hello", target.header("/1"), target.header("/2"))
    answer.assert_refusal(400, "X-Forward-Url stands there more than once")
    assert target.connections == 0
