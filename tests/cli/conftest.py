"""What the tests of the commands share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from filepipe.cli.main import main
from tests.cli.shell import Call, Shell
from tests.client.fake_origin import FakeOrigin, OriginThread


@pytest.fixture
def origin() -> Iterator[FakeOrigin]:
    """A running origin without objects and without faults."""
    with OriginThread() as made:
        yield made


@pytest.fixture
def shell(tmp_path: Path, origin: FakeOrigin) -> Shell:
    """A shell whose server is the origin."""
    return Shell(tmp_path, origin.url)


@pytest.fixture
def call(shell: Shell, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Call a command in this process, where its streams and signals do not matter."""
    monkeypatch.chdir(shell.folder)
    for name in ("FILEPIPE_URL", "NO_PROXY"):
        monkeypatch.setenv(name, shell.environment[name])

    def run(*arguments: str) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        return caught.value.code, *capfd.readouterr()

    return run
