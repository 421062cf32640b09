"""docs/architecture.md draws the states, the layers and the files as they are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from filepipe.channels.state import MOVES, Event

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text()

FOLDERS = sorted(
    {
        path.parent.relative_to(ROOT).as_posix()
        for source in ("filepipe", "backends")
        for path in (ROOT / source).rglob("*.py")
    }
)


def table(title: str) -> list[list[str]]:
    """The cells below a heading, the head of the table first."""
    text = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line[1] != "-"
    ]


def test_the_states_are_those_of_the_table() -> None:
    """Every state, every event, every move, and no other."""
    expected = [["state", *(event.value for event in Event)]]
    for state, moves in MOVES.items():
        cells = (moves[event].value if event in moves else "" for event in Event)
        expected.append([state.value, *cells])
    assert expected == table("The states of a channel")


def test_the_layers_are_those_of_the_linter() -> None:
    """In their order, from the top."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each["type"] == "layers")
    documented = [re.findall("`(.+?)`", row[0]) for row in table("Layers")[1:]]
    assert [layer.split(" | ") for layer in layers] == documented


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_file_is_named(folder: str) -> None:
    """A newcomer finds each module, and no module that is gone."""
    files = {path.stem for path in (ROOT / folder).glob("*.py") if path.stem[0] != "_"}
    named = {row[0].strip("`/"): row[1] for row in table("Where is what")}
    words = set(re.findall(r"(?:^|, )`([a-z0-9_]+)`", named[folder]))
    assert files == words


def test_every_path_in_the_pictures_exists() -> None:
    """An arrow leads somewhere."""
    pictures = "".join(re.findall(r"^```\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
    paths = re.findall(r"[a-z_/]+\.py|[a-z_]+/(?= |,|$)", pictures, re.MULTILINE)
    assert len(paths) > 20
    assert not [path for path in paths if not (ROOT / "filepipe" / path).exists()]
