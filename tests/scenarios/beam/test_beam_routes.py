"""Which paths there are, what can be asked of them, and how names are written."""

from __future__ import annotations

import json

import pytest

from tests.conftest import eventually
from tests.scenarios.mount import Mount, finished, fresh

VERSIONS = ("1.0", "1.1")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", ["/a/b", "/a/", "/a/b/c"])
@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE"])
def test_a_name_is_one_segment(front: Mount, method: str, path: str, version: str) -> None:
    """Anything longer is 404, empty; a slash at the end as well."""
    answer = front.ask(method, path, "Content-Length: 0", version=version)
    assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("path", "methods", "allow"),
    [
        ("/name", ("POST", "DELETE", "PATCH", "OPTIONS", "TRACE"), "GET, HEAD, PUT"),
        ("/", ("PUT", "POST", "DELETE", "OPTIONS"), "GET, HEAD"),
    ],
)
def test_another_method(
    front: Mount, path: str, methods: tuple[str, ...], allow: str, version: str
) -> None:
    """405, empty, and which ones there are."""
    for method in methods:
        answer = front.ask(method, path, "Content-Length: 0", version=version)
        assert (answer.status, answer.body, answer["Allow"]) == (405, b"", allow)


def test_the_daemons_own_paths(root: Mount) -> None:
    """They are no names at the root, and names below the prefix."""
    assert json.loads(root.ask("GET", "/health").body)["status"] == "OK"
    answer = root.give("PUT", "/health", b"x")
    assert (answer.status, answer.text) == (400, "this name is the daemon's own")
    prefix = Mount(root.daemon, 0, "/-/beam")
    downloader = prefix.start_curl("/health")
    assert prefix.give("PUT", "/health", b"hello").status == 200
    assert finished(downloader).body == b"hello"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/a%2Fb", "escaped slash"),
        ("/%FF", "UTF-8"),
        ("/%zz", "percent"),
        ("//a", "empty segment"),
        ("/..", "dot segment"),
        ("/%2E", "dot segment"),
        ("/a%0Ab", "control"),
        ("/a%0D%0AX-Injected:%20yes", "control"),
        ("/%E2%80%AEb", "bidirectional"),
        ("/a%5Cb", "backslash"),
        ("/e%CC%81", "normalization"),
        ("/" + "b" * 513, "512 bytes"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD"])
def test_a_name_that_cannot_be(front: Mount, method: str, path: str, words: str) -> None:
    """400 and one sentence, whatever is asked of it."""
    answer = front.ask(method, path, "Content-Length: 0")
    assert answer.status == 400
    assert "X-Injected" not in answer.headers
    if method != "HEAD":
        assert words in answer.text
        assert "\n" not in answer.text


@pytest.mark.parametrize(
    ("one", "other"), [("/{}%20b", "/{}%20%62"), ("/{}%C3%BC", "/{}%c3%bc"), ("/{}%3F", "/{}%3f")]
)
def test_two_spellings_of_a_name(front: Mount, one: str, other: str) -> None:
    """Both are decoded, and so they meet."""
    name = fresh("spelt")
    downloader = front.start_curl(one.format(name))
    assert front.give("PUT", other.format(name), b"hello").status == 200
    assert finished(downloader).body == b"hello"


@pytest.mark.parametrize("query", ["a=1&a=2", "%zz", "=", "n=3"])
def test_a_query_means_nothing(front: Mount, name: str, query: str) -> None:
    """But for `wait`."""
    downloader = front.start_curl(f"{name}?{query}")
    assert front.give("PUT", f"{name}?{query}", b"hello").status == 200
    assert finished(downloader).body == b"hello"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_dashboard(front: Mount, version: str) -> None:
    """One line with the names that wait for a download; a running one is not among them."""
    answer = front.ask("GET", "/", version=version)
    assert (answer.status, answer.text) == (200, "Streams waiting for download: []")
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert front.ask("HEAD", "/", version=version).body == b""
    with front.sender("PUT", "/x", 10) as one, front.sender("PUT", "/%22%C3%A4%22", 5):
        listed = r'Streams waiting for download: ["x", "\"ä\""]'
        eventually(lambda: front.ask("GET", "/").text in (listed, _turned(listed)))
        with front.receiver("/x") as downloader:
            one.send(b"hello")
            assert (downloader.begin(), downloader.take(5)) == (200, b"hello")
            assert front.ask("GET", "/").text == r'Streams waiting for download: ["\"ä\""]'
            one.send(b"world")
            assert downloader.rest() == b"world"
    eventually(lambda: front.ask("GET", "/").text == "Streams waiting for download: []")


def _turned(listed: str) -> str:
    """The same names the other way round: who came first is not the dashboard's to tell."""
    start, _, names = listed.partition("[")
    one, other = names.removesuffix("]").split(", ")
    return f"{start}[{other}, {one}]"
