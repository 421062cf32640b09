"""`serve` with the flags of piping-server and httpipe."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from filepipe.cli.spellings import SPELLINGS
from filepipe.config import Listen, Settings
from tests.cli.conftest import Serve
from tests.conftest import eventually

PIPING = ("--protocol", "piping")
HTTPIPE = ("--protocol", "httpipe")
HTTPS = ("--enable-https", "--https-port=8443", "--crt-path=c.pem", "--key-path=k.pem")


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate and a key by name, in the folder where `serve` runs."""
    paths = tmp_path / "c.pem", tmp_path / "k.pem"
    for path in paths:
        path.touch()
    return paths


def listeners(serve: Serve, *arguments: str) -> tuple[Listen, ...]:
    """Where the daemon would listen."""
    code, settings = serve(*arguments)
    assert code == 7
    assert settings is not None
    return settings.listeners()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--http-port=8888"], Listen(port=8888, protocol="piping")),
        (["--http-port", "0", "--host="], Listen(port=0, protocol="piping")),
        (["--host", "127.0.0.1"], Listen(host="127.0.0.1", port=8080, protocol="piping")),
        (["--host=::1"], Listen(host="::1", port=8080, protocol="piping")),
        (["--host=localhost"], Listen(host="localhost", port=8080, protocol="piping")),
        (["--enable-https=false"], Listen(port=8080, protocol="piping")),
    ],
)
def test_piping_without_tls(serve: Serve, arguments: list[str], expected: Listen) -> None:
    """With one of its flags the defaults of piping-server hold for the others."""
    assert listeners(serve, *PIPING, *arguments) == (expected,)


def test_piping_with_tls(serve: Serve, pair: tuple[Path, Path]) -> None:
    """Both ports, and the certificate for one of them only."""
    code, settings = serve(*PIPING, *HTTPS, "--host=::")
    assert code == 7
    assert settings is not None
    assert settings.listeners() == (
        Listen("http", host="::", port=8080, protocol="piping"),
        Listen("https", host="::", port=8443, protocol="piping"),
    )
    assert (settings.tls_cert, settings.tls_key) == pair


def test_piping_without_its_flags_listens_as_filepipe_does(serve: Serve) -> None:
    """What nobody asked for does not change."""
    assert listeners(serve, *PIPING) == (Listen(host="0.0.0.0", port=3000, protocol="piping"),)


def test_the_protocol_may_come_from_elsewhere(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, pair: tuple[Path, Path]
) -> None:
    """From the environment, as a container has it; a flag still goes before the rest there."""
    monkeypatch.setenv("FILEPIPE_PROTOCOL", "piping")
    monkeypatch.setenv("LISTEN", ":1")
    monkeypatch.setenv("FILEPIPE_TLS_CERT", str(pair[0]))
    monkeypatch.setenv("FILEPIPE_TLS_KEY", str(pair[1]))
    assert listeners(serve, "--http-port", "2") == (Listen(port=2, protocol="piping"),)


@pytest.mark.parametrize("port", [["--port", "7000"], ["-p", "7000"], ["-p7000"]])
def test_httpipe(serve: Serve, port: list[str]) -> None:
    """Its port, and its limit as a setting of ours."""
    code, settings = serve(*HTTPIPE, *port, "-r", "20")
    assert code == 7
    assert settings is not None
    assert settings.listeners() == (Listen(host="0.0.0.0", port=7000, protocol="httpipe"),)
    assert settings.request_timeout == 20.0


def test_httpipe_reads_its_variables(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """PORT and REQUEST_TIMEOUT; the flag goes first."""
    monkeypatch.setenv("PORT", "6789")
    monkeypatch.setenv("REQUEST_TIMEOUT", "20")
    code, settings = serve(*HTTPIPE)
    assert code == 7
    assert settings is not None
    assert (settings.listen, settings.request_timeout) == (("0.0.0.0:6789",), 20.0)
    assert listeners(serve, *HTTPIPE, "--port", "1")[0].port == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--http-port", "1"], "--http-port needs --protocol piping"),
        ([*HTTPIPE, "--host", "::1"], "--host needs --protocol piping"),
        ([*HTTPIPE, "--enable-https"], "--enable-https needs --protocol piping"),
        (["-p", "1"], "--port needs --protocol httpipe"),
        ([*PIPING, "-p", "1", "--http-port", "1"], "--port needs --protocol httpipe"),
        ([*PIPING, "--http-port", "1", "--listen", ":1"],
         "--listen and --http-port exclude each other"),
        ([*HTTPIPE, "-l", ":1", "-p", "1"], "--listen and --port exclude each other"),
        ([*PIPING, *HTTPS, "--tls-cert", "c.pem", "--tls-key", "k.pem"],
         "--tls-cert and --enable-https exclude each other"),
        ([*PIPING, *HTTPS[:1]], "--enable-https needs --https-port and --crt-path and --key-path"),
        ([*PIPING, *HTTPS[:3]], "--enable-https needs --key-path"),
        ([*PIPING, *HTTPS[:3], "--key-path="], "--enable-https needs --key-path"),
        ([*PIPING, *HTTPS[1:]], "--https-port needs --enable-https"),
        ([*PIPING, "--crt-path", "c.pem"], "--crt-path needs --enable-https"),
        ([*PIPING, *HTTPS[:3], "--key-path=/absent"], "--key-path: '/absent' cannot be read: "
         "No such file or directory"),
        ([*PIPING, "--http-port", "http"],
         "--http-port: 'http' is not a port, which is a number up to 65535"),
        ([*PIPING, "--http-port="], "--http-port: '' is not a port, which is a number up to 65535"),
        ([*HTTPIPE, "--port", "65536"],
         "--port: '65536' is not a port, which is a number up to 65535"),
        ([*PIPING, "--host", "unix:/x"], "--host: 'unix:/x' is no address and no host name"),
        ([*PIPING, "--host", "a=b c"], "--host: 'a=b c' is no address and no host name"),
        ([*PIPING, "--enable-https=perhaps"],
         'Invalid value for --enable-https: unable to convert "perhaps" into bool.'),
        ([*HTTPIPE, "-r", "0"], "request_timeout: must be longer than 0 seconds (flag "
         "--request-timeout)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_and_exit_2(
    serve: Serve, arguments: list[str], line: str, capsys: pytest.CaptureFixture[str],
    pair: tuple[Path, Path],
) -> None:  # fmt: skip
    """A flag of another protocol, beside ours for the same, without what it needs."""
    assert serve(*arguments) == (2, None)
    assert capsys.readouterr().err == f"filepipe: {line}\n"


def test_help_has_a_group_for_each_original(
    serve: Serve, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below the settings, with the protocol that they need."""
    monkeypatch.setenv("COLUMNS", "120")
    assert serve("--help") == (0, None)
    lines = capsys.readouterr().out.splitlines()
    groups = {
        protocol: next(at for at, line in enumerate(lines) if f"with --protocol {protocol}" in line)
        for protocol in ("piping", "httpipe")
    }
    for spelling in SPELLINGS:
        flag = "--" + spelling.name.replace("_", "-")
        place = next(at for at, line in enumerate(lines) if f" {flag} " in line)
        assert 0 < place - groups[spelling.protocol] <= 6
        assert spelling.meaning in lines[place]
    assert not {spelling.name for spelling in SPELLINGS} & set(Settings.model_fields)


def test_a_piping_daemon_goes_at_one_signal(tmp_path: Path) -> None:
    """Started by the line of the original; idle, it exits with 0 by itself."""
    log = tmp_path / "log"
    with log.open("w") as stream, subprocess.Popen(
        [sys.executable, "-m", "filepipe", "serve", "--protocol", "piping", "--host=127.0.0.1",
         "--http-port=0", "--data-dir", str(tmp_path / "data"), "--log-format", "json"],
        stderr=stream, cwd=tmp_path,
    ) as process:  # fmt: skip
        try:
            eventually(lambda: '"protocol":"piping"' in log.read_text().replace(" ", ""))
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
