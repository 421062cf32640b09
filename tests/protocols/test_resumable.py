"""Resumable uploads: fields in and out, for every version of the draft."""

from __future__ import annotations

import json

import http_sf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.errors import BadRequest, Conflict, NotFound, WrongLength, WrongOffset
from filepipe.protocols.resumable import (
    INTEROPS,
    Fields,
    Interop,
    Limits,
    announced_length,
    announcement,
    answer_fields,
    problem,
    progress,
    read_fields,
)

NEWEST = INTEROPS[9]
VERSIONS = list(INTEROPS)


def fields(**given_fields: str) -> Fields:
    """What is read of these, underscores standing for hyphens."""
    headers = {name.replace("_", "-"): value for name, value in given_fields.items()}
    return read_fields(headers.get)


# -- in


@pytest.mark.parametrize(
    ("value", "complete"),
    [
        ("?1", True),
        ("?0", False),
        (" ?1 ", True),
        ("?1;end", True),
        ("?2", None),
        ("true", None),
        ("1", None),
        ("0", None),
        ('"?1"', None),
        ("?1, ?1", None),
        ("?1, ?0", None),
        ("(?1)", None),
        ("", None),
        ("?1;", None),
        ("?1\udcff", None),
    ],
)
def test_the_end_is_announced_or_it_is_not(value: str, complete: bool | None) -> None:
    """Only one Boolean counts."""
    assert fields(Upload_Complete=value).complete is complete


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("0", 0),
        ("100", 100),
        ("007", 7),
        ("100;x", 100),
        ("999999999999999", 999_999_999_999_999),
        ("1000000000000000", None),
        ("-1", None),
        ("+5", None),
        ("1_0", None),
        ("0x10", None),
        ("5.0", None),
        ("?1", None),
        ("5, 5", None),
        ("5 5", None),
        ("\u0665", None),
        ("", None),
    ],
)
def test_numbers_are_integers_of_structured_fields(value: str, number: int | None) -> None:
    """Python reads more than those."""
    read = fields(Upload_Offset=value, Upload_Length=value)
    assert (read.offset, read.length) == (number, number)


@pytest.mark.parametrize("version", [version for version in VERSIONS if version])
def test_each_version_is_known(version: int) -> None:
    """By its own number."""
    assert fields(Upload_Draft_Interop_Version=str(version)).interop.version == version


@pytest.mark.parametrize("value", ["2", "10", "x", "9, 9", "9.0", "-3", ""])
def test_another_version_is_none(value: str) -> None:
    """It is spoken to as if it had named none."""
    assert fields(Upload_Draft_Interop_Version=value).interop is INTEROPS[None]


def test_a_request_that_says_nothing() -> None:
    """It is read all the same."""
    assert fields() == Fields(INTEROPS[None], None, None, None)


def test_the_first_version_says_it_the_other_way_round() -> None:
    """Its field is called otherwise, and no other version knows that one."""
    old = {"Upload_Draft_Interop_Version": "3"}
    assert fields(Upload_Incomplete="?0", **old).complete is True
    assert fields(Upload_Incomplete="?1", **old).complete is False
    assert fields(Upload_Complete="?1", **old).complete is None
    assert fields(Upload_Incomplete="?0", Upload_Draft_Interop_Version="4").complete is None
    assert fields(Upload_Incomplete="?0").complete is None


@given(st.text())
def test_any_text_is_read(value: str) -> None:
    """None of them makes the reader fail."""
    read = fields(Upload_Complete=value, Upload_Offset=value, Upload_Draft_Interop_Version=value)
    assert read.offset is None or read.offset >= 0


@pytest.mark.parametrize(
    ("complete", "length", "offset", "content_length", "announced"),
    [
        (True, None, 0, 10, 10),
        (True, None, 5, 10, 15),
        (True, None, 5, None, None),
        (True, 15, 5, 10, 15),
        (True, 15, 5, None, 15),
        (False, None, 5, 10, None),
        (False, 15, 5, 10, 15),
        (False, 20, 5, 10, 20),
        (False, 20, 5, None, 20),
        (True, 0, 0, 0, 0),
    ],
)
def test_the_length_that_is_announced(
    complete: bool,
    length: int | None,
    offset: int,
    content_length: int | None,
    announced: int | None,
) -> None:
    """By the field, or by the last body's own length."""
    said = Fields(NEWEST, complete, offset, length)
    assert announced_length(said, offset, content_length) == announced


@pytest.mark.parametrize(
    ("complete", "length", "offset", "content_length"),
    [(True, 16, 5, 10), (True, 14, 5, 10), (False, 14, 5, 10), (True, 1, 0, 0)],
)
def test_lengths_that_do_not_agree(
    complete: bool, length: int, offset: int, content_length: int
) -> None:
    """A request may contradict itself."""
    with pytest.raises(WrongLength):
        announced_length(Fields(NEWEST, complete, offset, length), offset, content_length)


# -- out


@pytest.mark.parametrize("version", VERSIONS)
def test_answers_say_how_far_it_is(version: int | None) -> None:
    """In the words of the version that was asked in."""
    headers = answer_fields(INTEROPS[version], complete=False, offset=7, length=9)
    expected = {"Upload-Complete": "?0", "Upload-Offset": "7", "Upload-Length": "9"}
    if version == 3:
        expected["Upload-Incomplete"] = "?1"
        del expected["Upload-Complete"]
    if version is not None:
        expected["Upload-Draft-Interop-Version"] = str(version)
    assert headers == expected


def test_the_end_in_the_words_of_each_version() -> None:
    """Nobody is told the opposite."""
    assert answer_fields(INTEROPS[3], complete=True)["Upload-Incomplete"] == "?0"
    assert answer_fields(NEWEST, complete=True)["Upload-Complete"] == "?1"


@pytest.mark.parametrize(
    ("version", "limits", "expected"),
    [
        (9, Limits(), {"min-size": 0}),
        (9, Limits(max_size=10**15), {"min-size": 0}),
        (9, Limits(1, 2, 3), {"max-size": 1, "max-append-size": 2, "max-age": 3}),
        (6, Limits(max_age=3), {"expires": 3, "max-age": 3}),
        (5, Limits(max_age=3), {"max-age": 3}),
        (None, Limits(max_size=0), {"max-size": 0}),
    ],
)
def test_limits(version: int | None, limits: Limits, expected: dict[str, int]) -> None:
    """A dictionary of integers, never an empty one, of which every number can be read."""
    value = limits.render(INTEROPS[version])
    read = http_sf.parse(value.encode(), tltype="dictionary")
    assert {name: number for name, (number, _) in read.items()} == expected


def test_where_it_can_be_gone_on_with() -> None:
    """An interim answer in one piece."""
    sent = announcement(INTEROPS[6], "/files/x", Limits(max_size=5)).decode()
    assert sent.split("\r\n") == [
        "HTTP/1.1 104 Upload Resumption Supported",
        "Location: /files/x",
        "Upload-Limit: max-size=5",
        "Upload-Draft-Interop-Version: 6",
        "",
        "",
    ]


def test_how_far_it_is() -> None:
    """An interim answer without a place."""
    sent = progress(NEWEST, 12).decode().split("\r\n")
    assert sent[1:3] == ["Upload-Offset: 12", "Upload-Draft-Interop-Version: 9"]


@pytest.mark.parametrize("interop", INTEROPS.values())
def test_problems(interop: Interop) -> None:
    """The types that are registered, and members for machines."""
    found = json.loads(problem(interop, WrongOffset(5, 7), 409, complete=False))
    assert found["type"].endswith("#mismatching-upload-offset")
    assert (found["expected-offset"], found["provided-offset"], found["status"]) == (5, 7, 409)
    found = json.loads(problem(interop, WrongLength("they differ"), 400, complete=False))
    assert found["type"].endswith("#inconsistent-upload-length")
    assert (found["detail"], found["code"]) == ("they differ", "wrong_length")
    found = json.loads(problem(interop, NotFound("nothing there"), 404, complete=False))
    assert (found["type"], found["title"]) == ("about:blank", "nothing there")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_problem_of_what_is_complete(version: int | None) -> None:
    """Some versions have a type for it; later ones have done away with that."""
    for error in (Conflict("it is complete"), WrongOffset(5, 7)):
        found = json.loads(problem(INTEROPS[version], error, 409, complete=True))
        assert found["type"].endswith("#completed-upload") is (version in (6, 7, 8))


def test_a_bad_request_has_no_type_of_its_own() -> None:
    """The class above the wrong length."""
    assert (
        json.loads(problem(NEWEST, BadRequest("no"), 400, complete=False))["type"] == "about:blank"
    )
