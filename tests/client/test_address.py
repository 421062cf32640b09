"""From URLs and keys to addresses."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from filepipe.client import BadAddress
from filepipe.client.address import base_url, key_url, whole_url, with_query, without_secrets
from filepipe.errors import BadKey
from filepipe.keys import parse_key

BASE = base_url("http://h:3000")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://h", "http://h/"),
        ("http://h:3000/", "http://h:3000/"),
        ("https://[::1]:3000/-/piping", "https://[::1]:3000/-/piping/"),
    ],
)
def test_base_ends_with_a_slash(text: str, expected: str) -> None:
    """Keys go below the path of a server."""
    assert str(base_url(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "h:3000",
        "localhost:3000",
        "ftp://h",
        "http://",
        "http://h:99999",
        "http://[::1",
        "http://a b",
        "http://h\n",
        "http://h/?a=b",
        "http://h/#a",
    ],
)
def test_base_that_is_none(text: str) -> None:
    """What is no URL of a server is refused in one sentence."""
    with pytest.raises(BadAddress, match="URL"):
        base_url(text)


def test_whole_url_stays_as_it_is() -> None:
    """Nothing of a URL is decoded, encoded or shortened on the way."""
    text = "http://h/a%2Fb/../c%20d?x=%41"
    assert str(whole_url(text)) == text


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a", "a"),
        ("/a", "a"),
        ("a/b/", "a/b/"),
        ("a b?c#d%", "a%20b%3Fc%23d%25"),
        ("../x", "../x"),
        ("ü", "%C3%BC"),
    ],
)
def test_key_is_encoded(key: str, expected: str) -> None:
    """A key keeps its slashes and nothing else that a URL would misread."""
    assert str(key_url(BASE, key)) == f"http://h:3000/{expected}"


@pytest.mark.parametrize(("key", "why"), [("", "empty"), ("/", "empty"), ("\udcff", "UTF-8")])
def test_key_that_cannot_be_sent(key: str, why: str) -> None:
    """No request is made for what cannot be a key."""
    with pytest.raises(BadAddress, match=why):
        key_url(BASE, key)


@given(st.text(min_size=1).filter(lambda key: not key.startswith("/")))
def test_server_reads_the_same_key(key: str) -> None:
    """Whatever key the server accepts at all, it is the one that was meant."""
    try:
        path = key_url(BASE, key).raw_path
    except BadAddress:
        return
    with contextlib.suppress(BadKey):
        assert parse_key(path) == key


def test_url_stands_for_itself() -> None:
    """A URL instead of a key ignores the server of the client."""
    url = URL("http://other/x")
    assert key_url(BASE, url) is url


def test_query_is_added() -> None:
    """Parameters follow those that are there; None is none."""
    url = with_query(whole_url("http://h/a?b=c#d"), wait=None, max_age=60.0)
    assert str(url) == "http://h/a?b=c&max-age=60"
    assert str(with_query(whole_url("http://h/a"), wait=0.25)) == "http://h/a?wait=0.25"
    assert str(with_query(whole_url("http://h/a"), wait=None)) == "http://h/a"


def test_secrets_are_not_shown() -> None:
    """User, password and query stay private."""
    assert str(without_secrets(whole_url("http://u:p@h/a%20b?token=t#f"))) == "http://h/a%20b"
