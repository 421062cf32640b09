"""One list for both dialects of resumable uploads."""

from __future__ import annotations

import pytest

from filepipe.protocols import cors, tus


def listed(header: str) -> set[str]:
    """The names in a list of a preflight's answer."""
    return set(cors.PREFLIGHT[header].split(", "))


@pytest.mark.parametrize("name", [*tus.FIELDS, "Tus-Resumable", "X-HTTP-Method-Override"])
def test_a_script_may_send_what_is_read(name: str) -> None:
    """Every field of a request in the table of tus."""
    assert name in listed("Access-Control-Allow-Headers")


@pytest.mark.parametrize("name", ["X-API-Key", "Authorization", "Upload-Complete", "Range"])
def test_a_script_may_send_the_rest(name: str) -> None:
    """Credentials, and what belongs to the other dialect and to reading."""
    assert name in listed("Access-Control-Allow-Headers")


@pytest.mark.parametrize("name", sorted({*tus.TELLS, *tus.announcement(1)} - {"Cache-Control"}))
def test_a_script_may_see_what_is_told(name: str) -> None:
    """Every field of an answer; what is not a CORS-safelisted one has to be named."""
    assert name in listed("Access-Control-Expose-Headers")


def test_every_method_may_be_used() -> None:
    """Of the table, and those that read."""
    methods = {method for rules in tus.RULES.values() for method in rules} | {"GET", "PUT"}
    assert methods <= listed("Access-Control-Allow-Methods")


def test_an_answer_says_a_part_of_what_a_preflight_does() -> None:
    """Who asked first and who did not sees the same."""
    assert cors.RESUMABLE.items() <= cors.PREFLIGHT.items()
    assert cors.RESUMABLE["Access-Control-Allow-Origin"] == "*"
