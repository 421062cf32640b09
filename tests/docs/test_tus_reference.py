"""docs/reference/tus.md says of every method and field what the table of tus says."""

from __future__ import annotations

from pathlib import Path

from filepipe.protocols import tus
from tests.docs.test_reference import HTTP, names, rows, section

PAGE = (Path(__file__).parents[2] / "docs/reference/tus.md").read_text()
PLACES: dict[str, tus.Place] = {"`/files/`": "collection", "`/files/ID`": "upload"}


def test_the_requests_are_those_of_the_rules() -> None:
    """Path, method, extension and status; reading and OPTIONS are no rules of tus."""
    expected = {
        (path, method, rule.extension or "core", str(rule.success))
        for path, place in PLACES.items()
        for method, rule in tus.RULES[place].items()
    }
    told = {
        (path, names(method)[0], extension, answer[:3])
        for path, method, extension, answer in rows(section(PAGE, "Requests"))
        if path in PLACES and extension != "none"
    }
    assert told == expected


def test_the_fields_of_a_request_are_those_that_are_read() -> None:
    """By the methods that read them, each with its extension."""
    told = {
        names(name)[0]: (set(names(methods)), extension)
        for name, methods, extension, _ in rows(section(PAGE, "Fields of a request"))
    }
    for name in ("Tus-Resumable", "X-HTTP-Method-Override"):  # of every method
        del told[name]
    assert told == {
        name: (
            {
                method
                for rules in tus.RULES.values()
                for method, rule in rules.items()
                if name in rule.reads
            },
            field.extension or "core",
        )
        for name, field in tus.FIELDS.items()
    }


def test_the_fields_of_an_answer_are_those_that_are_told() -> None:
    """By the methods that tell them."""
    told = {
        names(name)[0]: set(names(methods))
        for name, methods, _ in rows(section(PAGE, "Fields of an answer"))
    }
    assert told == {
        name: {
            method
            for rules in tus.RULES.values()
            for method, rule in rules.items()
            if name in rule.tells
        }
        for name in tus.TELLS
    }


def test_every_extension_and_algorithm_is_named() -> None:
    """What is announced can be looked up."""
    extensions = {row[2] for row in rows(section(PAGE, "Requests"))}
    for title in ("Fields of a request", "Fields of an answer"):
        extensions |= {row[2] for row in rows(section(PAGE, title))}
    assert extensions - {"core", "none"} == set(tus.EXTENSIONS)
    for algorithm in tus.ALGORITHMS:
        assert f"`{algorithm}`" in section(PAGE, "Fields of a request")


def test_every_status_is_one_of_http_md() -> None:
    """423 is the only one that no other front has."""
    explained = {row[0] for row in rows(section(HTTP, "Statuses"))}
    told = {status for row in rows(section(PAGE, "Refusals")) for status in row[0].split(", ")}
    assert told <= explained
