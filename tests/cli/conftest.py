"""What the tests of the commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from filepipe import daemon
from filepipe.cli.main import main
from filepipe.config import Settings, describe
from tests.cli.shell import Call, Shell
from tests.cli.uploading import KEY, UploadShell
from tests.client.fake_origin import FakeOrigin, OriginThread
from tests.conftest import Daemon

Serve = Callable[..., tuple[object, Settings | None]]


@pytest.fixture
def origin() -> Iterator[FakeOrigin]:
    """A running origin without objects and without faults."""
    with OriginThread() as made:
        yield made


@pytest.fixture
def shell(tmp_path: Path, origin: FakeOrigin) -> Iterator[Shell]:
    """A shell whose server is the origin."""
    made = Shell(tmp_path, origin.url)
    yield made
    made.close()


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


@pytest.fixture(scope="package")
def uploads_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that takes uploads, in parts of 1 MiB."""
    environment = {"API_KEY": KEY, "CHUNK_SIZE_MB": "1"}
    made = Daemon([], tmp_path_factory.mktemp("uploads"), env=environment)
    yield made
    made.kill()
    made.assert_clean_log()


@pytest.fixture
def uploader(tmp_path: Path, uploads_daemon: Daemon) -> Iterator[UploadShell]:
    """A shell whose server is that daemon."""
    made = UploadShell(tmp_path, uploads_daemon)
    yield made
    made.close()


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Run `serve` with arguments: its exit code and what the daemon was given."""
    bare = {variable for item in describe() for variable in item.variables}
    for name in [name for name in os.environ if name in bare or name.startswith("FILEPIPE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    seen: list[Settings] = []

    def run(settings: Settings) -> int:
        seen.append(settings)
        return 7

    monkeypatch.setattr(daemon, "run", run)

    def call(*arguments: str) -> tuple[object, Settings | None]:
        with pytest.raises(SystemExit) as caught:
            main(["serve", *arguments])
        return caught.value.code, seen[-1] if seen else None

    return call
