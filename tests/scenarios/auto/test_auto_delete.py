"""DELETE of a key in the protocol auto: off, or on by --allow-delete."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Daemon, curl, eventually
from tests.scenarios.answers import Answer, ask, assert_refused, parse, upload
from tests.scenarios.peers import MIB, Download, Upload


def put(daemon: Daemon, path: str, size: int = 5) -> str:
    """Upload zeros; returns the ETag."""
    tag = upload(daemon, path, bytes(size))["ETag"]
    assert tag is not None
    return tag


def test_delete_is_off(shared: Daemon, path: str) -> None:
    """By default nobody takes away what somebody else stored."""
    put(shared, path)
    answer = ask(shared, path, "--request", "DELETE")
    assert_refused(answer, 405, "DELETE is not supported here")
    assert answer["Allow"] == "GET, HEAD, POST, PUT, OPTIONS"
    assert curl(shared.url(path)).stdout == bytes(5)


@pytest.fixture(scope="module", params=["relay", "no-relay"])
def deletable(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Daemon]:
    """A daemon that lets keys be deleted."""
    folder = tmp_path_factory.mktemp("deletable")
    daemon = Daemon([f"--{request.param}", "--allow-delete", "--wait", "0"], folder)
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


def delete(daemon: Daemon, path: str, *arguments: str) -> Answer:
    """A DELETE."""
    return ask(daemon, path, "--request", "DELETE", *arguments)


@pytest.mark.parametrize("size", [5, 2 * MIB])
def test_delete(deletable: Daemon, path: str, size: int) -> None:
    """The key is free at once and its bytes are let go."""
    put(deletable, path, size)
    answer = delete(deletable, path)
    assert (answer.status, answer.body) == (204, b"")
    assert_refused(ask(deletable, path), 404)
    assert_refused(delete(deletable, path), 404, "key not found")
    eventually(lambda: not deletable.state()["memory"]["used"])
    eventually(lambda: not deletable.state()["disk"]["used"])
    assert put(deletable, path)
    assert delete(deletable, path).status == 204
    assert "DELETE" in (ask(deletable, path, "--request", "TRACE")["Allow"] or "")


def test_delete_on_a_condition(deletable: Daemon, path: str) -> None:
    """Who means a certain object does not delete its successor."""
    tag = put(deletable, path)
    answer = delete(deletable, path, "--header", 'If-Match: "another"')
    assert_refused(answer, 412, "another object")
    assert delete(deletable, path, "--header", f"If-Match: {tag}").status == 204


def test_delete_while_it_is_read(deletable: Daemon, path: str) -> None:
    """Whoever reads a finished object already may finish; nobody else may begin."""
    size = 12 * MIB
    put(deletable, path, size)
    with Download(deletable, path, receive_buffer=65536) as reader:
        assert reader.begin() == 200
        assert delete(deletable, path).status == 204
        assert ask(deletable, path).status == 404
        assert len(reader.rest() or b"") == size
    eventually(lambda: not deletable.state()["disk"]["used"])


def test_a_reserved_name_cannot_be_deleted(deletable: Daemon) -> None:
    """Nor can what is no key."""
    for name in ("/", "/health", "/-/auto/", "/-/auto/help", "/-/none/k"):
        assert_refused(delete(deletable, name), 400)


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_delete_while_it_grows(deletable: Daemon, path: str, *, chunked: bool) -> None:
    """Readers are cut at once, the key is free, and the sender hears of it."""
    size = 3 * MIB
    with (
        Upload(deletable, path, None if chunked else size) as sender,
        Download(deletable, f"{path}?wait=30") as reader,
    ):
        sender.send(bytes(MIB))
        assert reader.begin() == 200
        reader.take(MIB)
        assert delete(deletable, path).status == 204
        assert reader.rest() is None
        put(deletable, path)
        sender.send(bytes(MIB))
        assert_refused(parse(sender.answer()), 502, "deleted")
    assert curl(deletable.url(path)).stdout == bytes(5)
    assert delete(deletable, path).status == 204
