"""Upload-Metadata: every form of a pair, and what some names mean."""

from __future__ import annotations

import contextlib
import unicodedata
from base64 import b64encode
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.errors import BadKey, BadRequest
from filepipe.protocols.tus_metadata import TusMetadata, parse_metadata


def pair(name: str, value: str | bytes) -> str:
    """One pair as a client writes it."""
    raw = value.encode() if isinstance(value, str) else value
    return f"{name} {b64encode(raw).decode()}"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("empty", {"empty": b""}),
        ("empty ", {"empty": b""}),
        ("a YQ==", {"a": b"a"}),
        ("a YQ==,b Yg==", {"a": b"a", "b": b"b"}),
        ("a YQ==, b Yg==", {"a": b"a", "b": b"b"}),
        ("a,b", {"a": b"", "b": b""}),
        ("a /w==", {"a": b"\xff"}),
        ("!#$%&'*+-.^_`|~ YQ==", {"!#$%&'*+-.^_`|~": b"a"}),
        ("filename d29ybGQ=,is_confidential", {"filename": b"world", "is_confidential": b""}),
    ],
)
def test_pairs_are_read(text: str, values: dict[str, bytes]) -> None:
    """With and without a value; what came is kept as it came."""
    metadata = parse_metadata(text)
    assert metadata.values == values
    assert metadata.text == text


@pytest.mark.parametrize(
    "text",
    [",", "a YQ==,", ",a YQ==", "ä YQ==", "a YQ", "a Y?==", "a  YQ==", "a YQ== b", "a ä",
     "a YQ==,a Yg==", "a,a", "a\x00 YQ=="],
)  # fmt: skip
def test_what_is_no_list_of_pairs_is_refused(text: str) -> None:
    """With one sentence."""
    with pytest.raises(BadRequest, match="Upload-Metadata has"):
        parse_metadata(text)


@given(st.dictionaries(st.text("abcXYZ-_09", min_size=1), st.binary(max_size=50), max_size=9))
def test_what_is_written_is_read(values: dict[str, bytes]) -> None:
    """Whatever the values are."""
    text = ",".join(pair(name, value) for name, value in values.items())
    assert parse_metadata(text).values == values


@given(st.text(max_size=60))
def test_nothing_else_than_a_refusal(text: str) -> None:
    """Whatever comes."""
    with contextlib.suppress(BadRequest):
        metadata = parse_metadata(text)
        assert metadata.key is None or metadata.key
        assert metadata.path is None or metadata.path.parts


def test_nothing_is_said() -> None:
    """Without the field there is no name of any kind."""
    metadata = TusMetadata()
    assert (metadata.key, metadata.path, metadata.content_type) == (None, None, None)


@pytest.mark.parametrize(
    ("value", "key"),
    [("a", "a"), ("/a", "a"), ("films/big.mov", "films/big.mov"), ("ä b", "ä b"), ("50%", "50%")],
)
def test_a_key_is_taken_as_it_is(value: str, key: str) -> None:
    """It is a text already; nothing in it is decoded again."""
    assert parse_metadata(pair("key", value)).key == key


@pytest.mark.parametrize(
    "value",
    ["", "/", "files/x", "-/x", "health", "a//b", "a/../b", "a\\b", "a\nb", "\u202ea", "x" * 513,
     unicodedata.normalize("NFD", "ä")],
)  # fmt: skip
def test_what_can_be_no_key_is_refused(value: str) -> None:
    """Also a name that is reserved."""
    with pytest.raises(BadRequest):
        _ = parse_metadata(pair("key", value)).key


def test_the_sentence_of_a_bad_key_is_that_of_keys() -> None:
    """So is its code."""
    with pytest.raises(BadKey, match="key has an empty segment"):
        _ = parse_metadata(pair("key", "a//b")).key


@pytest.mark.parametrize("name", ["key", "filename"])
def test_a_name_is_text(name: str) -> None:
    """Bytes that are no UTF-8 are no name."""
    metadata = parse_metadata(pair(name, b"\xff"))
    with pytest.raises(BadRequest, match=f"{name} in Upload-Metadata is not valid UTF-8"):
        _ = (metadata.key, metadata.path)


@pytest.mark.parametrize(
    ("value", "path"),
    [("a.txt", "a.txt"), ("films/big.mov", "films/big.mov"), ("/a", "a"), ("ä b", "ä b"),
     (unicodedata.normalize("NFD", "ä"), "ä")],
)  # fmt: skip
def test_a_name_of_a_file_is_a_path(value: str, path: str) -> None:
    """Normalised, for the systems that do not."""
    assert parse_metadata(pair("filename", value)).path == PurePosixPath(path)


@pytest.mark.parametrize("value", ["", "..", "../a", "a\\b", "a\0", "x" * 256, ".filepipe-x"])
def test_what_can_be_no_name_is_refused(value: str) -> None:
    """Nothing is dropped without a word."""
    with pytest.raises(BadRequest, match="filename"):
        _ = parse_metadata(pair("filename", value)).path


@pytest.mark.parametrize(
    ("text", "content_type"),
    [
        (pair("filetype", "image/png"), "image/png"),
        (pair("contentType", "image/png"), "image/png"),
        (f"{pair('contentType', 'a/b')},{pair('filetype', 'image/png')}", "image/png"),
        (pair("filetype", "text/plain; charset=utf-8"), "text/plain; charset=utf-8"),
        (pair("filetype", ""), None),
        (pair("filetype", "text/html\r\nX: y"), None),
        (pair("filetype", b"text/\xff"), None),
    ],
)
def test_a_type_is_kept_if_it_is_one(text: str, content_type: str | None) -> None:
    """By either of the names that clients use."""
    assert parse_metadata(text).content_type == content_type
