"""Content types: stored only if well formed, shown only if inert."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.protocols.media import (
    MAX_FIELD_BYTES,
    clean_content_encoding,
    clean_content_type,
    is_inert,
    multipart_boundary,
    parameters,
)

FIELDS = st.text(st.one_of(st.sampled_from('ab/;= ,"\\\r\n\t'), st.characters()))


@pytest.mark.parametrize(
    "value",
    [
        "text/plain",
        "text/plain;charset=utf-8",
        "text/plain; charset=utf-8 ; a=b",
        "a/b+c",
        r'a/b; x="q\"; y,z"',
        "application/vnd.x-y.z+json",
        'a/b; x=""',
        "a/" + "b" * 253,
    ],
)
def test_well_formed_type_is_kept(value: str) -> None:
    """A media type with parameters is kept as it was sent, without outer white space."""
    assert value == clean_content_type(f" {value}\t")


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "text",
        "text/",
        "/plain",
        "text/plain;",
        "text/plain; x",
        "text /plain",
        "text/plain; x=",
        "text/plain; x=y z",
        "text/plain, text/html",
        "text/plain\r\nX: y",
        "text/plain; x=é",
        'a/b; x="é"',
        'a/b; x="open',
        "a/" + "b" * 254,
        "a/b\n",
        "a/b; x = y",
    ],
)
def test_malformed_type_is_dropped(value: str | None) -> None:
    """Anything else is no type."""
    assert clean_content_type(value) is None


@given(FIELDS)
def test_kept_fields_fit_one_header_line(value: str) -> None:
    """What is kept is short, visible ASCII, and kept again."""
    for clean in (clean_content_type, clean_content_encoding):
        cleaned = clean(value)
        if cleaned is not None:
            assert len(cleaned) <= MAX_FIELD_BYTES
            assert cleaned.isascii()
            assert not set(cleaned) & set("\r\n\x00")
            assert cleaned == clean(cleaned)


@pytest.mark.parametrize(
    "value", ["text/plain", "TEXT/PLAIN; charset=x", "image/png", "video/mp4 ;a=b", "audio/mpeg"]
)
def test_inert_types(value: str) -> None:
    """Plain text, common pictures, sound and film may be shown."""
    assert is_inert(value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "text/html",
        "image/svg+xml",
        "application/pdf",
        "application/json",
        "text/xml",
        "text/plain, text/html",
        "text/plain; x, text/html",
        "text/javascript",
        "text/plainx",
    ],
)
def test_types_that_may_act(value: str | None) -> None:
    """What can run a script, and what cannot be read, is not inert."""
    assert not is_inert(value)


@pytest.mark.parametrize("value", ["gzip", "gzip, br", "aws-chunked", "x-a ,b"])
def test_codings_are_kept(value: str) -> None:
    """A list of tokens passes through."""
    assert value == clean_content_encoding(f" {value} ")


@pytest.mark.parametrize("value", [None, "", ",", "gzip,", "a b", "a;q=1", "é", "a" * 256, "a\n"])
def test_other_codings_are_dropped(value: str | None) -> None:
    """Anything else is no list of codings."""
    assert clean_content_encoding(value) is None


@pytest.mark.parametrize(
    ("value", "boundary"),
    [
        ("multipart/form-data; boundary=abc", "abc"),
        ('multipart/form-data; boundary="a b:c"', "a b:c"),
        ("multipart/form-data;charset=x;Boundary=----a", "----a"),
        ('multipart/form-data; x="; boundary=no"; boundary=yes', "yes"),
        ("multipart/form-data; boundary=" + "a" * 70, "a" * 70),
    ],
)
def test_boundary_is_found(value: str, boundary: str) -> None:
    """A form upload names one boundary, quoted or not."""
    assert boundary == multipart_boundary(value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "text/plain; boundary=a",
        "Multipart/form-data; boundary=a",
        "multipart/form-data",
        "multipart/form-datax; boundary=a",
        "multipart/mixed; boundary=a",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        'multipart/form-data; boundary="a "',
        "multipart/form-data; boundary=" + "a" * 71,
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; boundary=a\r\n",
        "multipart/form-data; boundary=a,b\x00",
        "multipart/form-data; boundary=é",
    ],
)
def test_no_usable_boundary(value: str | None) -> None:
    """Another type, another case, and a boundary that is missing, malformed or double."""
    assert multipart_boundary(value) is None


@given(FIELDS)
def test_any_parameters_are_read(text: str) -> None:
    """Reading never fails, and names are tokens in lower case."""
    for name, _ in parameters(";" + text):
        assert name
        assert name == name.lower()
        assert not set(name) & set(' ;="')


def test_parameters_stop_where_they_cannot_go_on() -> None:
    """What comes before the fault counts."""
    assert list(parameters('; A=1 ;b="x;y"; broken; c=2')) == [("a", "1"), ("b", "x;y")]
