"""Keys: what a path may name, and that it names only one thing."""

import contextlib
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from filepipe.errors import BadKey, BadRequest
from filepipe.keys import (
    MAX_KEY_BYTES,
    Key,
    is_reserved,
    parse_key,
    quote_key,
    split_target,
)

PATHS = st.text(
    st.one_of(st.sampled_from("/.%aAeE2fF0\\ é"), st.characters(codec="utf-8")), max_size=40
).map("/".__add__)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/a", "a"),
        ("/a/b", "a/b"),
        ("/a/b/", "a/b/"),
        ("/a%20b", "a b"),
        ("/%61", "a"),
        ("/é", "é"),
        ("/%C3%A9", "é"),
        ("/a%252Fb", "a%2Fb"),
        ("/...", "..."),
        ("/.hidden", ".hidden"),
        ("/a..b/c.", "a..b/c."),
        ("/*", "*"),
        ("/a+b", "a+b"),
        ("/a#b", "a#b"),
    ],
)
def test_path_names_key(path: str, key: str) -> None:
    """A path is decoded once and keeps its slashes."""
    assert key == parse_key(path)


@pytest.mark.parametrize("path", ["/", "", "//", "///"])
def test_strip_all_of_slashes_only_is_missing(path: str) -> None:
    """Slashes alone name nothing, in file-pipe's words."""
    with pytest.raises(BadKey, match=r"^missing key in path$"):
        parse_key(path, strip_all=True)


def test_empty_key_is_missing() -> None:
    """The bare root names nothing."""
    with pytest.raises(BadKey, match=r"^missing key in path$"):
        parse_key("/")


def test_leading_slashes_stripped_only_when_asked() -> None:
    """file-pipe takes all leading slashes off; elsewhere a second one is an empty segment."""
    assert parse_key("///x", strip_all=True) == parse_key("/x")
    with pytest.raises(BadKey, match=r"^key has an empty segment$"):
        parse_key("//x")


@pytest.mark.parametrize("unit", ["a", "é", "%20", "\udcff"])
def test_too_long_counts_bytes_as_received(unit: str) -> None:
    """The limit counts the bytes of the request, escapes and broken bytes included."""
    size = len(unit.encode("utf-8", "surrogateescape"))
    fits = unit * (MAX_KEY_BYTES // size)
    padded = fits + "a" * (MAX_KEY_BYTES - size * (MAX_KEY_BYTES // size))
    if unit == "\udcff":
        with pytest.raises(BadKey, match="UTF-8"):
            parse_key("/" + padded)
    else:
        assert parse_key("/" + padded)
    with pytest.raises(BadKey, match=r"^key exceeds 512 bytes$"):
        parse_key("/" + padded + "a")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/a//b", "empty segment"),
        ("/a//", "empty segment"),
        ("/.", "dot segment"),
        ("/..", "dot segment"),
        ("/../x", "dot segment"),
        ("/a/./b", "dot segment"),
        ("/a/..", "dot segment"),
        ("/a/../", "dot segment"),
        ("/%2e%2E/x", "dot segment"),
        ("/.%2e", "dot segment"),
        ("/a%2fb", "escaped slash"),
        ("/a%2Fb", "escaped slash"),
        ("/a\\b", "backslash"),
        ("/a%5Cb", "backslash"),
        ("/a%", "percent sign"),
        ("/a%2", "percent sign"),
        ("/a%zz", "percent sign"),
        ("/%ff", "UTF-8"),
        ("/\udcff", "UTF-8"),
        ("/%c0%af", "UTF-8"),
        ("/%ed%a0%80", "UTF-8"),
        ("/a%00", "control"),
        ("/a%0d%0ab", "control"),
        ("/a%7f", "control"),
        ("/a%c2%85", "control"),
        ("/e%CC%81", "normalization"),
        ("/\u202eexe.txt", "bidirectional"),
        ("/%E2%80%8E", "bidirectional"),
        ("/\u2066x", "bidirectional"),
        ("/\u061cx", "bidirectional"),
    ],
)
def test_path_refused_with_reason(path: str, text: str) -> None:
    """Each broken rule has its own sentence."""
    with pytest.raises(BadKey, match=text):
        parse_key(path)


@given(PATHS, st.booleans())
def test_key_survives_its_own_url(path: str, strip_all: bool) -> None:
    """Whatever is accepted obeys the rules and is the same key again when quoted."""
    try:
        key = parse_key(path, strip_all=strip_all)
    except BadKey:
        return
    assert unicodedata.is_normalized("NFC", key)
    assert not {"", ".", ".."} & set(key.removesuffix("/").split("/"))
    assert "\\" not in key
    quoted = quote_key(key)
    assert quoted.isascii()
    assume(len(quoted) <= MAX_KEY_BYTES)
    assert key == parse_key("/" + quoted)
    assert key == parse_key("/" + quoted, strip_all=True)


@given(PATHS, st.lists(st.booleans(), min_size=40, max_size=40))
def test_every_spelling_names_the_same_key(path: str, escaped: list[bool]) -> None:
    """Escaping any of a key's characters, except its slashes, does not make another key."""
    try:
        key = parse_key(path)
    except BadKey:
        return
    pieces = [
        "".join(f"%{byte:02x}" for byte in char.encode()) if escape else char
        for char, escape in zip(key.replace("%", "_"), escaped, strict=False)
    ]
    spelling = "".join("/" if piece == "%2f" else piece for piece in pieces)
    assert key.replace("%", "_") == parse_key("/" + spelling)


@given(st.text())
def test_only_bad_key_is_raised(path: str) -> None:
    """No text at all makes the parser fail in another way."""
    with contextlib.suppress(BadKey):
        assert parse_key(path)


@pytest.mark.parametrize(
    "key",
    [
        "-",
        "-/piping/x",
        "channels/a/b",
        "channels/",
        "upload",
        "files/1",
        "streams/k",
        "",
        "help",
        "version",
        "health",
        "ready",
        "state",
        "metrics",
        "noscript",
        "favicon.ico",
        "robots.txt",
    ],
)
def test_names_of_the_daemon_are_reserved(key: str) -> None:
    """First segments are kept with all below them, and a few names exactly."""
    assert is_reserved(Key(key))


@pytest.mark.parametrize("key", ["a", "health/", "help/x", "Health", "uploads", "a/channels", "--"])
def test_other_names_are_free(key: str) -> None:
    """A name is kept exactly, or as a whole first segment, and no further."""
    assert not is_reserved(Key(key))


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("/a", ("/a", "")),
        ("/a?b", ("/a", "b")),
        ("/a?b?c", ("/a", "b?c")),
        ("//a", ("//a", "")),
        ("/http://x", ("/http://x", "")),
        ("http://h/a?b", ("/a", "b")),
        ("HTTPS://h:1/a/b", ("/a/b", "")),
        ("http://h", ("/", "")),
        ("http://h?b", ("/", "b")),
    ],
)
def test_target_splits_into_path_and_query(target: str, parts: tuple[str, str]) -> None:
    """Origin form and absolute form mean the same."""
    assert parts == split_target(target)


@pytest.mark.parametrize(
    "target",
    [
        "",
        "*",
        "a",
        "?a",
        "h:80",
        "ftp://h/a",
        "http:/a",
        "http://",
        "http:///a",
        "http://u@h/a",
        "/a#b",
        "http://h/a#b",
    ],
)
def test_target_in_other_form_refused(target: str) -> None:
    """What is neither form, or hides something in its authority, is refused."""
    with pytest.raises(BadRequest, match=r"^request target "):
        split_target(target)
