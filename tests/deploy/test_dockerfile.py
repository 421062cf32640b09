"""The image, as far as it can be judged without building it."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = (ROOT / "deploy/compose.yaml").read_text()


def instructions() -> list[tuple[str, str]]:
    """Every instruction with its argument, continued lines joined."""
    text = re.sub(r"(?m)^#.*\n", "", DOCKERFILE).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (s.partition(" ") for s in text.splitlines())]


def final(name: str) -> str:
    """The one argument that an instruction has in the last stage."""
    steps = instructions()
    start = max(place for place, (word, _) in enumerate(steps) if word == "FROM")
    (argument,) = [rest for word, rest in steps[start:] if word == name]
    return argument


def test_hadolint_finds_nothing() -> None:
    """The linter of Dockerfiles has no remark, not even a hint."""
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint is not installed beside this Python")
    done = subprocess.run(
        [hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_daemon_is_process_one_and_nobody() -> None:
    """No shell stands before it, so signals reach it; its account has no name and no rights."""
    assert final("USER") == "65532:65532"
    assert final("ENTRYPOINT") == '["filepipe"]'
    assert final("CMD") == '["serve"]'
    assert final("STOPSIGNAL") == "SIGTERM"
    assert final("HEALTHCHECK").endswith('CMD ["filepipe", "health"]')
    assert final("VOLUME") == "/data"
    assert "DATA_DIR=/data" in shlex.split(final("ENV"))


def test_both_stages_have_one_base() -> None:
    """The environment made in one stage finds its Python in the other, on every architecture."""
    bases = {rest.split()[0] for word, rest in instructions() if word == "FROM"}
    assert len(bases) == 1
    assert not bases.pop().endswith(":latest")
    assert not re.search(r"amd64|arm64|x86_64|aarch64", "".join(rest for _, rest in instructions()))


def test_the_context_holds_what_the_build_takes() -> None:
    """Whatever is copied passes .dockerignore, and exists."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        source
        for word, rest in instructions()
        if word == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    }
    assert "*" in lines
    assert copied == allowed
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_build_takes_what_the_project_is_made_of() -> None:
    """Every file that the build backend reads is copied."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    needed = {package.split("/")[0] for package in packages}
    needed |= {project["project"]["readme"], *project["project"]["license-files"]}
    copied = " ".join(rest for word, rest in instructions() if word == "COPY").split()
    assert needed <= set(copied)


@pytest.mark.parametrize(
    "line",
    [
        "read_only: true",
        "- /tmp:noexec,nosuid,size=64m",
        "- no-new-privileges:true",
        "pids_limit: 512",
        "stop_grace_period: 90s",
        "- data:/data",
    ],
)
def test_compose_shuts_the_container_in(line: str) -> None:
    """Each of these lines is there; together they are what the image was made for."""
    assert line in [text.strip() for text in COMPOSE.splitlines()]


def test_compose_is_plain_yaml() -> None:
    """Only what needs no parser to judge: spaces, keys and list items, two spaces a level."""
    for line in COMPOSE.splitlines():
        assert re.fullmatch(r"(#.*|( {2})*(#.*|- \S.*|[\w-]+:( \S.*)?))?", line), line
