"""What a log must not hold."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.logs.redact import (
    REDACTED,
    clean,
    clean_foreign_text,
    clean_text,
    clip,
    is_secret,
)

CANARY = "canary7f3a"


@pytest.mark.parametrize(
    "name",
    ["authorization", "Proxy-Authorization", "cookie", "Set-Cookie", "token", "upload_token",
     "secret", "jwt_secret", "password", "smb_pass", "api_key", "X-Api-Key", "apikey"],
)  # fmt: skip
def test_values_of_secret_names_are_replaced(name: str) -> None:
    """Whatever the value is, also inside a mapping."""
    assert is_secret(name)
    assert clean(name, [CANARY]) == REDACTED
    assert clean("headers", {name: CANARY, "a": 1}) == {name: REDACTED, "a": 1}


@pytest.mark.parametrize("name", ["key", "event", "request_id", "path", "bytes", "passed"])
def test_ordinary_names_are_shown(name: str) -> None:
    """A key of ours is no secret key."""
    assert clean(name, CANARY) == CANARY


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"GET /key?token={CANARY} HTTP/1.1", "GET /key?[cut] HTTP/1.1"),
        (f"https://s3.example/b?X-Amz-Signature={CANARY}&a=b", "https://s3.example/b?[cut]"),
        (f"http://user:{CANARY}@h/x", f"http://{REDACTED}@h/x"),
        (f"sent Bearer {CANARY}.x", f"sent Bearer {REDACTED}"),
        ("why? because", "why? because"),
        ("a@b.example", "a@b.example"),
    ],
)
def test_queries_and_credentials_are_cut_out_of_texts(text: str, expected: str) -> None:
    """What is around them stays readable."""
    assert clean_text(text) == expected


@pytest.mark.parametrize(
    "text",
    [f"password={CANARY}", f"api-key: {CANARY}", f"{{'token': '{CANARY}'}}", f"Cookie: {CANARY}"],
)
def test_texts_of_others_are_searched_for_assignments(text: str) -> None:
    """A traceback may quote a header or a call."""
    assert CANARY not in clean_foreign_text(text)


def test_objects_are_cleaned_as_texts() -> None:
    """Nobody knows what str() of something foreign holds."""
    error = ValueError(f"no http://h/?q={CANARY} with secret={CANARY}")
    assert CANARY not in str(clean("reason", error))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    )
)
def test_any_value_becomes_one_that_json_can_write(value: object) -> None:
    """Also infinities, bytes, deep and odd mappings."""
    json.dumps(clean("value", value), allow_nan=False)


def test_large_collections_are_cut() -> None:
    """The line would be cut anyway; there is no need to walk through a million items."""
    assert len(clean("x", list(range(1000)))) == 32  # type: ignore[arg-type]


@given(st.text(), st.integers(10, 50))
def test_a_clipped_text_keeps_its_ends(text: str, limit: int) -> None:
    """A short text is unchanged, of a long one `limit` characters and a mark remain."""
    clipped = clip(text, limit)
    if len(text) <= limit:
        assert clipped == text
    else:
        assert isinstance(clipped, str)
        assert clipped.replace("[...]", "", 1) == text[: limit // 4] + text[limit // 4 - limit :]


def test_numbers_are_not_clipped() -> None:
    """Only texts are long."""
    assert [clip(value, 1) for value in (12345, 1.25, True, None)] == [12345, 1.25, True, None]
    assert clip({"a": "b" * 50}, 8) == "{'[...]bbbb'}"
