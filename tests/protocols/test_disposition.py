"""File names: read tolerantly, cleaned, and written as one header line."""

import re

import aiohttp.multipart
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.protocols.disposition import (
    MAX_FILENAME_BYTES,
    attachment,
    attachment_raw,
    clean_filename,
    parse_filename,
)

NAMES = st.text(
    st.one_of(
        st.sampled_from('/\\":;. %\r\n\x00\u202eé'),
        st.characters(),
        st.characters(categories=["Cs"]),
    )
)
HEADER_LINE = re.compile(r'(?:attachment|inline)(?:; filename="(?:[^"\\]|\\["\\])*"(?:; .*)?)?')


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('attachment; filename="a.txt"', "a.txt"),
        ("attachment; filename=a.txt", "a.txt"),
        ("attachment; filename=a b.txt", "a b.txt"),
        ('Attachment ; FileName = "a.txt"', "a.txt"),
        ('form-data; name="f"; filename="x; y.bin"', "x; y.bin"),
        (r'attachment; filename="a\"b\\c"', 'a"b\\c'),
        (r'attachment; filename="C:\dir\x.txt"', r"C:\dir\x.txt"),
        ('attachment; filename="é"', "é"),
        ("attachment; filename=\"e\"; filename*=UTF-8''%c3%a9", "é"),
        ("attachment; filename*=utf-8'de'%e2%82%ac.txt; filename=x", "€.txt"),
        ("attachment; filename*=ISO-8859-1''%a3", "£"),
        ("attachment; filename*=UTF-8''%ff; filename=b", "b"),
        ("attachment; filename*=UTF-16''%61; filename=b", "b"),
        ("attachment; filename*=UTF-8''a%2; filename=b", "b"),
        ('attachment; filename="a"; filename="b"', "a"),
    ],
)
def test_filename_is_read(header: str, name: str) -> None:
    """The extended name wins if it can be read; quotes, spaces and cases do not matter."""
    assert name == parse_filename(header)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "inline",
        "attachment;",
        ";filename=a",
        "filename=a",
        'attachment; filename=""',
        'attachment; filename="open',
        "attachment; x",
        "attachment; filename",
        "attachment; filename*=UTF-8''",
    ],
)
def test_unusable_disposition_has_no_name(header: str | None) -> None:
    """What holds no name yields none, and no complaint."""
    assert parse_filename(header) is None


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("a.txt", "a.txt"),
        ("../../etc/passwd", "passwd"),
        (r"C:\dir\x.txt", "x.txt"),
        ("a:b", "ab"),
        ("a\r\nb\x00\x7f\x85c", "abc"),
        ("\u202egpj.exe", "gpj.exe"),
        ("\ud800a", "a"),
        (" a b ", "a b"),
        (".hidden", ".hidden"),
        ("日本.txt", "日本.txt"),
        ("x" * 300, "x" * 255),
        ("x" * 300 + ".tar", "x" * 251 + ".tar"),
        ("é" * 200 + ".é", "é" * 126 + ".é"),
        ("." + "x" * 300, "." + "x" * 254),
    ],
)
def test_filename_is_cleaned(name: str, cleaned: str) -> None:
    """The last segment stays, without tricks, cut to what fits."""
    assert cleaned == clean_filename(name)


@pytest.mark.parametrize("name", ["", " ", ".", "..", "...", "a/", "a/..", "\r\n", ":", "\u200e."])
def test_filename_without_substance_is_none(name: str) -> None:
    """What is empty or only dots after cleaning is no name."""
    assert clean_filename(name) is None


@given(NAMES)
def test_cleaning_is_idempotent_and_safe(name: str) -> None:
    """A cleaned name is short, one segment, printable in a header, and stays as it is."""
    cleaned = clean_filename(name)
    if cleaned is None:
        return
    assert 0 < len(cleaned.encode()) <= MAX_FILENAME_BYTES
    assert not set(cleaned) & set("/\\:\r\n\x00\u202e")
    assert cleaned.strip(".")
    assert cleaned == clean_filename(cleaned)


@given(NAMES, st.booleans())
def test_attachment_is_one_readable_line(name: str, inline: bool) -> None:
    """Whatever the name, the header is one ASCII line of the grammar."""
    line = attachment(name, inline=inline)
    assert line.isascii()
    assert line.isprintable()
    assert HEADER_LINE.fullmatch(line)


@given(NAMES)
def test_attachment_raw_is_one_readable_line(name: str) -> None:
    """file-pipe's form is one line that can be encoded, in any script."""
    line = attachment_raw(name)
    assert not set(line.encode().decode("latin-1")) & set("\r\n\x00")
    assert HEADER_LINE.fullmatch(line)


@given(NAMES)
def test_cleaned_name_survives_the_header(name: str) -> None:
    """Both forms are read back as the cleaned name."""
    cleaned = clean_filename(name)
    if cleaned is None:
        return
    assert cleaned == parse_filename(attachment(cleaned))
    assert cleaned == parse_filename(attachment(cleaned, inline=True))
    assert cleaned == parse_filename(attachment_raw(cleaned))


@pytest.mark.parametrize("name", ["a.txt", "naïve €.txt", 'q"uo\\te', "100%.txt"])
def test_foreign_parser_reads_the_name(name: str) -> None:
    """aiohttp's client finds the name as well."""
    kind, found = aiohttp.multipart.parse_content_disposition(attachment(name))
    assert kind == "attachment"
    assert name == aiohttp.multipart.content_disposition_filename(found)


def test_attachment_texts() -> None:
    """The exact texts of the common cases."""
    assert attachment(None) == "attachment"
    assert attachment("", inline=True) == "inline"
    assert attachment("a b.txt") == 'attachment; filename="a b.txt"'
    assert attachment('a"\\', inline=True) == r'inline; filename="a\"\\"'
    assert attachment("é.txt") == "attachment; filename=\"_.txt\"; filename*=UTF-8''%C3%A9.txt"
    assert attachment_raw('é"\\\n.txt') == r'attachment; filename="é\"\\.txt"'
