"""The settings as one value."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from filepipe.config import Listen, Settings


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
