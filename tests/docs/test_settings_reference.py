"""docs/reference/settings.md says of every setting what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from filepipe.cli.spellings import SPELLINGS
from filepipe.config import PROTOCOLS, Description, Listen, describe
from filepipe.sizes import parse_duration, parse_size

PAGE = (Path(__file__).parents[2] / "docs/reference/settings.md").read_text()
ROWS = re.findall(r"^\| `[a-z0-9_]+` \|.*", PAGE.partition("## How values")[0], re.MULTILINE)


def row(setting: Description) -> str:
    """The line of the table for a setting."""
    flags = [setting.flag] if setting.flag else []
    flags += [f"--no-{setting.flag[2:]}"] if setting.kind == "switch" else []
    flags += [setting.short] if setting.short else []
    shown = (", ".join(f"`{name}`" for name in group) for group in (flags, setting.variables))
    names = [names or "none" for names in shown]
    return f"| `{setting.name}` | {' | '.join(names)} | {setting.default} | {setting.meaning} |"


def test_the_table_has_every_setting_and_no_other() -> None:
    """In the order in which they are shown elsewhere."""
    assert [item.name for item in describe()] == [line.split("`")[1] for line in ROWS]


@pytest.mark.parametrize("setting", describe(), ids=lambda item: item.name)
def test_a_row_says_what_the_program_does(setting: Description) -> None:
    """Flags, variables, default and meaning are those of the code."""
    assert row(setting) in ROWS


def test_the_addresses_of_the_page_can_be_read() -> None:
    """Each example in the table of addresses is one."""
    table = PAGE.partition("## Addresses")[2].partition("\n## ")[0]
    examples = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert len([Listen.parse(example) for example in examples]) >= 9


def test_the_sizes_and_durations_of_the_page_can_be_read() -> None:
    """So can the values in its text."""
    sizes = re.search(r"\*\*Sizes\*\*.*?: (`.*?`)\. Units", PAGE, re.DOTALL)
    durations = re.search(r"\*\*Durations\*\*.*?: (`.*?`)\.\n", PAGE, re.DOTALL)
    assert sizes
    assert durations
    assert [parse_size(text) for text in re.findall("`(.+?)`", sizes[1])] == [
        1048576, 256 << 20, 3 << 29,
    ]  # fmt: skip
    assert [parse_duration(text) for text in re.findall("`(.+?)`", durations[1])] == [
        30, 30, 300, 5400, 172800,
    ]  # fmt: skip


def test_the_page_names_every_flag_of_the_originals() -> None:
    """With the protocol that it needs, and each of its names."""
    table = PAGE.partition("## The flags of")[2].partition("\n## ")[0]
    for spelling in SPELLINGS:
        rows = table.partition(f"| `--protocol {spelling.protocol}` |")[2]
        rows = rows.partition("| `--protocol")[0]
        for name in ("--" + spelling.name.replace("_", "-"), spelling.short):
            assert f"`{name} {spelling.metavar}".rstrip() in rows or not name


def test_the_page_names_every_protocol() -> None:
    """A listener can speak no other."""
    *most, last = (f"`{name}`" for name in PROTOCOLS)
    assert f"The protocols are {', '.join(most)} and {last}." in PAGE
