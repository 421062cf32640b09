"""Tokens of parts: ours are taken, and no other, whoever made them and however."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import OctKey

from filepipe.errors import Unauthorized
from filepipe.protocols.part_tokens import LEEWAY, REFUSAL, Claims, mint, verify

SECRET = b"0123456789abcdef0123456789abcdef"
OTHER = b"fedcba9876543210fedcba9876543210"
LATER = int(time.time()) + 3600
CLAIMS = {"upload_id": "u", "part_number": 7, "expected_size": 50, "exp": LATER}
HEADER = {"typ": "JWT", "alg": "HS256"}


def encoded(data: bytes) -> str:
    """Base64url without its end (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(
    header: dict[str, Any] | bytes, claims: dict[str, Any] | bytes, *,
    secret: bytes = SECRET, algorithm: str = "sha256",
) -> str:  # fmt: skip
    """A token with any header and payload; what is signed is signed well."""
    pieces = [
        each if isinstance(each, bytes) else json.dumps(each).encode() for each in (header, claims)
    ]
    signed = ".".join(map(encoded, pieces))
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), algorithm))}"


def refused(token: str, upload_id: str = "u", number: int = 7) -> bool:
    """Whether a token is refused, in the one sentence there is."""
    try:
        verify(SECRET, token, upload_id, number)
    except Unauthorized as error:
        return (str(error), error.__cause__) == (REFUSAL, None)
    return False


def test_each_part_has_its_token() -> None:
    """With its size, in the order that was given."""
    tokens = mint(SECRET, "u", {7: 50, 8: 50, 3: 12}, LATER)
    claims = [
        verify(SECRET, token, "u", number)
        for token, number in zip(tokens, (7, 8, 3), strict=True)
    ]  # fmt: skip
    assert claims == [
        Claims("u", 7, 50, LATER), Claims("u", 8, 50, LATER), Claims("u", 3, 12, LATER),
    ]  # fmt: skip
    assert mint(SECRET, "u", {}, LATER) == []


def test_a_token_is_what_any_library_would_have_made() -> None:
    """Header, claims and their order are those that existing servers write."""
    (token,) = mint(SECRET, "u", {7: 50}, LATER)
    assert token == jwt.encode(HEADER, CLAIMS, OctKey.import_key(SECRET))
    assert token == mint(SECRET, "u", {7: 50}, LATER)[0]


@given(
    upload_id=st.text(), number=st.integers(0, 10**4), size=st.integers(0, 2**50),
    later=st.integers(1, 2**40),
)  # fmt: skip
def test_what_is_minted_is_understood(upload_id: str, number: int, size: int, later: int) -> None:
    """Whatever the id is made of, short of what no text in UTF-8 can be."""
    expires = int(time.time()) + later
    (token,) = mint(SECRET, upload_id, {number: size}, expires)
    assert verify(SECRET, token, upload_id, number) == Claims(upload_id, number, size, expires)


GOOD = forged(HEADER, CLAIMS)


def test_the_forger_of_this_file_is_a_good_one() -> None:
    """What the table below refuses is refused for the reason that it names."""
    assert not refused(GOOD)
    assert not refused(forged({"alg": "HS256"}, CLAIMS | {"more": 1}))


@pytest.mark.parametrize(
    "token",
    [
        f"{encoded(json.dumps(HEADER | {'alg': name}).encode())}.{GOOD.split('.')[1]}.{end}"
        for name in ("none", "None", "nOnE", "")
        for end in ("", GOOD.split(".")[2])
    ],
)
def test_a_token_without_an_algorithm(token: str) -> None:
    """However it is spelt, with a signature or without."""
    assert refused(token)


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [("HS384", "sha384"), ("HS512", "sha512"), ("RS256", "sha256"), ("ES256", "sha256"),
     ("EdDSA", "sha256"), ("hs256", "sha256"), ("HS256", "sha512")],
)  # fmt: skip
def test_another_algorithm(name: str, algorithm: str) -> None:
    """Also one that fits the key, and one that the header does not admit to."""
    assert refused(forged(HEADER | {"alg": name}, CLAIMS, algorithm=algorithm))


@pytest.mark.parametrize(
    "header",
    [
        HEADER | {"crit": ["b64"], "b64": True}, HEADER | {"crit": ["b64"], "b64": False},
        HEADER | {"crit": ["exp"], "exp": LATER}, HEADER | {"crit": []}, HEADER | {"crit": "alg"},
        HEADER | {"crit": ["alg"]}, HEADER | {"alg": ["HS256"]}, HEADER | {"alg": None}, {},
        {"typ": "JWT"}, b"[]", b"null", b'"HS256"', b"", b"\xff", b"[" * 200, b"{" * 200,
    ],
)  # fmt: skip
def test_a_header_that_asks_for_more_or_is_none(header: dict[str, Any] | bytes) -> None:
    """What is critical to its maker and unknown to us cannot be ignored (RFC 7515, 4.1.11)."""
    assert refused(forged(header, CLAIMS))


def test_another_key() -> None:
    """A secret that is nearly ours, a hash of it, none."""
    for secret in (OTHER, SECRET[:-1], SECRET + b".", hashlib.sha256(SECRET).digest(), b""):
        assert refused(forged(HEADER, CLAIMS, secret=secret))


@pytest.mark.parametrize(
    ("late", "expected"), [(LEEWAY - 20, False), (LEEWAY + 20, True), (10**9, True)]
)
def test_a_token_expires(late: int, expected: bool) -> None:
    """Clocks may differ a little."""
    assert expected == refused(forged(HEADER, CLAIMS | {"exp": int(time.time()) - late}))


def repr_of_kind(value: object) -> str:
    """Each test process has another clock, and all have to give a case the same name."""
    return type(value).__name__


@pytest.mark.parametrize(
    "exp",
    [None, "never", str(LATER), True, [LATER], {}, float("inf"), float("nan"), -1, LATER + 0.5],
    ids=repr_of_kind,
)
def test_a_token_without_a_proper_end(exp: object) -> None:
    """One that lives for ever is none of ours."""
    assert refused(forged(HEADER, CLAIMS | {"exp": exp}))
    assert refused(forged(HEADER, {name: CLAIMS[name] for name in CLAIMS if name != "exp"}))


def test_a_token_that_is_not_valid_yet() -> None:
    """Who says when it begins is taken at their word."""
    assert refused(forged(HEADER, CLAIMS | {"nbf": LATER}))


@pytest.mark.parametrize(
    ("upload_id", "number"), [("v", 7), ("U", 7), ("", 7), ("u", 8), ("u", 0), ("v", 8)]
)
def test_another_upload_or_part(upload_id: str, number: int) -> None:
    """A token is for one part of one upload."""
    assert refused(GOOD, upload_id, number)


@pytest.mark.parametrize(
    ("name", "value"),
    [("upload_id", None), ("upload_id", 1), ("upload_id", ["u"]), ("part_number", "7"),
     ("part_number", 7.0), ("part_number", None), ("expected_size", True),
     ("expected_size", "50"), ("expected_size", 50.0), ("expected_size", None)],
)  # fmt: skip
def test_claims_of_another_type(name: str, value: object) -> None:
    """They are signed, so this is another use of the secret; not ours."""
    assert refused(forged(HEADER, CLAIMS | {name: value}))


@pytest.mark.parametrize("payload", [b"", b"[]", b"null", b"7", b"\xff", b"{", b"[" * 5000])
def test_a_payload_that_is_no_object(payload: bytes) -> None:
    """Also one that is nested too deeply to be read."""
    assert refused(forged(HEADER, payload))


def test_a_token_that_was_cut_or_changed() -> None:
    """Every prefix, every text with one character less or another one."""
    for index in range(len(GOOD)):
        assert refused(GOOD[:index])
        assert refused(GOOD[:index] + GOOD[index + 1 :])
    assert refused(GOOD + "A")
    assert refused(GOOD + ".")
    assert refused(f"{GOOD}.{GOOD}")


def test_the_json_form_is_no_token() -> None:
    """Nor is one with two signatures, of which one is good."""
    assert refused(json.dumps(jws.serialize_json(
        {"protected": {"alg": "HS256"}}, json.dumps(CLAIMS), OctKey.import_key(SECRET)
    )))  # fmt: skip


@given(token=st.one_of(st.text(), st.from_regex(r"[\w=.-]*", fullmatch=True)))
@example("..")
@example("e30.e30.")
@example("\ud800.x.y")
@example("." * 8000)
def test_anything_else_is_refused(token: str) -> None:
    """With the same sentence, whatever it is."""
    assert refused(token)


def test_what_is_slow_is_loaded_apart() -> None:
    """Not by a daemon that takes no parts, and not while a token is looked at."""
    script = """
import sys
from filepipe import app
from filepipe.protocols import part_tokens
assert "joserfc" not in sys.modules and not part_tokens.loaded()
[token] = part_tokens.mint(b"s" * 32, "u", {0: 1}, 2**40)
part_tokens.load()
assert part_tokens.loaded()
before = set(sys.modules)
part_tokens.verify(b"s" * 32, token, "u", 0)
late = {name for name in set(sys.modules) - before if not name.startswith("encodings")}
assert not late, late
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
