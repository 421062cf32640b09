"""Daemons that all tests of rendezvous share, and keys that nobody else has."""

from __future__ import annotations

import itertools
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Daemon, eventually
from tests.scenarios.answers import raw, talk
from tests.scenarios.peers import descriptors

_numbers = itertools.count()

SECURE = 1
"""The number of the https listener."""

SPARE = 16
"""Descriptors that the relay's threads, the epoll of departures and the log may have opened."""


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate that signs itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificate")
    chain, key = str(folder / "chain"), str(folder / "key")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", key, "-out", chain, "-days", "1", "-subj", "/CN=localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    return chain, key


@pytest.fixture(scope="session")
def tls() -> ssl.SSLContext:
    """A client that takes any certificate; before 1.3, so that a FIN is a FIN."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def _start(flag: str, folder: Path, certificate: tuple[str, str]) -> Daemon:
    chain, key = certificate
    return Daemon(
        [flag, "--listen", "127.0.0.1:0", "--listen", "https://127.0.0.1:0", "--tls-cert", chain,
         "--tls-key", key, "--allow-delete", "--retention", "0.2", "--max-receivers", "8"],
        folder,
    )  # fmt: skip


@pytest.fixture(scope="session", params=["relay", "no-relay"])
def hall(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    certificate: tuple[str, str],
) -> Iterator[Daemon]:
    """A daemon in which people meet; the kernel moves large bodies, or the event loop does.

    When all have left, nothing of them has stayed behind.
    """
    daemon = _start(f"--{request.param}", tmp_path_factory.mktemp(request.param), certificate)
    before = descriptors(daemon)
    yield daemon
    for entry in daemon.state()["keys"]:  # what another protocol keeps for long
        talk(daemon, raw(f"DELETE /{entry['key']} HTTP/1.1"))
    try:
        eventually(lambda: _is_empty(daemon))
        eventually(lambda: descriptors(daemon) <= before + SPARE)
    finally:
        daemon.kill()
    daemon.assert_clean_log()


def _is_empty(daemon: Daemon) -> bool:
    state = daemon.state()
    held = state["memory"]["used"] + state["disk"]["used"]
    return not (state["channels"] or state["waiting_readers"] or held)


@pytest.fixture
def path() -> str:
    """The path of a key that no other test uses."""
    return f"/meet-{next(_numbers)}"


Start = Callable[..., Daemon]
