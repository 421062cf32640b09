"""Single values, from text or TOML."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from filepipe.config import values


@pytest.mark.parametrize(
    ("raw", "expected"), [("256M", 256 << 20), ("1.5 GiB", 3 << 29), (0, 0), (77, 77), ("5", 5)]
)
def test_sizes(raw: object, expected: int) -> None:
    """Texts have units, numbers are bytes."""
    assert expected == values.size(raw)


@pytest.mark.parametrize("raw", ["", "5 bananas", "-1", -1, 1.5, True, None, [], 2**63, "1Z"])
def test_what_is_no_size(raw: object) -> None:
    """A boolean is no number, a fraction of a byte is nothing."""
    with pytest.raises(ValueError, match=r"size|file can hold"):
        values.size(raw)


def test_limits_may_be_absent() -> None:
    """`unlimited` is None, everything else a size."""
    assert (values.limit("Unlimited"), values.limit(None), values.limit("1k")) == (None, None, 1024)


@pytest.mark.parametrize(
    ("raw", "expected"), [("30", 30), ("30s", 30), ("1.5h", 5400), (0, 0), (2.5, 2.5)]
)
def test_durations(raw: object, expected: float) -> None:
    """Texts have units, numbers are seconds."""
    assert expected == values.duration(raw)


@pytest.mark.parametrize("raw", ["", "soon", -1, math.nan, math.inf, True, [], 1e300])
def test_what_is_no_duration(raw: object) -> None:
    """TOML has infinities; we do not wait that long."""
    with pytest.raises(ValueError, match="duration"):
        values.duration(raw)


def test_a_timeout_is_longer_than_nothing() -> None:
    """A limit of no time would end everything at once."""
    with pytest.raises(ValueError, match="longer than 0"):
        values.timeout("0s")


def test_a_limit_of_time_may_be_absent() -> None:
    """`unlimited` is None, everything else a time above 0."""
    texts = ("unlimited", "20", "5m")
    assert [values.time_limit(text) for text in texts] == [None, 20.0, 300.0]
    with pytest.raises(ValueError, match="longer than 0"):
        values.time_limit("0")


@pytest.mark.parametrize("raw", ["0", 0, -3, 1.0, "many", True, "1" * 12])
def test_what_is_no_count(raw: object) -> None:
    """Only whole numbers above 0 count."""
    with pytest.raises(ValueError, match="whole number"):
        values.count(raw)


def test_hours() -> None:
    """As many as a date can be reckoned with."""
    assert [values.hours("24"), values.hours(876_000)] == [24, 876_000]
    for raw, reason in (("876001", "more than 876000 hours"), ("0", "whole number")):
        with pytest.raises(ValueError, match=reason):
            values.hours(raw)


def test_counts() -> None:
    """A number, its text, and `auto` where that is allowed."""
    assert [
        values.count(7), values.count(" 8 "), values.count_or_auto("auto"), values.count_or_auto(9),
    ] == [7, 8, None, 9]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "expected"),
    [(True, True), ("Yes", True), ("1", True), (1, True), ("off", False), (0, False)],
)
def test_switches(raw: object, expected: bool) -> None:
    """The ways to say yes and no."""
    assert expected is values.switch(raw)


@pytest.mark.parametrize("raw", ["", "maybe", 2, 1.0, [True], None])
def test_what_is_no_switch(raw: object) -> None:
    """Nothing else is yes or no."""
    with pytest.raises(ValueError, match="neither true nor false"):
        values.switch(raw)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("a, b  c", ("a", "b", "c")),
        (["a b", "c"], ("a b", "c")),
        ((), ()),
    ],
)
def test_words(raw: object, expected: tuple[str, ...]) -> None:
    """A text is divided, a list is not."""
    assert expected == values.words(raw)


@pytest.mark.parametrize("raw", [5, ["a", 5], {"a": "b"}, None])
def test_what_are_no_words(raw: object) -> None:
    """A list has only texts in it."""
    with pytest.raises(ValueError, match="list of texts"):
        values.words(raw)


def test_targets() -> None:
    """Names are compared in lower case; a flag may hold several."""
    raw = ("Example.ORG,10.0.0.0/8", "fd00::/8", "*", "192.0.2.1", "::1", "my_host")
    expected = ("example.org", "10.0.0.0/8", "fd00::/8", "*", "192.0.2.1", "::1", "my_host")
    assert expected == values.targets(raw)


@pytest.mark.parametrize("raw", ["10.0.0.1/8", "a/b", "*.example.org", "1.2.3", "http://x", "ü"])
def test_what_is_no_target(raw: str) -> None:
    """A network with host bits set is a mistake that would allow too much or too little."""
    with pytest.raises(ValueError, match="no host name, address, CIDR"):
        values.targets(raw)


def test_paths_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path begins in the working directory, `~` in the home."""
    monkeypatch.setenv("HOME", "/h")
    monkeypatch.chdir(tmp_path)
    assert [tmp_path / "x", Path("/h/y")] == [values.path("x"), values.path("~/y")]


@pytest.mark.parametrize("raw", ["", "a\0b", 5, "~nobody-of-this-name/x"])
def test_what_is_no_path(raw: object) -> None:
    """An empty path would be the working directory."""
    with pytest.raises(ValueError, match=r"not a path|cannot be found"):
        values.path(raw)


def test_a_file_must_be_there(tmp_path: Path) -> None:
    """A file that is named is opened once, to see whether that works."""
    there = tmp_path / "there"
    there.touch()
    assert (there, None) == (values.readable_file(str(there)), values.readable_file(""))
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        values.readable_file(str(tmp_path / "absent"))


@pytest.mark.parametrize("raw", ["file", "", ":x", "FILE:", "file:\n", 5])
def test_what_is_no_storage(raw: object) -> None:
    """A storage has a scheme."""
    with pytest.raises(ValueError, match="SCHEME:LOCATION"):
        values.storage(raw)


def test_storages() -> None:
    """The location may be empty."""
    assert [values.storage("memory:"), values.storage("file:/x y")] == ["memory:", "file:/x y"]


def test_base_urls_lose_their_last_slash() -> None:
    """A key is put after it with a slash of its own."""
    expected = ["https://a.example/x", "http://[::1]:80", None]
    given = ("https://a.example/x/", "http://[::1]:80", "")
    assert expected == [values.base_url(url) for url in given]


@pytest.mark.parametrize(
    "raw",
    ["ftp://a", "a.example", "http://", "http://a:x", "http://[::1", "http://a/?q", "http://a/#f",
     "http://u:p@a", "http://a b", "http://ü", 5],
)  # fmt: skip
def test_what_is_no_base_url(raw: object) -> None:
    """A base has no query and no user."""
    with pytest.raises(ValueError, match=r"not a URL|must have no"):
        values.base_url(raw)


def test_choices_have_no_case() -> None:
    """INFO and info are the same level."""
    assert values.choice(" INFO ", "debug", "info") == "info"
    with pytest.raises(ValueError, match=r"'x' is none of a, b"):
        values.choice("x", "a", "b")


def test_shown_values_are_short_and_escaped() -> None:
    """An error message is one line, whatever was given."""
    assert (values.shown("a\nb"), len(values.shown("x" * 500))) == ("'a\\nb'", 79)
