"""Which listeners are opened for which settings, and what is said of them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from filepipe.app import App, make_app
from filepipe.config import PROTOCOLS, Settings, load_settings
from filepipe.credentials import Credentials
from filepipe.errors import ConfigError
from filepipe.listeners import Listener, close_all, open_all

MakeApp = Callable[..., App]


@pytest.fixture
async def app_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MakeApp]:
    """Makes the app of the settings that these flags give."""
    monkeypatch.chdir(tmp_path)
    contexts = []

    async def make(**flags: object) -> App:
        folder = tmp_path / f"data-{len(contexts)}"
        settings: Settings = load_settings({"data_dir": str(folder), **flags})
        context = make_app(settings, Credentials(b"k" * 32, b"s" * 32, b"w" * 32, {}))
        contexts.append(context)
        return await context.__aenter__()

    yield make
    for context in contexts:
        await context.__aexit__(None, None, None)


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    """A listening socket as a service manager hands it over."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


async def health(listener: Listener) -> bytes:
    """What the daemon says of itself on the first address of a listener."""
    address = listener.addresses[0]
    if address.startswith("unix:"):
        reader, writer = await asyncio.open_unix_connection(address[5:])
    else:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    writer.write(b"GET /health HTTP/1.0\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer


async def test_each_address_gets_its_listener(app_with: MakeApp, tmp_path: Path) -> None:
    """In the order of the settings, with the port that the kernel chose."""
    path = tmp_path / "sock"
    app = await app_with(listen=["127.0.0.1:0", f"unix:{path}=file-pipe"])
    listeners = await open_all(app, {})
    tcp, unix = listeners
    assert [listener.listen.protocol for listener in listeners] == ["auto", "file-pipe"]
    assert tcp.addresses[0].startswith("127.0.0.1:")
    assert not tcp.addresses[0].endswith(":0")
    assert unix.addresses == (f"unix:{path}",)
    for listener in listeners:
        assert b'"OK"' in await health(listener)
    close_all(listeners)
    assert not path.exists()
    with pytest.raises(ConnectionRefusedError):
        await health(tcp)


async def test_each_protocol_has_its_front(app_with: MakeApp) -> None:
    """What a setting may name is what the daemon speaks."""
    app = await app_with()
    assert set(app.fronts) == set(PROTOCOLS)


@pytest.mark.parametrize(
    ("address", "open_to"),
    [
        ("127.0.0.1:0", "this machine"),
        ("localhost:0", "this machine"),
        ("0.0.0.0:0", "everybody who can reach this address"),
        (":0", "everybody who can reach this address"),
        ("unix:{}/sock", "this machine"),
    ],
)
async def test_who_can_reach_it(
    app_with: MakeApp, tmp_path: Path, address: str, open_to: str
) -> None:
    """The start says plainly to whom each listener is open."""
    app = await app_with(listen=[address.format(tmp_path)])
    listeners = await open_all(app, {})
    assert [listener.open_to for listener in listeners] == [open_to]
    close_all(listeners)


async def test_one_that_fails_closes_all(app_with: MakeApp, sock: socket.socket) -> None:
    """When an address cannot be had the others are free again, and the sentence names it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = f"127.0.0.1:{probe.getsockname()[1]}"
    taken = f"127.0.0.1:{sock.getsockname()[1]}"
    app = await app_with(listen=[free, taken])
    with pytest.raises(ConfigError, match=f"^listen: cannot open {taken}: .*in use"):
        await open_all(app, {})
    with socket.create_server(("127.0.0.1", int(free.rpartition(":")[2]))):
        pass


async def test_a_socket_handed_over_replaces_the_default(
    app_with: MakeApp, sock: socket.socket
) -> None:
    """Without any --listen nothing is opened beside what the service manager holds."""
    listeners = await open_all(await app_with(), {"file-pipe": [sock]})
    assert [(one.listen.kind, one.listen.protocol) for one in listeners] == [("fd", "file-pipe")]
    assert listeners[0].addresses == (f"127.0.0.1:{sock.getsockname()[1]}",)
    assert listeners[0].open_to == "this machine"
    assert b'"OK"' in await health(listeners[0])
    close_all(listeners)


async def test_a_socket_with_a_name_of_no_protocol(app_with: MakeApp, sock: socket.socket) -> None:
    """It speaks what --protocol says."""
    app = await app_with(protocol="file-pipe")
    listeners = await open_all(app, {"unknown": [sock]})
    assert [listener.listen.protocol for listener in listeners] == ["file-pipe"]
    close_all(listeners)


async def test_a_socket_that_no_setting_names_is_served_as_well(
    app_with: MakeApp, sock: socket.socket
) -> None:
    """What was handed over is never left to pile up connections that nobody accepts."""
    app = await app_with(listen=["127.0.0.1:0"])
    listeners = await open_all(app, {"auto": [sock]})
    assert [listener.listen.kind for listener in listeners] == ["tcp", "fd"]
    close_all(listeners)


async def test_a_socket_is_served_once(app_with: MakeApp, sock: socket.socket) -> None:
    """A socket that a setting names is served as that setting says, and not again by its name."""
    app = await app_with(listen=["fd:main=file-pipe"])
    listeners = await open_all(app, {"main": [sock]})
    assert [listener.listen.protocol for listener in listeners] == ["file-pipe"]
    close_all(listeners)


async def test_a_name_that_nobody_handed_over(app_with: MakeApp) -> None:
    """A setting that names a socket needs the service manager to pass it."""
    app = await app_with(listen=["fd:main"])
    with pytest.raises(ConfigError, match="passed no socket named main"):
        await open_all(app, {})


async def test_a_unix_socket_handed_over(app_with: MakeApp, tmp_path: Path) -> None:
    """Its name belongs to the service manager, so it stays when we go."""
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
        listeners = await open_all(await app_with(), {"auto": [sock]})
        assert listeners[0].addresses == (f"unix:{path}",)
        assert b'"OK"' in await health(listeners[0])
        close_all(listeners)
    assert path.exists()


async def test_what_a_dead_daemon_left_is_removed(app_with: MakeApp, tmp_path: Path) -> None:
    """A socket file on which nobody listens is in nobody's way."""
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    listeners = await open_all(await app_with(listen=[f"unix:{path}"]), {})
    assert b'"OK"' in await health(listeners[0])
    close_all(listeners)


async def test_what_lives_is_left_alone(app_with: MakeApp, tmp_path: Path) -> None:
    """Neither a socket on which somebody listens nor a file of another kind is touched."""
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(str(path))
        alive.listen()
        app = await app_with(listen=[f"unix:{path}"])
        with pytest.raises(ConfigError, match="somebody listens on"):
            await open_all(app, {})
    (tmp_path / "notes").write_text("mine")
    app = await app_with(listen=[f"unix:{tmp_path / 'notes'}"])
    with pytest.raises(ConfigError, match="exists and is no socket"):
        await open_all(app, {})
    assert (tmp_path / "notes").read_text() == "mine"
