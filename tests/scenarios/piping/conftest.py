"""One daemon that speaks piping in every way, and who talks to it."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Daemon, eventually
from tests.scenarios.piping.front import LISTENERS, WAYS, Front, fresh_path

Launch = Callable[..., Front]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificate")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", str(key), "-out", str(certificate), "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


@pytest.fixture(scope="session")
def trust(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """What a client that trusts the certificate connects by."""
    return ssl.create_default_context(cafile=str(certificate[0]))


@pytest.fixture(scope="session")
def tls(certificate: tuple[Path, Path]) -> tuple[str, ...]:
    """The settings of the certificate."""
    return ("--tls-cert", str(certificate[0]), "--tls-key", str(certificate[1]))


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory, tls: tuple[str, ...]) -> Iterator[Daemon]:
    """A daemon with the default settings for all of these tests, none of which upsets it."""
    daemon = Daemon([*LISTENERS, *tls], tmp_path_factory.mktemp("piping"))
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


@pytest.fixture(scope="package")
def impatient(tmp_path_factory: pytest.TempPathFactory, tls: tuple[str, ...]) -> Iterator[Daemon]:
    """A daemon with little patience and room."""
    settings = (
        "--heartbeat", "0.2", "--piping-wait", "1", "--stall-timeout", "1",
        "--max-receivers", "3", "--max-keys", "2",
    )  # fmt: skip
    daemon = Daemon([*LISTENERS, *tls, *settings], tmp_path_factory.mktemp("piping"))
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


def _front(daemon: Daemon, way: str, trust: ssl.SSLContext) -> Iterator[Front]:
    front = Front(daemon, WAYS[way], trust)
    yield front
    front.leave()
    eventually(front.at_rest)


@pytest.fixture(params=WAYS)
def front(request: pytest.FixtureRequest, shared: Daemon, trust: ssl.SSLContext) -> Iterator[Front]:
    """The protocol by each way; after the test every path must be free."""
    yield from _front(shared, request.param, trust)


@pytest.fixture(params=[way for way in WAYS if "1.0" not in way])
def modern(
    request: pytest.FixtureRequest, shared: Daemon, trust: ssl.SSLContext
) -> Iterator[Front]:
    """The ways of HTTP/1.1, for what HTTP/1.0 cannot do."""
    yield from _front(shared, request.param, trust)


@pytest.fixture(params=["1.0", "1.0-tls"])
def old(request: pytest.FixtureRequest, shared: Daemon, trust: ssl.SSLContext) -> Iterator[Front]:
    """The ways of HTTP/1.0."""
    yield from _front(shared, request.param, trust)


@pytest.fixture
def plain(shared: Daemon, trust: ssl.SSLContext) -> Iterator[Front]:
    """HTTP/1.1 without TLS, for what cannot depend on the way."""
    yield from _front(shared, "1.1", trust)


@pytest.fixture(params=WAYS)
def strained(
    request: pytest.FixtureRequest, impatient: Daemon, trust: ssl.SSLContext
) -> Iterator[Front]:
    """The impatient daemon, by each way."""
    yield from _front(impatient, request.param, trust)


@pytest.fixture
def limited(impatient: Daemon, trust: ssl.SSLContext) -> Iterator[Front]:
    """The impatient daemon, for what cannot depend on the way."""
    yield from _front(impatient, "1.1", trust)


@pytest.fixture
def launch(start: Callable[..., Daemon], tls: tuple[str, ...], trust: ssl.SSLContext) -> Launch:
    """Start a daemon of the test's own with these settings."""
    return lambda *settings, **process: Front(
        start(*LISTENERS, *tls, *settings, **process), WAYS["1.1"], trust
    )


@pytest.fixture
def path() -> str:
    """A path of the test's own."""
    return fresh_path()
