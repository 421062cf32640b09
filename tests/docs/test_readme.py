"""README.md: two commands, and a transcript that runs as it is written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from filepipe.cli.main import app
from tests.conftest import Daemon, curl

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^```sh\n(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL)


def test_there_are_exactly_two_commands() -> None:
    """One line each; the first serves, the second tests."""
    serve, test = COMMANDS
    assert serve.endswith("&& .venv/bin/filepipe serve")
    assert "pytest" in test
    assert "\n" not in serve + test


def test_ci_runs_the_two_commands() -> None:
    """`.ci/run` looks for them by their ends and finds each of them."""
    script = (ROOT / ".ci/run").read_text()
    ends = re.findall(r"\$\(readme_command '(.+?)'\)", script)
    assert len(ends) == 2
    for end in ends:
        assert [command for command in COMMANDS if command.endswith(end)], end


def test_the_commands_use_files_that_exist() -> None:
    """The lock files are there."""
    for command in COMMANDS:
        (lock,) = re.findall(r"-r (\S+)", command)
        assert (ROOT / lock).is_file()


def test_the_transcript_runs(daemon: Daemon, tmp_path: Path) -> None:
    """Each curl of it ends well, also where a download goes on."""
    whole = bytes(range(256)) * 8
    file = tmp_path / "big.iso"
    file.write_bytes(whole)
    transcript = re.findall(r"^\$ curl (.*?) +#", PAGE, re.MULTILINE)
    assert len(transcript) == 5
    for line in transcript:
        if "-C -" in line:
            file.write_bytes(whole[:1000])
        arguments = shlex.split(line.replace("HOST:3000", daemon.addresses[0]))
        curl("--fail", *arguments, cwd=tmp_path, check=True)
        assert file.read_bytes() == whole


def test_every_command_is_listed() -> None:
    """The table has them all."""
    table = PAGE.partition("## Commands")[2].partition("\n## ")[0]
    listed = set(re.findall(r"`filepipe ([a-z]+)", table))
    assert {name for name in app if not name.startswith("-")} == listed


def test_the_links_of_the_docs_lead_somewhere() -> None:
    """Every relative link of every page."""
    pages = [*ROOT.glob("*.md"), ROOT / "bench/README.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        prose = re.sub(r"`[^`\n]*`", "", page.read_text())  # code may look like a link
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", prose):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
