"""Which paths there are, what can be asked of them, and how names are written."""

from __future__ import annotations

import json

import pytest

from tests.conftest import eventually
from tests.scenarios.answers import assert_refused
from tests.scenarios.mount import Mount, finished, fresh

VERSIONS = ("1.0", "1.1")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/x",
        "/channels",
        "/channels/",
        "/channels/nobody",
        "/channels/nobody/",
        "/channels/a/b/",
        "/channels/a/b/c",
        "/channels/namespaces/",
        "/state/",
    ],
)
def test_nothing_is_there(front: Mount, path: str, version: str) -> None:
    """404, and nothing else to read; a slash at the end is part of no name."""
    answer = front.ask("GET", path, version=version)
    assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize("path", ["/", "/x", "/channels/a/b/c", "/channels/a/b/"])
def test_nothing_is_taken_there(front: Mount, path: str) -> None:
    """A body neither."""
    assert (front.give("POST", path, b"x").status, front.ask("DELETE", path).status) == (404, 404)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("path", "methods", "allow"),
    [
        ("/channels/a/b", ("PUT", "PATCH", "OPTIONS", "TRACE"), "DELETE, GET, HEAD, POST"),
        ("/channels/a", ("POST", "PUT", "OPTIONS"), "DELETE, GET, HEAD"),
        ("/channels/namespaces", ("POST", "PUT"), "DELETE, GET, HEAD"),
        ("/state", ("POST", "PUT", "DELETE"), "GET, HEAD"),
    ],
)
def test_another_method(
    front: Mount, path: str, methods: tuple[str, ...], allow: str, version: str
) -> None:
    """405, empty, and which ones there are."""
    for method in methods:
        answer = front.ask(method, path, version=version)
        assert (answer.status, answer.body, answer["Allow"]) == (405, b"", allow)


def test_the_daemons_own_paths(root: Mount) -> None:
    """But for /state they are there on this listener too."""
    assert json.loads(root.ask("GET", "/health").body)["status"] == "OK"
    assert root.ask("GET", "/ready").status == 200
    assert root.ask("GET", "/metrics").status == 200
    assert json.loads(root.ask("GET", "/state").body) == {}


def test_in_auto_refusals_have_a_sentence(auto: Mount) -> None:
    """One, as everywhere in it; /state is the daemon's there."""
    assert_refused(auto.ask("GET", "/channels/nobody"), 404, "nobody waits")
    assert_refused(auto.ask("PUT", "/channels/a/b"), 405, "PUT")
    assert_refused(auto.ask("GET", "/channels/a/b?wait=0"), 408, "no producer came")
    assert_refused(auto.ask("GET", "/channels/a/b/c"), 404)
    assert "phase" in json.loads(auto.ask("GET", "/state").body)


def test_in_auto_a_page_may_ask(auto: Mount) -> None:
    """OPTIONS says what there is, and lets a script of another origin use it."""
    asked = ("Origin: http://other", "Access-Control-Request-Method: POST")
    answer = auto.ask("OPTIONS", "/channels/a/b", *asked)
    assert (answer.status, answer["Allow"]) == (204, "DELETE, GET, HEAD, POST, OPTIONS")
    assert answer["Access-Control-Allow-Methods"] == "DELETE, GET, HEAD, POST, OPTIONS"
    assert auto.ask("OPTIONS", "/channels/a")["Allow"] == "DELETE, GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/channels/a%2Fb/c", "escaped slash"),
        ("/channels/a/%2f", "escaped slash"),
        ("/channels/%FF/c", "UTF-8"),
        ("/channels/a/%C3", "UTF-8"),
        ("/channels/a/%zz", "percent"),
        ("/channels//b", "empty segment"),
        ("//channels/a/b", "empty segment"),
        ("/channels/../b", "dot segment"),
        ("/channels/%2E/b", "dot segment"),
        ("/channels/a/b%0Ac", "control"),
        ("/channels/a/%E2%80%AEb", "bidirectional"),
        ("/channels/a/b%5Cc", "backslash"),
        ("/channels/a/e%CC%81", "normalization"),
        ("/channels/a/" + "b" * 502, "512 bytes"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "DELETE"])
def test_a_name_that_cannot_be(front: Mount, method: str, path: str, words: str) -> None:
    """400 and one sentence, whatever is asked of it."""
    answer = front.ask(method, path)
    assert answer.status == 400
    if method != "HEAD":
        assert words in answer.text
        assert answer.text.count("\n") == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/channels/{}/c%20d", "/channels/{}/c%20%64"),
        ("/channels/{}/%C3%BC", "/%63hannels/{}/%c3%bc"),
        ("/channels/{}/x%3Fy", "/channels/{}/%78%3fy"),
    ],
)
def test_two_spellings_of_a_name(front: Mount, one: str, other: str) -> None:
    """Both are decoded, and so they meet."""
    namespace = fresh("spelt")
    consumer = front.start_curl(one.format(namespace))
    assert front.give("POST", other.format(namespace), b"hello").status == 200
    assert finished(consumer).body == b"hello"


def test_long_names(front: Mount) -> None:
    """Up to the limit of all keys."""
    path = "/channels/a/" + "b" * 501
    consumer = front.start_curl(path)
    assert front.give("POST", path, b"hello").status == 200
    assert finished(consumer).body == b"hello"


def test_the_name_namespaces(root: Mount) -> None:
    """It is a namespace as well, whose list only /state shows."""
    consumer = root.start_curl("/channels/namespaces/x")
    eventually(lambda: json.loads(root.ask("GET", "/state").body) == {"namespaces": ["x"]})
    assert json.loads(root.ask("GET", "/channels/namespaces").body) == ["namespaces"]
    assert root.give("POST", "/channels/namespaces/x", b"hello").status == 200
    assert finished(consumer).body == b"hello"


@pytest.mark.parametrize("query", ["a=1&a=2", "%zz", "=", "n=3", "await=x", "x" * 4000])
def test_a_query_means_nothing(front: Mount, channel: str, query: str) -> None:
    """Webhooks come with any."""
    consumer = front.start_curl(channel)
    assert front.give("POST", f"{channel}?{query}", b"hello").status == 200
    assert finished(consumer).body == b"hello"


def test_a_key_has_one_use(root: Mount, auto: Mount, channel: str) -> None:
    """What another protocol writes under the same key takes no message, and the reverse."""
    pipe = Mount(auto.daemon, 0, "/-/file-pipe")
    with pipe.sender("PUT", channel, 5) as upload:
        eventually(lambda: root.give("POST", f"{channel}?wait=0", b"x").status == 409)
        upload.send(b"he")
        assert auto.give("POST", f"{channel}?wait=0", b"x").status == 409
    eventually(lambda: root.give("POST", f"{channel}?wait=0", b"x").status == 408)
    with root.sender("POST", channel, 5):
        eventually(lambda: root.waiting(channel) == 1)
        assert pipe.give("PUT", channel, b"x").status == 409
        assert Mount(auto.daemon, 0, "/-/piping").give("POST", channel, b"x").status == 400
