"""Limits: how many, how large, how full; each is an answer in words, and nothing is harmed."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import eventually, read_until
from tests.scenarios.peers import MIB, body_of, sha
from tests.scenarios.uploads.api import Api
from tests.scenarios.uploads.conftest import Launch
from tests.scenarios.uploads.test_uploads_parts import head


@pytest.fixture
def small(launch: Launch) -> Api:
    """A daemon with small limits."""
    return launch("--max-uploads", "2", "--max-upload-size", "5M", "--max-disk", "6M")


def metrics(api: Api) -> dict[str, float]:
    """The numbers of /metrics that have no label."""
    lines = Api(api.daemon, 0).call("GET", "/metrics").body.decode().splitlines()
    pairs = [line.split(" ") for line in lines if line[0] != "#" and "{" not in line]
    return {name: float(value) for name, value in pairs}


def test_limits(small: Api) -> None:
    """Too large is 413; too many and no room are 507, and end with what they were for."""
    reply = small.init(filename="f", total_size=5 * MIB + 1)
    assert "limit" in reply.refused(413, "too_large")
    first = small.begin(bytes(4 * MIB))
    reply = small.init(filename="f", total_size=3 * MIB)
    assert reply.refused(507, "over_budget").startswith("disk quota")
    second = small.begin(b"x")
    assert metrics(small)["filepipe_uploads_open"] == 2.0
    assert metrics(small)["filepipe_disk_bytes"] == 4 * MIB + 1
    reply = small.init(filename="f", total_size=0)
    assert "too many open uploads" in reply.refused(507, "over_budget")
    assert second.put(0, b"x").status == 200
    assert second.complete().status == 200
    assert first.cancel().status == 200
    found = metrics(small)
    assert (found["filepipe_uploads_open"], found["filepipe_disk_bytes"]) == (0.0, 0.0)
    assert found["filepipe_upload_parts_total"] == 1.0
    assert small.upload(body_of(4 * MIB)).status()["status"] == "complete"
    small.daemon.assert_clean_log()


def test_each_has_its_own_number(small: Api) -> None:
    """Whoever has the key, and whoever has none: neither fills the other's."""
    everybody = Api(small.daemon, 0)
    fields = {"Upload-Complete": "?0", "Upload-Length": "5"}
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "5"}
    for number in range(2):
        small.begin(b"x")
        assert everybody.call("PUT", f"/open-{number}", b"", fields).status == 201
    assert small.init(filename="f", total_size=1).status == 507
    assert everybody.ask("POST", "/files/", b"", tus).status == 507
    assert everybody.call("PUT", "/open-2", b"", fields).status == 507
    assert small.made[0].cancel().status == 200
    assert everybody.call("PUT", "/open-2", b"", fields).status == 507
    assert everybody.ask("POST", "/files/", b"", tus).status == 201
    small.daemon.assert_clean_log()


def test_fixed_sizes(odd: Api) -> None:
    """For clients that know the size of a part by heart: each is as large as it may be."""
    made = odd.begin(body_of(2 * MIB + 7), "name")
    assert [len(made.piece(number)) for number in range(3)] == [MIB, MIB, 7]
    made.put_all()
    made.complete()
    eventually(lambda: made.status()["status"] == "complete")
    second = odd.begin(b"second", "name")
    second.put_all()
    second.complete()
    eventually(lambda: second.status()["final_path"] == "name")
    assert odd.at("name") == b"second"


def test_a_full_disk(launch: Launch, small_disk: Path) -> None:
    """What does not fit is refused at the beginning, so that no part is lost to it later."""
    api = launch("--local-storage-path", str(small_disk), "--max-disk", "unlimited")
    made = api.begin(body_of(3 * MIB))
    api.init(filename="f", total_size=40 * MIB).refused(507, "disk_full")
    with (small_disk / "theirs").open("wb", buffering=0) as theirs:
        theirs.write(bytes(16 * MIB))
    api.init(filename="f", total_size=MIB).refused(507, "disk_full")
    made.put_all()
    assert made.complete().status == 200
    assert (small_disk / made.status()["final_path"]).read_bytes() == made.body
    (small_disk / "theirs").unlink()
    assert api.upload(body_of(2 * MIB)).status()["status"] == "complete"
    assert api.call("GET", "/health").status == 200


@pytest.mark.parametrize("way", ["--relay", "--no-relay"])
def test_many_parts_in_flight(launch: Launch, way: str) -> None:
    """Each holds little memory, however much of it has come already."""
    api = launch(way)
    made = api.begin(body_of(64 * MIB))
    with ExitStack() as lines:
        senders = [
            lines.enter_context(api.daemon.connect(head(made, number, MIB), listener=1))
            for number in range(64)
        ]
        for number, sender in enumerate(senders):
            sender.sendall(made.piece(number)[:-1])
        eventually(lambda: metrics(api)["filepipe_uploads_open"] == 1.0)
        status = Path(f"/proc/{api.daemon.pid}/status").read_text()
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])  # type: ignore[index]
        assert peak < 160 * 1024, f"{peak} KiB"
        for number, sender in enumerate(senders):
            sender.sendall(made.piece(number)[-1:])
        for number, sender in enumerate(senders):
            assert sha(made.piece(number)).encode() in read_until(sender, b"}")
    assert made.complete().status == 200
    assert sha(api.at(made.status()["final_path"])) == sha(made.body)


def test_a_silent_sender(odd: Api) -> None:
    """Who sends nothing for the limit is told, and the part is free for the next one."""
    made = odd.begin(body_of(1000))
    head = (
        f"PUT /upload/{made.id}/part/0 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
        f"Authorization: Bearer {made.token(0)}\r\n\r\n"
    )
    answer = odd.daemon.talk(head.encode() + b"x" * 10, listener=1)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code": "stalled"' in answer
    eventually(lambda: made.put(0).status == 200)
