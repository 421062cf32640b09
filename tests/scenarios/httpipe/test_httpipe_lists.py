"""What the lists show, and DELETE, which empties them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import eventually, read_until
from tests.scenarios.mount import Mount, finished, fresh
from tests.scenarios.peers import at_rest


def listed(front: Mount, path: str) -> Any:
    """A list; None for 404."""
    answer = front.ask("GET", path)
    if answer.status == 404:
        assert answer.body == b""
        return None
    assert (answer.status, answer["Content-Type"]) == (200, "application/json")
    return json.loads(answer.body)


@pytest.mark.parametrize("side", ["producer", "consumer"])
def test_use_makes_a_channel(front: Mount, side: str) -> None:
    """Whichever comes first; afterwards nothing of it is left."""
    namespace = fresh("ns")
    path = f"/channels/{namespace}/hello"
    assert listed(front, f"/channels/{namespace}") is None
    one = front.start_curl(path, *(("--data", "x") if side == "producer" else ()))
    eventually(lambda: listed(front, f"/channels/{namespace}") == ["hello"])
    assert listed(front, "/channels/namespaces") == [namespace]
    assert listed(front, "/state") == {namespace: ["hello"]}
    other = front.curl(path, *(("--data", "x") if side == "consumer" else ()))
    assert {other.status, finished(one).status} == {200}
    assert listed(front, f"/channels/{namespace}") is None
    assert listed(front, "/channels/namespaces") == []
    assert listed(front, "/state") == {}


def test_each_channel_stands_there_once(front: Mount) -> None:
    """However many wait, in the order of their names."""
    namespace = fresh("ns")
    waiting = [front.receiver(f"/channels/{namespace}/{name}") for name in "cabba"]
    eventually(lambda: listed(front, f"/channels/{namespace}") == ["a", "b", "c"])
    for one in waiting:
        one.leave()
    eventually(lambda: listed(front, "/state") == {})


def test_a_running_pair_is_not_listed(root: Mount, channel: str) -> None:
    """The lists show who waits."""
    with root.receiver(channel) as consumer, root.sender("POST", channel, 10) as producer:
        producer.send(b"hello")
        assert consumer.begin() == 200
        assert listed(root, "/state") == {}
        producer.send(b"world")
        assert consumer.rest() == b"helloworld"


@pytest.mark.parametrize("path", ["/channels/namespaces", "/state", "/channels/{}"])
def test_a_head_of_a_list(front: Mount, path: str) -> None:
    """Its headers, without it."""
    namespace = fresh("ns")
    with front.receiver(f"/channels/{namespace}/x"):
        eventually(lambda: namespace in listed(front, "/channels/namespaces"))
        answer = front.ask("HEAD", path.format(namespace))
        assert (answer.status, answer.body) == (200, b"")
        assert answer["Content-Type"] == "application/json"
    eventually(lambda: listed(front, "/state") == {})
    assert front.ask("HEAD", "/channels/nobody").status == 404


@pytest.mark.parametrize("whole", [False, True], ids=["channel", "namespace"])
@pytest.mark.parametrize("side", ["producer", "consumer"])
def test_delete_ends_who_waits(front: Mount, side: str, whole: bool) -> None:
    """With 410, each of them, and no others."""
    namespace, neighbour = fresh("ns"), fresh("ns")
    path = f"/channels/{namespace}"
    arguments = ("--data", "x") if side == "producer" else ()
    waiting = [front.start_curl(f"{path}/a", *arguments) for _ in range(3)]
    beside = front.start_curl(f"{path}/b", *arguments)
    eventually(lambda: (front.waiting(f"{path}/a"), front.waiting(f"{path}/b")) == (3, 1))
    with front.receiver(f"/channels/{neighbour}/a"):
        eventually(lambda: listed(front, "/state") == {namespace: ["a", "b"], neighbour: ["a"]})
        answer = front.ask("DELETE", path if whole else f"{path}/a")
        assert (answer.status, answer.body) == (204, b"")
        for one in waiting:
            assert finished(one).status == 410
        left = {neighbour: ["a"]} if whole else {namespace: ["b"], neighbour: ["a"]}
        assert listed(front, "/state") == left
        if not whole:
            assert front.ask("DELETE", path).status == 204
        assert finished(beside).status == 410
    eventually(lambda: listed(front, "/state") == {})


@pytest.mark.parametrize("path", ["/channels/nobody", "/channels/nobody/name"])
def test_nothing_to_delete(front: Mount, path: str) -> None:
    """404, empty."""
    answer = front.ask("DELETE", path)
    assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize("whole", [False, True], ids=["channel", "namespace"])
def test_delete_cuts_a_running_pair(root: Mount, channel: str, whole: bool) -> None:
    """Its producer gets 410, its consumer does not take the part for the whole."""
    with root.receiver(channel) as consumer, root.sender("POST", channel, None) as producer:
        producer.send(b"hello")
        assert consumer.begin() == 200
        assert consumer.take(5) == b"hello"
        path = channel.rpartition("/")[0] if whole else channel
        assert root.ask("DELETE", path).status == 204
        assert read_until(producer.sock, b"\r\n").startswith(b"HTTP/1.1 410 ")
        assert consumer.rest() is None
    eventually(lambda: at_rest(root.daemon))


def test_delete_needs_no_setting(auto: Mount, channel: str) -> None:
    """In `auto` too: who waits on a channel can be told to go."""
    consumer = auto.start_curl(channel)
    eventually(lambda: auto.ask("DELETE", channel).status == 204)
    assert finished(consumer).status == 410
