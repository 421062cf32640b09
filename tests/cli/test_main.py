"""The command line as a whole: help, mistakes, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from filepipe import __version__
from filepipe.cli.main import fail, main

COMMANDS = (
    "serve",
    "put",
    "get",
    "send",
    "receive",
    "append",
    "follow",
    "channel",
    "config",
    "service",
    "health",
)


def exit_code(*arguments: str) -> object:
    """What the process would exit with."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_help_names_every_command(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where nothing was asked for."""
    assert exit_code(*arguments) == 0
    output = capsys.readouterr().out
    assert all(f" {command} " in output for command in COMMANDS)


@pytest.mark.parametrize("arguments", [["--help"], ["config", "--help"], ["--version"]])
def test_help_imports_no_server(arguments: list[str]) -> None:
    """Help is quick because what it does not need is not loaded."""
    code = (
        "import sys, json\nfrom filepipe.cli.main import main\n"
        f"try: main({arguments!r})\n"
        "finally: print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50
    )
    loaded = set(json.loads(done.stderr))
    assert "filepipe.cli.main" in loaded
    assert not loaded & {"aiohttp", "structlog", "uvloop", "prometheus_client", "filepipe.daemon"}
    if arguments[0] != "config":
        assert not loaded & {"asyncio", "pydantic", "filepipe.config"}


@pytest.mark.parametrize("command", [[str(Path(sys.executable).with_name("filepipe"))],
                                     [sys.executable, "-m", "filepipe"]])  # fmt: skip
def test_both_ways_to_call_it_are_the_same(command: list[str]) -> None:
    """The installed command and `python -m filepipe`."""
    done = subprocess.run(
        [*command, "--version"], capture_output=True, text=True, check=True, timeout=50
    )
    assert done.stdout == f"filepipe {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["srve"], "srve"),
        (["serve", "--max-memroy", "1"], "Did you mean --max-memory?"),
        (["config", "check", "extra", "more"], "cannot make sense of 'extra more'"),
        (["health", "--url"], "--url requires an argument"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_2(
    arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No box, no traceback."""
    assert exit_code(*arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("filepipe: ")
    assert output.err.count("\n") == 1
    assert part in output.err


def test_a_failure_is_one_line_whatever_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence of a library may have several."""
    with pytest.raises(SystemExit) as caught:
        fail("one\n  two")
    assert (caught.value.code, capsys.readouterr().err) == (1, "filepipe: one two\n")


def test_a_reader_that_leaves_early_causes_no_traceback() -> None:
    """As in `filepipe config show | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "filepipe", "config", "show"],
        stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=50,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")
