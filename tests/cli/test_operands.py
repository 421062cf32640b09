"""What the commands are given, and what they make of it."""

import io
import sys
from pathlib import Path

import pytest
from yarl import URL

from filepipe.cli import main, operands


def test_key_or_url() -> None:
    """Only http and https make a URL, which stays as it is."""
    assert operands.key_or_url("a:b/c") == "a:b/c"
    assert operands.key_or_url("https://h/%7e?n=2") == URL("https://h/%7e?n=2", encoded=True)


@pytest.mark.parametrize("call", [lambda: operands.key_or_url("http://h:99999/"),
                                  lambda: operands.seconds("--wait", "soon")])  # fmt: skip
def test_what_cannot_be_meant(call: object, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage is exit 2 with one line."""
    assert callable(call)
    with pytest.raises(SystemExit) as caught:
        call()
    assert caught.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("text", ["1.5", "-1", "0x10", "x", "\u0661"])
@pytest.mark.parametrize(
    "words", ["follow k --offset", "upload f --parts", "receive k --receivers"]
)
def test_a_number_that_is_none(words: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is rounded, and nobody is asked."""
    with pytest.raises(SystemExit) as caught:
        main.main([*words.split(), text])
    assert caught.value.code == 2
    assert f"{text!r} is not a whole number" in capsys.readouterr().err


def test_seconds() -> None:
    """A duration, or nothing."""
    assert (operands.seconds("--wait", "2m"), operands.seconds("--wait", None)) == (120, None)


@pytest.mark.parametrize(
    ("file", "name"), [("a/b.txt", "b.txt"), ("/x/", "x"), ("u\u0308", "\u00fc")]
)
def test_own_name(file: str, name: str) -> None:
    """The last part, composed."""
    assert operands.own_name(file) == name


def test_source_of_a_terminal_says_what_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever forgot the file is not left wondering; a pipe needs no word."""
    assert operands.source_of("f") == Path("f")
    for terminal in (True, False):
        stdin = io.StringIO()
        monkeypatch.setattr(stdin, "isatty", lambda answer=terminal: answer)
        monkeypatch.setattr(sys, "stdin", stdin)
        assert isinstance(operands.source_of("-"), io.FileIO)
        assert ("Ctrl-D" in capsys.readouterr().err) == terminal


def test_target_of(tmp_path: Path) -> None:
    """A path, or standard output; what ends in a slash must be a folder."""
    assert operands.target_of(f"{tmp_path}/") == tmp_path
    assert isinstance(operands.target_of("-"), io.FileIO)
    with pytest.raises(NotADirectoryError, match="is no folder"):
        operands.target_of(f"{tmp_path}/none/")
