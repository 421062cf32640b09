"""`filepipe config`."""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from filepipe.cli.main import main
from filepipe.cli.settings import settings_file
from filepipe.config import Settings, describe, load_settings

Run = Callable[..., tuple[object, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `config` in an empty place: its exit code, stdout and stderr."""
    bare = {variable for item in describe() for variable in item.variables}
    for name in [name for name in os.environ if name in bare or name.startswith("FILEPIPE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)

    def call(*arguments: object) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(["config", *map(str, arguments)])
        return caught.value.code, *capsys.readouterr()

    return call


def test_show_lists_every_setting_and_its_source(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For people: sizes and durations in words."""
    (tmp_path / "s.toml").write_text("wait = 90\nforward_allow = ['a', 'b']")
    monkeypatch.setenv("MAX_MEMORY", "1G")
    code, output, _ = run("show", "--config", "s.toml")
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in output.splitlines()}
    assert (code, list(rows)) == (0, [item.name for item in describe()])
    expected = {
        "max_memory": "1 GiB environment variable MAX_MEMORY",
        "wait": "1 minute and 30 seconds s.toml",
        "forward_allow": "a, b s.toml",
        "max_body_size": "unlimited default",
        "max_connections": "auto default",
        "request_timeout": "unlimited default",
        "heartbeat": "0 seconds default",
        "public_url": "none default",
        "allow_delete": "false default",
        "listen": "0.0.0.0:3000 default",
    }
    assert {name: rows[name] for name in expected} == expected


def test_show_as_json_is_exact(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """For programs: bytes and seconds."""
    monkeypatch.setenv("FILEPIPE_WAIT", "1.5m")
    code, output, _ = run("show", "--json")
    settings = json.loads(output)
    assert (code, sorted(settings)) == (0, sorted(item.name for item in describe()))
    assert settings["wait"] == {"value": 90.0, "source": "environment variable FILEPIPE_WAIT"}
    assert settings["max_memory"] == {"value": 256 << 20, "source": "default"}
    assert settings["listen"]["value"] == ["0.0.0.0:3000"]


def test_a_secret_is_not_shown(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only that there is one, and where."""
    monkeypatch.setenv("API_KEY", "k" * 32)
    (tmp_path / "s.toml").touch()
    (tmp_path / "secrets.toml").write_text(f"jwt_secret = '{'j' * 40}'")
    (tmp_path / "secrets.toml").chmod(0o600)
    for form in ((), ("--json",)):
        code, output, _ = run("show", "--config", "s.toml", *form)
        assert code == 0
        assert "kkk" not in output
        assert "jjj" not in output
        assert "environment variable API_KEY" in output
        assert "secrets.toml" in output
    monkeypatch.setenv("API_KEY", "kkk")
    line = "filepipe: api_key: is shorter than 32 bytes (environment variable API_KEY)\n"
    assert run("check") == (2, "", line)


def test_check_says_ok(run: Run) -> None:
    """And nothing else."""
    assert run("check") == (0, "ok\n", "")


@pytest.mark.parametrize("command", ["check", "show"])
def test_a_wrong_setting_is_one_line_and_exit_2(command: str, run: Run, tmp_path: Path) -> None:
    """Wherever it comes from."""
    (tmp_path / "s.toml").write_text("max_memory = 'lots'")
    line = "filepipe: max_memory: 'lots' is not a size such as 1048576, 256M or 1.5GiB (s.toml)\n"
    assert run(command, "--config", "s.toml") == (2, "", line)


def test_init_writes_settings_and_secrets(run: Run, tmp_path: Path) -> None:
    """The folder and the secrets are private; the umask cannot open them."""
    path = tmp_path / "new/deep/filepipe.toml"
    before = os.umask(0)
    try:
        code, output, _ = run("init", "--path", path)
    finally:
        os.umask(before)
    secrets = path.with_name("secrets.toml")
    assert code == 0
    assert f"Wrote {path}\nWrote {secrets}\n" in output
    assert [stat.S_IMODE(item.stat().st_mode) for item in (path.parent, path, secrets)] == [
        0o700, 0o644, 0o600,
    ]  # fmt: skip
    values = tomllib.loads(secrets.read_text())
    assert set(values) == {"api_key", "jwt_secret", "webhook_secret"}
    assert len({len(bytes.fromhex(value)) for value in values.values()} | {32}) == 1
    assert len(set(values.values())) == 3
    assert run("check", "--config", path) == (0, "ok\n", "")


def test_init_replaces_settings_only_by_force_and_secrets_never(run: Run, tmp_path: Path) -> None:
    """Secrets that are in use would be lost."""
    path = tmp_path / "filepipe.toml"
    run("init", "--path", path)
    secrets = path.with_name("secrets.toml").read_text()
    path.write_text("wait = 5")
    expected = f"filepipe: {path} exists already, --force replaces it\n"
    assert run("init", "--path", path) == (1, "", expected)
    assert path.read_text() == "wait = 5"
    code, output, _ = run("init", "--path", path, "--force")
    assert (code, "secrets" in output) == (0, False)
    assert path.read_text() == settings_file()
    assert path.with_name("secrets.toml").read_text() == secrets


@pytest.mark.parametrize(
    ("user", "config_home", "expected"),
    [
        (1000, None, "HOME/.config/filepipe/filepipe.toml"),
        (1000, "HOME/xdg", "HOME/xdg/filepipe/filepipe.toml"),
        (1000, "relative", "HOME/.config/filepipe/filepipe.toml"),
    ],
)
def test_where_init_writes_for_a_user(
    user: int, config_home: str | None, expected: str, run: Run, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The folder of the XDG specification."""
    monkeypatch.setattr(os, "geteuid", lambda: user)
    if config_home:
        monkeypatch.setenv("XDG_CONFIG_HOME", config_home.replace("HOME", str(tmp_path)))
    assert run("init")[0] == 0
    assert Path(expected.replace("HOME", str(tmp_path))).is_file()


def test_where_init_writes_for_root(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/etc, and one line where that cannot be written."""
    made: list[Path] = []

    def mkdir(path: Path, **_: object) -> None:
        made.append(path)
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(Path, "mkdir", mkdir)
    assert run("init") == (1, "", "filepipe: /etc/filepipe: Permission denied\n")
    assert made == [Path("/etc/filepipe")]


def test_the_settings_file_means_the_defaults(run: Run, tmp_path: Path) -> None:
    """Without its # every line is valid, and says what is so anyway."""
    text = settings_file()
    assert tomllib.loads(text) == {}
    (tmp_path / "s.toml").write_text(re.sub(r"^#(?! )", "", text, flags=re.MULTILINE))
    settings = load_settings(config=tmp_path / "s.toml")
    names = [item.name for item in describe()]
    assert [settings.source_of(name) for name in names] == [str(tmp_path / "s.toml")] * len(names)
    exact = [name for name in names if name != "max_disk"]
    assert [getattr(settings, n) for n in exact] == [getattr(Settings(), n) for n in exact]


def test_the_settings_file_explains_every_setting() -> None:
    """Its meaning, its other names, its default."""
    words = " ".join(settings_file().replace("#", " ").split())
    for item in describe():
        assert " ".join(item.meaning.split()) in words
        assert f"default: {item.default}" in words
        assert all(name in words for name in (item.flag, *item.variables))
