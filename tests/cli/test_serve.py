"""`filepipe serve`, with a daemon that only notes its settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from filepipe import daemon
from filepipe.config import Settings, describe
from filepipe.errors import ConfigError
from tests.cli.conftest import Serve


def test_without_flags_the_defaults_serve(serve: Serve) -> None:
    """And the daemon's exit code is ours."""
    assert serve() == (7, Settings())


@pytest.mark.parametrize(
    "setting", [item for item in describe() if not item.hidden], ids=lambda item: item.name
)
def test_each_setting_has_a_flag(setting: object, serve: Serve, tmp_path: Path) -> None:
    """A value that is given as text arrives as `Settings` reads it."""
    item = next(item for item in describe() if item == setting)
    (tmp_path / "pem").touch()
    samples = {
        "listen": ":1", "protocol": "file-pipe", "data_dir": "/x", "storage": "memory:",
        "forward_allow": "a.example", "webhook_allow": "a.example",
        "public_url": "http://x", "tls_cert": "pem",
        "tls_key": "pem", "log_level": "error", "log_format": "json", "dashboard": "keys",
        "chunk_sizes": "fixed", "upload_names": "overwrite", "interim_answers": "never",
        "local_storage_path": "/x", "storage_backend": "s3", "allowed_backends": "local",
        "s3_endpoint": "http://x", "s3_addressing": "path", "s3_checksums": "when_supported",
        "s3_downloads": "redirect", "smb_security": "signed",
    }  # fmt: skip
    arguments = [item.flag, samples.get(item.name, "7")]
    if item.kind == "switch":
        arguments = [f"--no-{item.flag[2:]}" if item.default == "true" else item.flag]
    if item.name.startswith("tls_"):
        arguments = ["--tls-cert", "pem", "--tls-key", "pem"]
    code, settings = serve(*arguments)
    assert (code, settings is not None) == (7, True)
    assert settings is not None
    assert settings.source_of(item.name) == f"flag {item.flag}"
    if item.name != "max_disk":
        assert getattr(settings, item.name) != getattr(Settings(), item.name)


def test_the_short_flags_of_file_pipe(serve: Serve) -> None:
    """-l may be repeated, a value may stick to its flag."""
    _, settings = serve("-l", ":1", "-l=:2", "-d", "/x", "-M1G", "-D", "unlimited", "-s", "0")
    assert settings is not None
    assert settings.listen == (":1", ":2")
    assert settings.data_dir == Path("/x")
    assert (settings.max_memory, settings.max_disk, settings.spill_threshold) == (1 << 30, None, 0)


def test_flags_go_before_the_environment_and_that_before_the_file(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flag that is not given hides nothing."""
    (tmp_path / "s.toml").write_text("wait = 1\nretention = 1\nrelay = false\n")
    monkeypatch.setenv("FILEPIPE_WAIT", "2")
    monkeypatch.setenv("FILEPIPE_RETENTION", "2")
    _, settings = serve("--config", "s.toml", "--wait", "3")
    assert settings is not None
    assert (settings.wait, settings.retention, settings.relay) == (3, 2, False)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--max-memory", "lots"], "max_memory: 'lots' is not a size"),
        (["-M", "none"], "max_memory: 'none' is not a size"),
        (["--max-disk=-5"], "max_disk: '-5' is not a size"),
        (["--listen", "::1"], "listen: '::1' is not an address"),
        (["--listen", "https://:1"], "listen: https://:1 needs the settings tls_cert"),
        (["--relay=perhaps"], 'Invalid value for --relay: unable to convert "perhaps" into bool'),
        (["--head-timeout", "0"], "head_timeout: must be longer than 0 seconds"),
        (["--config", "/nope"], "/nope: No such file or directory"),
        (["--wait", "5", "minutes"], "cannot make sense of 'minutes'"),
        (["--wait", "5", "--wait", "6"], "Parameter --wait specified multiple times."),
        (["--data-dir"], 'Command "serve" parameter --data-dir requires an argument'),
    ],
)
def test_a_wrong_value_is_one_line_and_exit_2(
    arguments: list[str], line: str, serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    """The daemon is not even imported for it."""
    assert serve(*arguments) == (2, None)
    error = capsys.readouterr().err
    assert error.startswith(f"filepipe: {line}")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        (OSError(98, "Address already in use"), "[Errno 98] Address already in use"),
        (ConfigError("storage: nothing knows x:"), "storage: nothing knows x:"),
    ],
)
def test_a_daemon_that_cannot_start_is_one_line_and_exit_1(
    reason: Exception, line: str, serve: Serve, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """A restart might help here, as it would not with a wrong setting."""

    def run(settings: Settings) -> int:
        raise reason

    monkeypatch.setattr(daemon, "run", run)
    assert serve()[0] == 1
    assert capsys.readouterr().err == f"filepipe: cannot start: {line}\n"


def test_help_shows_flags_variables_and_defaults(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything about a setting that fits a line or two."""
    assert serve("--help") == (0, None)
    words = set(capsys.readouterr().out.replace(",", " ").replace(";", " ").split())
    for item in describe():
        if item.hidden:
            assert item.variables[0] not in words
            continue
        assert {item.flag, *filter(None, [item.short])} <= words
        assert {variable.strip() for variable in item.variables} <= {w.strip("[]") for w in words}
    assert {"--no-relay", "--config", "256", "0.0.0.0:3000]"} <= words
