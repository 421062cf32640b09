"""Digests: which one is wanted, and how it is written."""

import contextlib
import hashlib

import http_sf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.errors import BadRequest
from filepipe.protocols.digest import Hashes, new_hash, repr_digest, stated, wanted


@pytest.mark.parametrize(
    ("header", "algorithm"),
    [
        (None, None),
        ("", None),
        ("md5=10", None),
        ("sha-256=0", None),
        ("sha-256=0, sha-512=0", None),
        ("sha-256=1", "sha-256"),
        ("sha-512=1", "sha-512"),
        ("sha-256=3, sha-512=9", "sha-512"),
        ("sha-256=9, sha-512=3, md5=10", "sha-256"),
        ("sha-512=5, sha-256=5", "sha-256"),
        ("sha-256=1;x=y", "sha-256"),
    ],
)
def test_preferred_algorithm(header: str | None, algorithm: str | None) -> None:
    """The highest preference among those that we know wins; zero means no."""
    assert algorithm == wanted(header)


@pytest.mark.parametrize(
    "header",
    [
        "sha-256",
        "sha-256=11",
        "sha-256=-1",
        "sha-256=1.5",
        'sha-256="1"',
        "sha-256=(1)",
        "=",
        "é",
        "sha-256=?1",
        "SHA-256=1",
        "sha-256=1,",
        "md5=99",
        "sha-256=\udcff",
    ],
)
def test_malformed_wish_refused(header: str) -> None:
    """What is no dictionary of small integers is refused."""
    with pytest.raises(BadRequest, match=r"^Want-Repr-Digest "):
        wanted(header)


@given(st.text())
def test_any_header_is_read_or_refused(header: str) -> None:
    """No header makes the parser fail in another way."""
    with contextlib.suppress(BadRequest):
        assert wanted(header) in {None, "sha-256", "sha-512"}


@pytest.mark.parametrize(
    ("algorithm", "reference"), [("sha-256", hashlib.sha256), ("sha-512", hashlib.sha512)]
)
def test_digest_is_a_readable_field(algorithm: str, reference: object) -> None:
    """The field holds the hash of the bytes, for any structured-fields parser."""
    running = new_hash(algorithm)
    running.update(b"hello ")
    running.update(memoryview(b"world"))
    field = repr_digest(algorithm, running.digest())
    assert callable(reference)
    expected = reference(b"hello world").digest()
    assert {algorithm: (expected, {})} == http_sf.parse(field.encode(), tltype="dictionary")


def test_digest_text() -> None:
    """The example of RFC 9530, appendix B.1, in our words."""
    running = new_hash("sha-256")
    running.update(b'{"hello": "world"}\n')
    expected = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
    assert expected == repr_digest("sha-256", running.digest())


@pytest.mark.parametrize(
    ("header", "digests"),
    [
        (None, {}),
        ("", {}),
        ("md5=:AAAA:", {}),
        ("sha-256=:AAAA:", {"sha-256": bytes(3)}),
        (
            "sha-512=:AAAA:;x, sha-256=:AAA=:, unixsum=:AA==:",
            {"sha-512": bytes(3), "sha-256": bytes(2)},
        ),
    ],
)
def test_digests_that_are_stated(header: str | None, digests: dict[str, bytes]) -> None:
    """Those by algorithms of ours; what others say is not looked at."""
    assert stated("Repr-Digest", header) == digests


@pytest.mark.parametrize("header", ["sha-256", "sha-256=abc", 'md5="x"', "sha-256=:A", ",", "=:A:"])
def test_digests_that_cannot_be_read(header: str) -> None:
    """The refusal names the field."""
    with pytest.raises(BadRequest, match=r"^Content-Digest "):
        stated("Content-Digest", header)


def test_several_at_once() -> None:
    """Each has all the bytes."""
    hashes = Hashes(["sha-256", "sha-512"])
    hashes.update(b"a")
    hashes.update(b"b")
    expected = {"sha-256": hashlib.sha256(b"ab"), "sha-512": hashlib.sha512(b"ab")}
    assert hashes.digests() == {name: hashing.digest() for name, hashing in expected.items()}
