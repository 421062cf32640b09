"""Where settings come from, and what is said when one is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from filepipe.config import PROTOCOLS, load_settings
from filepipe.errors import ConfigError


def refusal(*args: object, **kwargs: object) -> str:
    """The one line with which the settings are refused."""
    with pytest.raises(ConfigError) as caught:
        load_settings(*args, **kwargs)  # type: ignore[arg-type]
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_each_source_goes_before_the_next(
    empty_surroundings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flags, environment, .env, file, default; each says where its value comes from."""
    file = empty_surroundings / "settings.toml"
    file.write_text('wait = "1s"\nretention = "1s"\nmax_wait = 1\nhead_timeout = 1.5\n')
    (empty_surroundings / ".env").write_text(
        "FILEPIPE_WAIT=2\nFILEPIPE_RETENTION=2\nexport FILEPIPE_MAX_WAIT='2 s'  # so\n"
    )
    monkeypatch.setenv("FILEPIPE_WAIT", "3")
    monkeypatch.setenv("FILEPIPE_RETENTION", "3")
    settings = load_settings({"wait": "4", "max_keys": None}, config=file)
    expected = {
        "wait": (4.0, "flag --wait"),
        "retention": (3.0, "environment variable FILEPIPE_RETENTION"),
        "max_wait": (2.0, ".env FILEPIPE_MAX_WAIT"),
        "head_timeout": (1.5, str(file)),
        "max_keys": (10000, "default"),
    }
    assert expected == {
        name: (getattr(settings, name), settings.source_of(name)) for name in expected
    }


def test_listen_has_four_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """FILEPIPE_LISTEN, LISTEN, SERVER_PORT, PORT, in this order, and the flag before all."""
    seen = []
    for name, value in [
        ("PORT", "1"), ("SERVER_PORT", "2"), ("LISTEN", ":3, :4"), ("FILEPIPE_LISTEN", ":5 :6"),
    ]:  # fmt: skip
        monkeypatch.setenv(name, value)
        settings = load_settings()
        assert settings.source_of("listen") == f"environment variable {name}"
        seen.append(settings.listen)
    assert seen == [("0.0.0.0:1",), ("0.0.0.0:2",), (":3", ":4"), (":5", ":6")]
    assert load_settings({"listen": [":7"]}).listen == (":7",)


def test_bare_names_work_and_ours_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of file-pipe and httpipe are read too."""
    for name, value in [
        ("DATA_DIR", "/d"), ("MAX_MEMORY", "1G"), ("MAX_DISK", "2G"), ("SPILL_THRESHOLD", "3K"),
        ("FORWARD_ALLOW", "a.example,10.0.0.0/8"), ("FILEPIPE_MAX_MEMORY", "5G"),
        ("REQUEST_TIMEOUT", "20"),
    ]:  # fmt: skip
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert (Path("/d"), 5 << 30, 2 << 30, 3072) == (
        settings.data_dir, settings.max_memory, settings.max_disk, settings.spill_threshold,
    )  # fmt: skip
    assert settings.forward_allow == ("a.example", "10.0.0.0/8")
    assert settings.request_timeout == 20.0


def test_an_empty_variable_is_not_set(
    empty_surroundings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a compose file writes `${MAX_MEMORY:-}`; the next source decides."""
    (empty_surroundings / ".env").write_text("MAX_MEMORY=7M\nFILEPIPE_WAIT\n")
    monkeypatch.setenv("FILEPIPE_MAX_MEMORY", "")
    monkeypatch.setenv("MAX_MEMORY", " ")
    settings = load_settings()
    assert (settings.max_memory, settings.wait) == (7 << 20, 60.0)


def test_other_names_in_a_dotenv_are_left_alone(empty_surroundings: Path) -> None:
    """The file may belong to a whole project."""
    (empty_surroundings / ".env").write_text("DATABASE_URL=x\nSECRET='a b'\nWAIT=5\n")
    assert load_settings().source_of("wait") == "default"


def test_the_settings_file_may_be_named_by_a_variable(
    empty_surroundings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FILEPIPE_CONFIG in the environment goes before the one in .env."""
    for name, value in [("one", "1"), ("two", "2"), ("three", "3")]:
        (empty_surroundings / f"{name}.toml").write_text(f"wait = {value}")
    (empty_surroundings / ".env").write_text("FILEPIPE_CONFIG=one.toml")
    assert load_settings().wait == 1
    monkeypatch.setenv("FILEPIPE_CONFIG", "two.toml")
    assert load_settings().wait == 2
    assert load_settings(config="three.toml").wait == 3


def test_lists_and_texts_in_toml(empty_surroundings: Path) -> None:
    """A list in TOML may hold what a variable would divide."""
    file = empty_surroundings / "s.toml"
    file.write_text('listen = ["unix:/run/a b,c", ":1"]\nforward_allow = "a, b"\n')
    settings = load_settings(config=file)
    assert (settings.listen, settings.forward_allow) == (("unix:/run/a b,c", ":1"), ("a", "b"))


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ({"max_memory": "x"}, "max_memory: 'x' is not a size such as 1048576, 256M or 1.5GiB"),
        ({"listen": [":99999"]}, "listen: '99999' is not a port, which is a number up to 65535"),
        ({"protocol": "ftp"}, f"protocol: 'ftp' is none of {', '.join(PROTOCOLS)}"),
        ({"tls_cert": "/nope"}, "tls_cert: '/nope' cannot be read: No such file or directory"),
    ],
)
def test_a_wrong_flag_is_named(overrides: dict[str, object], line: str) -> None:
    """The setting, what is wrong, and where it was given."""
    name = next(iter(overrides))
    assert f"{line} (flag --{name.replace('_', '-')})" == refusal(overrides)


def test_https_without_a_certificate_is_refused() -> None:
    """Settings that do not fit together are refused like a wrong one."""
    line = refusal({"listen": ["https://:1"]})
    assert line == "listen: https://:1 needs the settings tls_cert and tls_key"


@pytest.mark.parametrize("name", ["PORT", "SERVER_PORT"])
@pytest.mark.parametrize("value", ["http", "-1", "70000", "0.0.0.0:80"])
def test_a_port_is_a_number(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is named, as the setting is called otherwise."""
    monkeypatch.setenv(name, value)
    expected = f"listen: '{value}' is not a port, which is a number up to 65535 "
    assert f"{expected}(environment variable {name})" == refusal()


@pytest.mark.parametrize(
    ("name", "hint"),
    [("FILEPIPE_MAX_MEMROY", ", did you mean FILEPIPE_MAX_MEMORY?"), ("FILEPIPE_QQQ", "")],
)
def test_a_misspelt_variable_is_refused(
    name: str, hint: str, empty_surroundings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit that is not applied because of a typo must not go unnoticed."""
    (empty_surroundings / ".env").write_text(f"{name}=1")
    assert f"{name}: no such setting{hint} (.env)" == refusal()
    monkeypatch.setenv(name, "1")
    assert f"{name}: no such setting{hint} (environment variable)" == refusal()


def test_foreign_variables_of_our_name_are_let_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's URL, and what Kubernetes sets beside a service called filepipe."""
    for name, value in [
        ("FILEPIPE_URL", "http://x"),
        ("FILEPIPE_SERVICE_HOST", "10.0.0.1"), ("FILEPIPE_SERVICE_PORT", "80"),
        ("FILEPIPE_SERVICE_PORT_HTTP", "80"), ("FILEPIPE_PORT", "tcp://10.0.0.1:80"),
        ("FILEPIPE_PORT_80_TCP_ADDR", "10.0.0.1"),
    ]:  # fmt: skip
        monkeypatch.setenv(name, value)
    load_settings()
    monkeypatch.setenv("FILEPIPE_PORT", "8080")
    assert "FILEPIPE_PORT: no such setting" in refusal()


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"max_memroy = 1", "no such setting: max_memroy, did you mean max_memory?"),
        (b"max-memory = 1", "no such setting: max-memory, did you mean max_memory?"),
        (b"[server]\nwait = 1", "no such setting: server"),
        (b'"a\\u202eb" = 1', "no such setting: 'a\\u202eb'"),
        (b"wait = ", "Invalid value (at end of document)"),
        (b"wait = '\xff'", "is not UTF-8"),
    ],
)
def test_a_wrong_settings_file_is_named(
    content: bytes, line: str, empty_surroundings: Path
) -> None:
    """The file and the key, or the place in it."""
    file = empty_surroundings / "s.toml"
    file.write_bytes(content)
    assert f"{file}: {line}" == refusal(config=file)


def test_a_wrong_value_in_the_file_is_named(empty_surroundings: Path) -> None:
    """The setting first, then the file."""
    file = empty_surroundings / "s.toml"
    file.write_text("max_memory = true")
    expected = "max_memory: True is not a size such as 1048576, 256M or 1.5GiB"
    assert f"{expected} ({file})" == refusal(config=file)


def test_a_missing_settings_file_is_named(empty_surroundings: Path) -> None:
    """A file that was asked for must be there."""
    assert refusal(config="/nope.toml") == "/nope.toml: No such file or directory"
    assert refusal(config=empty_surroundings).endswith(": Is a directory")


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"A=1\nB='x\nC=2\n", ".env: line 2 cannot be understood"), (b"A=\xff", ".env: is not UTF-8")],
)
def test_a_broken_dotenv_is_refused(content: bytes, line: str, empty_surroundings: Path) -> None:
    """A line that is skipped could be one of ours."""
    (empty_surroundings / ".env").write_bytes(content)
    assert line == refusal()


def test_a_folder_called_dotenv_is_no_dotenv(empty_surroundings: Path) -> None:
    """Docker makes one for a bind mount whose file does not exist."""
    (empty_surroundings / ".env").mkdir()
    load_settings()


def test_an_unknown_override_is_refused() -> None:
    """Whoever calls us with a name that is none has made a mistake."""
    assert refusal({"wiat": 1}) == "the command line: no such setting: wiat, did you mean wait?"


def test_secrets_are_read_beside_the_settings(
    empty_surroundings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings file goes before them, and the environment before that."""
    file, beside = empty_surroundings / "s.toml", empty_surroundings / "secrets.toml"
    file.touch(mode=0o600)
    beside.write_text(f"api_key = '{'b' * 32}'\njwt_secret = '{'b' * 33}'\n")
    beside.chmod(0o600)

    def found() -> list[tuple[str, str]]:
        settings = load_settings(config=file)
        secrets = {"api_key": settings.api_key, "jwt_secret": settings.jwt_secret}
        return [
            (secret.get_secret_value()[:1], settings.source_of(name))
            for name, secret in secrets.items()
            if secret
        ]

    assert found() == [("b", str(beside)), ("b", str(beside))]
    file.write_text(f"jwt_secret = '{'s' * 32}'\n")
    assert found() == [("b", str(beside)), ("s", str(file))]
    monkeypatch.setenv("JWT_SECRET", "e" * 32)
    assert found() == [("b", str(beside)), ("e", "environment variable JWT_SECRET")]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("api_key = 'short-and-secret'", "api_key: is shorter than 32 bytes (FILE)"),
        ("jwt_secret = 5", "jwt_secret: is not a text (FILE)"),
        (f"api_key = '{'ä' * 20}'", "api_key: has characters other than visible ASCII, which no"),
        (f"api_key = '{'a b' * 20}'", "api_key: has characters other than visible ASCII, which no"),
        ("wait = 5", "FILE: is for api_key, aws_access_key_id, aws_secret_access_key, jwt_secret"),
        ("secret", "FILE: Expected '=' after a key"),
    ],
)
def test_wrong_secrets_are_named_and_not_shown(
    content: str, line: str, empty_surroundings: Path
) -> None:
    """The name and the file; not a letter of the value."""
    file, beside = empty_surroundings / "s.toml", empty_surroundings / "secrets.toml"
    file.touch()
    beside.write_text(content)
    beside.chmod(0o600)
    said = refusal(config=file)
    assert said.startswith(line.replace("FILE", str(beside)))
    assert "short-and" not in said


def test_secrets_in_settings_that_everybody_can_read_are_refused(empty_surroundings: Path) -> None:
    """Without a secret in it a settings file may be open."""
    file = empty_surroundings / "s.toml"
    file.write_text("api_key = ''\n")
    file.chmod(0o644)
    load_settings(config=file)
    file.write_text(f"api_key = '{'k' * 32}'\n")
    assert refusal(config=file).endswith("run chmod 600 on it")
    file.chmod(0o640)
    load_settings(config=file)


def test_secrets_that_everybody_can_read_are_refused(empty_surroundings: Path) -> None:
    """The file beside the settings must not be open to others."""
    file, secrets = empty_surroundings / "s.toml", empty_surroundings / "secrets.toml"
    file.touch()
    secrets.touch(mode=0o600)
    load_settings(config=file)
    secrets.chmod(0o640)
    load_settings(config=file)
    secrets.chmod(0o604)
    expected = "is open to everybody on this machine, run chmod 600 on it"
    assert f"{secrets}: {expected}" == refusal(config=file)
