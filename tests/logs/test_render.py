"""Events as lines."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.logs.render import MAX_LINE, ConsoleRenderer, prepare, quote, render_json

LOGGER = SimpleNamespace(name="filepipe.test")
VALUES = st.text() | st.integers() | st.floats() | st.dictionaries(st.text(), st.text())
EVENTS = st.dictionaries(
    st.text(min_size=1).filter(lambda name: name not in ("exc_info", "exception")),
    VALUES,
    max_size=60,
).map(lambda fields: {"event": "e", **fields})


def json_line(**event: Any) -> bytes:
    """The line that is written for an info event."""
    return render_json(LOGGER, "info", prepare(LOGGER, "info", {"event": "e", **event}))


def console_line(method: str = "info", journal: bool = False, **event: Any) -> str:
    """The same for people."""
    renderer = ConsoleRenderer(journal=journal)
    return renderer(LOGGER, method, prepare(LOGGER, method, {"event": "e", **event})).decode()


@given(EVENTS)
def test_any_event_is_one_bounded_line_of_json(event: dict[str, Any]) -> None:
    """Printable ASCII, at most 2 KiB, and JSON."""
    line = render_json(LOGGER, "info", prepare(LOGGER, "info", event))
    assert len(line) <= MAX_LINE
    assert line.decode("ascii").isprintable()
    assert json.loads(line)["level"]


@given(EVENTS)
def test_any_event_is_one_bounded_line_for_people(event: dict[str, Any]) -> None:
    """Printable, at most 2 KiB."""
    line = ConsoleRenderer()(LOGGER, "info", prepare(LOGGER, "info", event))
    assert len(line) <= MAX_LINE
    assert line.decode().isprintable()


def test_the_fields_of_a_line() -> None:
    """The same four first, then what the event brings."""
    line = json.loads(json_line(request_id="r1", bytes=5))
    assert list(line) == ["timestamp", "level", "event", "logger", "request_id", "bytes"]
    assert list(line.values())[1:] == ["info", "e", "filepipe.test", "r1", 5]
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("text", ["a\nb", "\x1b[31m", "\u202eevil", "\x7f", "\x85", "\ud800"])
def test_control_and_bidi_characters_are_escaped(text: str) -> None:
    """In values, in the event, and in the names of fields."""
    raw = json_line(value=text)
    assert text not in raw.decode()
    assert json.loads(raw)["value"] == text
    line = console_line(**{"value": text, text: 1, "event": text})
    assert line.isprintable()
    assert text.encode("unicode_escape").decode() in line


def test_other_alphabets_stay_readable_for_people() -> None:
    """Only JSON is ASCII."""
    assert console_line(key="größe/文").endswith("key=größe/文")
    assert b"gr\\u00f6\\u00dfe" in json_line(key="größe")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("plain", "plain"), ("", '""'), ("a b", '"a b"'), ('a"b\\', '"a\\"b\\\\"'), ("a=b", '"a=b"'),
     (5, "5"), (None, "null"), ({"a": 1}, '{"a":1}')],
)  # fmt: skip
def test_people_see_where_a_value_ends(value: object, expected: str) -> None:
    """A value cannot pretend to be a further field."""
    assert quote(value) == expected


def test_a_long_value_is_cut_before_the_short_ones() -> None:
    """The line stays useful."""
    line = json.loads(json_line(request_id="r1", key="k" * 9000))
    assert line["request_id"] == "r1"
    assert "[...]" in line["key"]


def test_too_many_fields_leave_the_most_important_ones() -> None:
    """And the line says that it is cut."""
    line = json.loads(json_line(request_id="r1", **{f"f{i}": "é" * 99 for i in range(200)}))
    assert list(line) == ["timestamp", "level", "event", "request_id", "cut"]


def failure() -> BaseException:
    """An error with a traceback and a secret in it."""
    try:
        int("line one\nline two of http://h/?token=canary\x1b")
    except ValueError:
        error = ValueError("line one\nline two of http://h/?token=canary\x1b")
        return error.with_traceback(sys.exc_info()[2])


def test_a_traceback_is_a_field_in_json() -> None:
    """It is one line still, and its secrets are gone."""
    for given_as in (failure(), (ValueError, failure(), None)):
        line = json_line(exc_info=given_as)
        assert len(line) <= MAX_LINE
        assert b"canary" not in line
        assert "line two" in json.loads(line)["exception"]


def test_people_see_the_lines_of_a_traceback_behind_a_bar() -> None:
    """So none of them can pass for a line of the log."""
    first, *others = console_line("exception", exc_info=failure()).split("\n")
    assert "error" in first
    assert others[-1] == "  | line two of http://h/?[cut]"
    assert all(line.startswith("  | ") and line.isprintable() for line in others)


def test_no_exception_is_no_field() -> None:
    """`exc_info=True` outside of an except block has nothing to show."""
    assert json.loads(json_line(exc_info=True)).get("exception", "") == ""


@pytest.mark.parametrize(
    ("method", "prefix"),
    [("debug", "<7>"), ("info", "<6>"), ("warn", "<4>"), ("warning", "<4>"), ("error", "<3>"),
     ("exception", "<3>"), ("critical", "<2>")],
)  # fmt: skip
def test_the_journal_gets_priorities(method: str, prefix: str) -> None:
    """And no time, which it keeps itself; each line of a traceback has its priority too."""
    lines = console_line(method, journal=True, exc_info=failure()).split("\n")
    assert lines[0] == f"{prefix}e logger=filepipe.test"
    assert all(line.startswith(f"{prefix}  | ") for line in lines[1:])


def test_colours_are_for_terminals() -> None:
    """The level has one."""
    event = prepare(LOGGER, "error", {"event": "e"})
    assert b"\x1b[31merror" in ConsoleRenderer(colours=True)(LOGGER, "error", dict(event))
    assert b"\x1b" not in ConsoleRenderer()(LOGGER, "error", dict(event))


def test_a_terminal_with_a_small_alphabet_gets_escapes() -> None:
    """Writing must not fail over a letter."""
    event = prepare(LOGGER, "info", {"event": "é"})
    assert b"\\xe9" in ConsoleRenderer("ascii")(LOGGER, "info", event)
