"""The settings as one value."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from filepipe.config import Listen, Settings, describe


def test_the_defaults() -> None:
    """What a daemon without any setting does."""
    settings = Settings()
    assert (Listen(host="0.0.0.0", port=3000),) == settings.listeners()
    assert (
        settings.max_memory, settings.spill_threshold, settings.max_body_size,
    ) == (256 << 20, 1 << 20, None)  # fmt: skip
    assert (settings.wait, settings.max_wait, settings.idle_timeout) == (60.0, 3600.0, 86400.0)
    assert (settings.allow_delete, settings.relay, settings.forward_allow) == (False, True, ())
    assert (settings.max_receivers, settings.dashboard) == (64, "counts")
    assert (
        settings.piping_wait, settings.request_timeout, settings.heartbeat,
    ) == (86400.0, None, 0.0)  # fmt: skip


def test_the_database_is_in_our_own_folder() -> None:
    """Unless it is named."""
    assert Path("/d/filepipe/uploads.db") == Settings(data_dir="/d").database_path
    assert Path("/x/y.db") == Settings(data_dir="/d", database_path="/x/y.db").database_path


def test_secrets_do_not_show_by_accident() -> None:
    """A daemon that prints its settings gives nothing away."""
    settings = Settings(api_key="k" * 32, jwt_secret="ä" * 16)
    shown = f"{settings!r} {settings} {settings.model_dump()}"
    assert "kkk" not in shown
    assert "ää" not in shown
    assert settings.api_key
    assert settings.api_key.get_secret_value() == "k" * 32


def test_settings_cannot_be_changed() -> None:
    """They are read once and stay."""
    with pytest.raises(ValidationError, match="frozen"):
        Settings().wait = 5.0  # type: ignore[misc]


def test_building_settings_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only load_settings looks around."""
    monkeypatch.setenv("FILEPIPE_WAIT", "7")
    monkeypatch.setenv("WAIT", "7")
    assert Settings().wait == 60.0


def test_the_state_directory_of_the_service_manager_goes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """systemd may name several, divided by colons; the first is ours."""
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
    assert Path("/xdg/filepipe") == Settings().data_dir
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/filepipe:/var/lib/other")
    assert Path("/var/lib/filepipe") == Settings().data_dir


def test_without_a_state_directory_the_home_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative XDG_STATE_HOME is to be ignored."""
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert tmp_path / "home/.local/state/filepipe" == Settings().data_dir


def test_max_disk_follows_the_disk_of_the_data_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder need not exist yet; 90 % of what is free there is the limit."""
    asked: list[str] = []

    def statvfs(path: os.PathLike[str]) -> os.statvfs_result:
        asked.append(os.fspath(path))
        return os.statvfs_result((4096, 1000, 0, 0, 100, 0, 0, 0, 0, 255))

    monkeypatch.setattr(os, "statvfs", statvfs)
    assert Settings(data_dir="/proc/self/absent/deeper").max_disk == 90_000
    assert asked == ["/proc/self"]
    assert Settings(max_disk="unlimited").max_disk is None


def test_a_disk_that_cannot_be_looked_at_is_a_wrong_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the size of the disk there is no automatic limit."""

    def statvfs(path: object) -> os.statvfs_result:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "statvfs", statvfs)
    with pytest.raises(ValidationError, match="auto cannot look at /x: Permission denied"):
        Settings(data_dir="/x")


def test_the_protocol_is_for_listeners_that_name_none() -> None:
    """An address may still say otherwise."""
    settings = Settings(listen=[":1", ":2=auto"], protocol="file-pipe")
    assert [listen.protocol for listen in settings.listeners()] == ["file-pipe", "auto"]


def test_https_needs_a_certificate_and_its_key(tmp_path: Path) -> None:
    """Both, or no https at all."""
    file = tmp_path / "pem"
    file.touch()
    with pytest.raises(ValidationError, match="listen: https://:1 needs the settings tls_cert"):
        Settings(listen=["https://:1"])
    with pytest.raises(ValidationError, match="tls_key: is missing"):
        Settings(tls_cert=str(file))
    with pytest.raises(ValidationError, match="tls_cert: is missing"):
        Settings(tls_key=str(file))
    settings = Settings(listen=["https://:1"], tls_cert=str(file), tls_key=str(file))
    assert settings.listeners()[0].scheme == "https"


@pytest.mark.parametrize(
    ("listen", "schemes"),
    [
        (["0.0.0.0:3000"], ["https"]),
        ([":1", ":2=file-pipe"], ["https", "https"]),
        (["http://:1", ":2"], ["http", "https"]),
        ([":1", "https://:2"], ["http", "https"]),
        ([":1", "unix:/x", "fd:x"], ["https", "http", "http"]),
        ([":1", "https://unix:/x"], ["http", "https"]),
    ],
)
def test_what_a_certificate_is_for(listen: list[str], schemes: list[str], tmp_path: Path) -> None:
    """For what https:// was written before, or else for each HOST:PORT that names no scheme."""
    file = tmp_path / "pem"
    file.touch()
    settings = Settings(listen=listen, tls_cert=str(file), tls_key=str(file))
    assert [listener.scheme for listener in settings.listeners()] == schemes
    plain = [text for text in listen if not text.startswith("https://")]
    assert {listener.scheme for listener in Settings(listen=plain).listeners()} == {"http"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("listen", ","), ("listen", ":x"), ("protocol", "tus"), ("data_dir", ""),
        ("storage", "x"), ("max_disk", "lots"), ("max_keys", 0), ("max_connections", "some"),
        ("head_timeout", 0), ("log_level", "loud"), ("log_format", "xml"), ("nonsense", 1),
        ("piping_wait", 0), ("request_timeout", 0), ("heartbeat", -1), ("max_receivers", 0),
        ("dashboard", "all"), ("api_key", "k" * 31), ("jwt_secret", "ä" * 15), ("api_key", 7),
        ("database_path", "\0"),
    ],
)  # fmt: skip
def test_each_wrong_value_is_refused(name: str, value: object) -> None:
    """One wrong value is enough, and its setting is named."""
    with pytest.raises(ValidationError) as caught:
        Settings(**{name: value})
    assert caught.value.errors()[0]["loc"] == (name,)


def test_every_setting_is_described() -> None:
    """Each has a flag, unless it is secret, a variable of its own, a default and a sentence."""
    described = {item.name: item for item in describe()}
    assert list(Settings.model_fields) == list(described)
    for name, item in described.items():
        assert f"FILEPIPE_{name.upper()}" == item.variables[0]
        assert bool(item.flag) == (item.kind != "secret")
        assert item.default
        assert item.meaning.endswith(".")


def test_the_kinds_of_settings() -> None:
    """What a flag or a file looks like follows from the kind."""
    kinds = {item.name: item.kind for item in describe()}
    names = ("relay", "listen", "max_disk", "wait", "max_keys", "storage", "api_key", "jwt_secret")
    expected = ["switch", "list", "size", "duration", "number", "text", "secret", "secret"]
    assert expected == [kinds[name] for name in names]


def test_short_flags_and_variables_are_those_of_the_originals() -> None:
    """Whoever comes from there changes nothing."""
    short = {item.short: item.variables[1] for item in describe() if item.short}
    expected = {
        "-l": "LISTEN", "-d": "DATA_DIR", "-M": "MAX_MEMORY", "-D": "MAX_DISK",
        "-s": "SPILL_THRESHOLD", "-r": "REQUEST_TIMEOUT",
    }  # fmt: skip
    assert expected == short
