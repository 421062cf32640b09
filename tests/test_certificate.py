"""The pair of the https listeners: what is served when its files change."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from filepipe.certificate import Certificate
from filepipe.errors import ConfigError
from tests.conftest import Daemon, eventually, read_until

Pair = tuple[Path, Path]
Mint = Callable[..., Pair]

EC = ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
RSA = ("rsa:2048",)
LOCKED = ("-passout", "pass:secret")


@pytest.fixture
def mint(tmp_path: Path) -> Mint:
    """Make a certificate that signs itself and its key, of a kind, with a password or without."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")

    def make(name: str, *kind: str, lock: tuple[str, ...] = ("-nodes",)) -> Pair:
        chain, key = tmp_path / f"{name}.crt", tmp_path / f"{name}.key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", *(kind or EC), *lock, "-keyout", str(key),
             "-out", str(chain), "-days", "1", "-subj", f"/CN={name}"],
            check=True, capture_output=True,
        )  # fmt: skip
        return chain, key

    return make


def der(pair: Pair) -> bytes:
    """The certificate of a pair as it travels."""
    return ssl.PEM_cert_to_DER_cert(pair[0].read_text())


def install(pair: Pair, at: Pair) -> None:
    """Replace both files, the certificate first, as a renewal does."""
    for source, target in zip(pair, at, strict=True):
        fresh = target.with_suffix(".fresh")
        fresh.write_bytes(source.read_bytes())
        fresh.replace(target)


def client() -> ssl.SSLContext:
    """A client that takes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def shown(certificate: Certificate, server_name: str | None = None) -> bytes | None:
    """The certificate that a handshake in memory gets to see."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client().wrap_bio(back, there, server_hostname=server_name)
    theirs = certificate.context.wrap_bio(there, back, server_side=True)
    for _ in range(3):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ours.getpeercert(binary_form=True)


@pytest.mark.parametrize("server_name", [None, "files.example"])
@pytest.mark.parametrize("kind", [EC, RSA], ids=["ec", "rsa"])
def test_a_new_pair_is_served(mint: Mint, kind: tuple[str, ...], server_name: str | None) -> None:
    """Also when its key is of another kind, and to clients that name no server."""
    pair, fresh = mint("old"), mint("new", *kind)
    certificate = Certificate(*pair)
    before = shown(certificate, server_name)
    assert before == der(pair)
    install(fresh, pair)
    certificate.refresh()
    assert before != shown(certificate, server_name) == der(fresh)


def test_a_half_replaced_pair_is_not_served(mint: Mint, capsys: pytest.CaptureFixture[str]) -> None:
    """One warning, until the files change again; then the whole pair."""
    pair, fresh = mint("old"), mint("new")
    old = der(pair)
    certificate = Certificate(*pair)
    pair[0].write_bytes(fresh[0].read_bytes())
    for _ in range(3):
        certificate.refresh()
        assert shown(certificate) == old
    warnings = capsys.readouterr()
    assert (warnings.out + warnings.err).count("the old one stays") == 1
    pair[1].write_bytes(fresh[1].read_bytes())
    certificate.refresh()
    assert shown(certificate) == der(fresh)


def test_a_pair_that_goes_and_comes_back(mint: Mint) -> None:
    """Without its files the daemon keeps what it has read."""
    pair, fresh = mint("old"), mint("new")
    old = der(pair)
    certificate = Certificate(*pair)
    for path in pair:
        path.unlink()
    certificate.refresh()
    assert shown(certificate) == old
    install(fresh, pair)
    certificate.refresh()
    assert shown(certificate) == der(fresh)


def test_a_pair_that_cannot_be_used_from_the_start(mint: Mint) -> None:
    """A key of another certificate, a locked key, no certificate: one sentence, no question."""
    pair, other, locked = mint("one"), mint("other"), mint("locked", lock=LOCKED)
    with pytest.raises(ConfigError, match=r"tls_key: the key is not that of the certificate\Z"):
        Certificate(pair[0], other[1])
    for chain, key in (locked, (pair[1], pair[1])):
        with pytest.raises(ConfigError, match="no PEM of its kind, or the key has a password"):
            Certificate(chain, key)
    other[1].unlink()
    with pytest.raises(ConfigError, match=r"tls_key: No such file or directory\Z"):
        Certificate(*other)


def test_the_daemon_serves_what_is_renewed(start: Callable[..., Daemon], mint: Mint) -> None:
    """New connections see the new certificate, old ones go on, a broken pair changes nothing."""
    pair, fresh = mint("old"), mint("new")
    daemon = start(
        "--listen", "127.0.0.1:0=file-pipe", "--listen", "127.0.0.1:0",
        "--tls-cert", str(pair[0]), "--tls-key", str(pair[1]),
    )  # fmt: skip

    def connect() -> ssl.SSLSocket:
        return client().wrap_socket(socket.create_connection(daemon.address, timeout=20))

    def seen() -> bytes | None:
        with connect() as sock:
            return sock.getpeercert(binary_form=True)

    def events(level: str) -> list[str]:
        lines = [line for line in daemon.log() if line.get("level") == level]
        return [line["event"] for line in lines if "certificate" in line["event"]]

    listening = [line for line in daemon.log() if line["event"] == "listening"]
    assert [line["scheme"] for line in listening] == ["https", "https"]
    with client().wrap_socket(daemon.connect(listener=1)) as old:
        assert old.getpeercert(binary_form=True) == der(pair) == seen()
        install(fresh, pair)
        eventually(lambda: seen() == der(fresh))
        old.sendall(b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_until(old, b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        warned = len(events("warning"))
        pair[1].write_text("no key")
        eventually(lambda: len(events("warning")) > warned)
        assert seen() == der(fresh)
        old.sendall(b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_until(old, b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert events("info") == ["new certificate"]
    daemon.assert_clean_log()
