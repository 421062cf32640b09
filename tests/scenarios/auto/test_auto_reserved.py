"""The names that auto keeps for itself, its pages, what is not built yet, and CORS."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Daemon, curl
from tests.scenarios.answers import ask, assert_refused, raw, talk, upload
from tests.scenarios.peers import key_of

UNBUILT = [
    "/-", "/-/", "/-/unknown", "/-/unknown/k", "/channels", "/channels/",
    "/favicon.ico", "/-/auto/-/file-pipe/k", "/%2D/k", "/-/file-pipe",
]  # fmt: skip
PAGES = ["/", "/help", "/version", "/noscript", "/robots.txt", "/-/auto/"]
STATUS = ["/health", "/ready", "/state", "/metrics"]
WRITES = ["PUT", "POST", "PATCH", "DELETE"]


@pytest.mark.parametrize("name", UNBUILT)
def test_a_name_for_later(shared: Daemon, name: str) -> None:
    """Nothing is there, which is said at once; a key it is not, for nobody."""
    assert_refused(ask(shared, name), 404)
    assert ask(shared, name, "--head").status == 404


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("name", UNBUILT + PAGES + STATUS)
def test_a_write(shared: Daemon, name: str, method: str) -> None:
    """A reserved name takes nothing, and says why."""
    answer = talk(shared, raw(f"{method} {name} HTTP/1.1", "Content-Length: 5", body=b"hello"))
    assert_refused(answer, 400, "missing key" if name in ("/", "/-/auto/") else "reserved")
    assert key_of(shared, name[1:]) is None


@pytest.mark.parametrize("name", ["/helpful", "/health/x", "/a/help", "/Help", "/-a", "/filesystem",
                                  "/versions", "/state/", "/k/-/x"])  # fmt: skip
def test_what_only_looks_like_one(shared: Daemon, name: str) -> None:
    """Names that merely resemble a reserved one are keys."""
    assert upload(shared, name, b"hello").text == shared.url(name) + "\n"
    assert curl(shared.url(name)).stdout == b"hello"


@pytest.mark.parametrize("name", PAGES + STATUS)
def test_methods(shared: Daemon, name: str) -> None:
    """A page can be read and asked about; another method gets 405 and what there is."""
    got, head = ask(shared, name), ask(shared, name, "--head")
    assert (got.status, head.status, head.body) == (200, 200, b"")
    assert got["Content-Type"] == head["Content-Type"]
    answer = ask(shared, name, "--request", "TRACE")
    assert_refused(answer, 405)
    assert answer["Allow"] == "GET, HEAD, OPTIONS"
    assert ask(shared, name, "--request", "OPTIONS")["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("name", ["/", "/help"])
def test_help_for_curl(shared: Daemon, name: str) -> None:
    """Somebody with nothing but curl learns how to go on, with an address to paste."""
    answer = ask(shared, name)
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert f"curl -T FILE {shared.url('/KEY')}\n" in answer.text
    assert answer.text.endswith("\n")
    assert max(map(len, answer.text.splitlines())) <= 100


def test_state_for_a_program(shared: Daemon) -> None:
    """Who accepts JSON gets the state."""
    answer = ask(shared, "/", "--header", "Accept: application/json")
    assert answer["Content-Type"] == "application/json; charset=utf-8"
    assert json.loads(answer.body)["phase"] == "running"


def test_the_rest_of_the_pages(shared: Daemon) -> None:
    """A version in one line, and a word to robots."""
    assert ask(shared, "/version").text.startswith("filepipe ")
    assert ask(shared, "/robots.txt").text == "User-agent: *\nDisallow: /\n"


# -- what is not built yet


@pytest.mark.parametrize(
    ("target", "header"),
    [("?verb=append", ""), ("", "X-Verb: append"), ("", "Upgrade: websocket"),
     ("", "Upgrade: WebSocket")],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
def test_what_means_another_protocol(
    shared: Daemon, path: str, method: str, target: str, header: str
) -> None:
    """Whoever speaks httpfstream is answered in that, rather than given a pipe."""
    headers = [header] if header else []
    if header.startswith("Upgrade"):
        headers += ["Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    answer = talk(shared, raw(f"{method} {path}{target} HTTP/1.1", *headers))
    expected = (404, "404 page not found") if method == "GET" else (405, "method not supported")
    assert_refused(answer, *expected)
    assert key_of(shared, path[1:]) is None


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
def test_a_kind_for_later(shared: Daemon, path: str, method: str) -> None:
    """Whoever asks for another kind of channel is told, rather than given a pipe."""
    answer = talk(shared, raw(f"{method} {path}?view=log HTTP/1.1"))
    assert_refused(answer, 400, "?view is not available in this version")
    assert key_of(shared, path[1:]) is None


@pytest.mark.parametrize("method", ["PATCH", "TRACE", "PROPFIND", "DELETE", "LINK"])
def test_a_method_that_is_not_here(shared: Daemon, path: str, method: str) -> None:
    """405 with the methods that are."""
    answer = ask(shared, path, "--request", method, "--data", "hello")
    assert_refused(answer, 405, f"{method} is not supported here")
    assert answer["Allow"] == "GET, HEAD, POST, PUT, OPTIONS"
    assert key_of(shared, path[1:]) is None


# -- scripts of other origins


def test_options(shared: Daemon, path: str) -> None:
    """OPTIONS says what a key takes, whether it exists or not."""
    answer = ask(shared, path, "--request", "OPTIONS")
    assert (answer.status, answer.body) == (204, b"")
    assert answer["Allow"] == "GET, HEAD, POST, PUT, OPTIONS"
    assert answer["Access-Control-Allow-Methods"] is None


def test_a_preflight(shared: Daemon, path: str) -> None:
    """A script of any page may use keys, without anybody's cookies."""
    answer = ask(
        shared, path, "--request", "OPTIONS", "--header", "Origin: https://example.org",
        "--header", "Access-Control-Request-Method: PUT",
        "--header", "Access-Control-Request-Headers: content-type",
    )  # fmt: skip
    assert answer.status == 204
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert answer["Access-Control-Allow-Methods"] == "GET, HEAD, POST, PUT, OPTIONS"
    assert answer["Access-Control-Allow-Headers"] == "*"
    assert answer["Access-Control-Allow-Credentials"] is None


def test_a_script_can_read_what_it_gets(shared: Daemon, path: str) -> None:
    """Every answer about a key, a refusal too, is open to scripts."""
    answers = [
        upload(shared, path, b"hello"), upload(shared, path, b"hello"), ask(shared, path),
        ask(shared, path, "--head"), ask(shared, path, "--range", "1-2"),
        ask(shared, path, "--range", "99-"), ask(shared, path, "--header", "If-None-Match: *"),
        ask(shared, f"{path}-nobody?wait=0"), ask(shared, path, "--request", "POST"),
        ask(shared, f"{path}-nobody", "--request", "POST"), ask(shared, path, "--request", "TRACE"),
    ]  # fmt: skip
    statuses = [answer.status for answer in answers]
    assert statuses == [200, 409, 200, 200, 206, 416, 304, 404, 409, 408, 405]
    assert {answer["Access-Control-Allow-Origin"] for answer in answers} == {"*"}
