"""The table of tus 1.0.0: every row of every field and rule."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha1

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.errors import BadRequest, OtherVersion, UnsupportedMedia
from filepipe.protocols import tus
from filepipe.protocols.tus import CHUNK, RULES, Checksum, Said, Standing

CREATE = RULES["collection"]["POST"]
HEAD = RULES["upload"]["HEAD"]
PATCH = RULES["upload"]["PATCH"]
DELETE = RULES["upload"]["DELETE"]

ID = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"
CHUNKED = {"Content-Type": CHUNK}
APPEND = {**CHUNKED, "Upload-Offset": "0"}


def said(rule: tus.Rule, fields: dict[str, str]) -> Said:
    """What a request with these fields says."""
    return tus.read(rule, fields.get)


# -- creation


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"Upload-Length": "0"}, Said(length=0)),
        ({"Upload-Length": "100"}, Said(length=100)),
        ({"Upload-Length": " 100 "}, Said(length=100)),
        ({"Upload-Length": "9" * 18}, Said(length=10**18 - 1)),
        ({"Upload-Defer-Length": "1"}, Said(deferred=True)),
        ({"Upload-Length": "5", **CHUNKED}, Said(length=5, chunk=True)),
        ({"Upload-Length": "5", "Content-Type": f"{CHUNK.upper()}; x=y"}, Said(5, chunk=True)),
        ({"Upload-Length": "5", "Content-Type": "text/plain"}, Said(length=5)),
        ({"Upload-Length": "5", "Upload-Offset": "nonsense"}, Said(length=5)),
    ],
)
def test_a_creation_is_read(fields: dict[str, str], expected: Said) -> None:
    """With a length or the promise of one, and with or without a body that counts."""
    assert said(CREATE, fields) == expected


@pytest.mark.parametrize(
    "length",
    ["", "-1", "+5", "1_0", "5.0", "0x5", "five", "5, 5", "1 0", "\u0665", "9" * 19, "9" * 5000],
)
def test_what_is_no_length_is_refused(length: str) -> None:
    """Also what Python takes for a number."""
    with pytest.raises(BadRequest, match="Upload-Length is not a whole number"):
        said(CREATE, {"Upload-Length": length})


@given(st.text(max_size=20))
def test_a_length_is_digits(text: str) -> None:
    """Nothing else passes."""
    try:
        read = said(CREATE, {"Upload-Length": text}).length
    except BadRequest:
        return
    assert text.strip(" \t").isascii()
    assert read == int(text)


@pytest.mark.parametrize("value", ["0", "2", "", "true", "1, 1"])
def test_a_length_is_deferred_by_one_only(value: str) -> None:
    """Anything else cannot be understood."""
    with pytest.raises(BadRequest, match="Upload-Defer-Length"):
        said(CREATE, {"Upload-Defer-Length": value})


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "Upload-Length is missing"),
        (CHUNKED, "Upload-Length is missing"),
        ({"Upload-Length": "5", "Upload-Defer-Length": "1"}, "exclude each other"),
        ({"Upload-Concat": "partial"}, "Upload-Length is missing"),
        ({"Upload-Concat": f"final;{ID}", "Upload-Length": "5"}, "is not said"),
        ({"Upload-Concat": f"final;{ID}", "Upload-Defer-Length": "1"}, "is not said"),
        ({"Upload-Concat": f"final;{ID}", **CHUNKED}, "no body of its own"),
    ],
)
def test_what_does_not_go_together_is_refused(fields: dict[str, str], sentence: str) -> None:
    """It has to be clear how long the upload gets."""
    with pytest.raises(BadRequest, match=sentence):
        said(CREATE, fields)


# -- concatenation


def test_a_partial_upload_is_one() -> None:
    """It has a length of its own."""
    read = said(CREATE, {"Upload-Concat": "partial", "Upload-Length": "5"})
    assert read.length == 5
    assert read.concat == tus.Concat("partial", None)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        (f"final;{ID}", (ID,)),
        (f"final;/files/{ID}", (ID,)),
        (f"final;https://host/files/{ID} http://[::1]:80/-/files/{OTHER}", (ID, OTHER)),
        (f"final; /files/{ID}  /files/{ID} ", (ID, ID)),
    ],
)
def test_a_final_upload_names_its_parts(text: str, ids: tuple[str, ...]) -> None:
    """In order, also twice, by absolute and relative URLs; the text is kept for HEAD."""
    concat = said(CREATE, {"Upload-Concat": text}).concat
    assert concat is not None
    assert concat.ids == ids
    assert concat.text == text.strip()


@pytest.mark.parametrize(
    "text",
    ["", "final", "final;", "final; ", "whole", "Partial", "partial;", f"final {ID}", "final;x",
     f"final;{ID}x", f"final;{ID.upper()}", f"final;/files/{ID}/", f"final;/files/{ID}?a",
     f"final;?{ID}", f"final;{ID} x",
     f"final;{ID},{ID}"],
)  # fmt: skip
def test_what_is_no_concatenation_is_refused(text: str) -> None:
    """With one sentence."""
    with pytest.raises(BadRequest, match="Upload-Concat"):
        said(CREATE, {"Upload-Concat": text})


# -- appending


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (APPEND, Said(offset=0, chunk=True)),
        ({**APPEND, "Upload-Offset": "7"}, Said(offset=7, chunk=True)),
        ({**APPEND, "Upload-Length": "9"}, Said(9, offset=0, chunk=True)),
        ({**APPEND, "Upload-Defer-Length": "nonsense"}, Said(offset=0, chunk=True)),
    ],
)
def test_an_append_is_read(fields: dict[str, str], expected: Said) -> None:
    """With an offset, and a length where one was deferred."""
    assert said(PATCH, fields) == expected


@pytest.mark.parametrize("kind", [None, "", "text/plain", "application/partial-upload"])
def test_a_body_of_another_type_is_no_chunk(kind: str | None) -> None:
    """It is not appended, whatever the rest says."""
    fields = {"Upload-Offset": "0"} | ({} if kind is None else {"Content-Type": kind})
    with pytest.raises(UnsupportedMedia, match=re.escape(CHUNK)):
        said(PATCH, fields)


@pytest.mark.parametrize("offset", [None, "", "-1", "x", "0, 0", "9" * 19])
def test_an_append_says_where(offset: str | None) -> None:
    """With a number."""
    fields = CHUNKED | ({} if offset is None else {"Upload-Offset": offset})
    with pytest.raises(BadRequest, match="Upload-Offset"):
        said(PATCH, fields)


# -- checksums


@pytest.mark.parametrize("algorithm", tus.ALGORITHMS)
@pytest.mark.parametrize("fields", [APPEND, {"Upload-Length": "5", **CHUNKED}])
def test_a_checksum_is_read(algorithm: str, fields: dict[str, str]) -> None:
    """By every algorithm that is announced, of either kind of body."""
    rule = PATCH if "Upload-Offset" in fields else CREATE
    digest = sha1(b"x").digest()
    text = f"{algorithm} {b64encode(digest).decode()}"
    assert said(rule, {**fields, "Upload-Checksum": text}).checksum == Checksum(algorithm, digest)


@pytest.mark.parametrize(
    "text", ["", "sha1", "sha1 ", "sha1  YQ==", "sha1 YQ=", "sha1 Y?==", "crc32 YQ==", "sha1,YQ=="]
)
def test_what_is_no_checksum_is_refused(text: str) -> None:
    """So is an algorithm that is not announced."""
    with pytest.raises(BadRequest, match="Upload-Checksum"):
        said(PATCH, {**APPEND, "Upload-Checksum": text})


# -- versions and methods


@pytest.mark.parametrize("version", [None, "", "0.2.2", "1.0", "1.0.1", "1.0.0, 1.0.0"])
def test_another_version_is_refused(version: str | None) -> None:
    """So is none."""
    with pytest.raises(OtherVersion, match=r"1\.0\.0"):
        tus.check_version({"Tus-Resumable": version}.get)


def test_our_version_is_spoken() -> None:
    """Without a complaint."""
    tus.check_version({"Tus-Resumable": "1.0.0"}.get)


@pytest.mark.parametrize(
    ("method", "override", "meant"),
    [
        ("PATCH", None, "PATCH"),
        ("POST", "PATCH", "PATCH"),
        ("POST", "delete", "DELETE"),
        ("GET", "HEAD", "HEAD"),
        ("HEAD", "HEAD", "HEAD"),
    ],
)
def test_a_method_is_overridden(method: str, override: str | None, meant: str) -> None:
    """For clients that can send only some."""
    assert tus.meant_method(method, {"X-HTTP-Method-Override": override}.get) == meant


@pytest.mark.parametrize(
    ("method", "override"),
    [("POST", ""), ("POST", "PATCH, PATCH"), ("POST", "A B"), ("HEAD", "GET"), ("OPTIONS", "GET")],
)
def test_a_method_that_cannot_be_meant_is_refused(method: str, override: str) -> None:
    """The answer to a HEAD has no body, whatever else it says."""
    with pytest.raises(BadRequest, match=r"overridden|not a method"):
        tus.meant_method(method, {"X-HTTP-Method-Override": override}.get)


# -- answers

EMPTY = Standing(offset=0, length=5)


@pytest.mark.parametrize(
    ("rule", "standing", "fields"),
    [
        (CREATE, Standing(location="/files/x", length=5), {"Location": "/files/x"}),
        (
            CREATE,
            Standing("/files/x", 3, 5, expires=0.0),
            {
                "Location": "/files/x",
                "Upload-Offset": "3",
                "Upload-Expires": "Thu, 01 Jan 1970 00:00:00 GMT",
            },
        ),
        (
            HEAD,
            EMPTY,
            {"Upload-Offset": "0", "Upload-Length": "5", "Cache-Control": "no-store"},
        ),
        (
            HEAD,
            Standing(offset=5, metadata="a YQ==", concat="partial"),
            {
                "Upload-Offset": "5",
                "Upload-Defer-Length": "1",
                "Upload-Metadata": "a YQ==",
                "Upload-Concat": "partial",
                "Cache-Control": "no-store",
            },
        ),
        (PATCH, Standing("/files/x", 3, 5, "a YQ==", "partial"), {"Upload-Offset": "3"}),
        (DELETE, EMPTY, {}),
    ],
)
def test_an_answer_tells(rule: tus.Rule, standing: Standing, fields: dict[str, str]) -> None:
    """What its rule says, of what is known."""
    assert tus.tell(rule, standing) == {"Tus-Resumable": "1.0.0", **fields}


def test_what_is_announced() -> None:
    """Every extension that the tables have, and nothing else; a limit where there is one."""
    expected = {
        "Tus-Resumable": "1.0.0",
        "Tus-Version": "1.0.0",
        "Tus-Extension": "creation,creation-defer-length,creation-with-upload,checksum,"
        "concatenation,termination,expiration",
        "Tus-Checksum-Algorithm": "sha1,sha256,sha512,md5",
    }
    assert tus.announcement(None) == expected
    assert tus.announcement(0) == {**expected, "Tus-Max-Size": "0"}
