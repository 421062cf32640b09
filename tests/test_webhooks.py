"""Webhooks: told at least once how an upload ended, and nobody who is not allowed."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import hashlib
import hmac
import json
import signal
import sqlite3
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from filepipe import __version__, webhooks
from filepipe.protocols.forwarding import WEBHOOKS, ForwardRules
from filepipe.protocols.webhook import DELAYS
from filepipe.records import outbox
from filepipe.records.database import Database
from filepipe.service import Statistics
from tests.conftest import Daemon, eventually
from tests.records.test_outbox import EVENT
from tests.targets import Target

KEY = "k" * 32
SECRET = "s" * 40
ENV = {"API_KEY": KEY, "WEBHOOK_SECRET": SECRET}
ALLOWED = ("--webhook-allow", "127.0.0.1", "--log-level", "debug")
SIZE = 1000


@pytest.fixture
def target() -> Iterator[Target]:
    """A target that answers 200 at once."""
    made = Target()
    yield made
    made.close()


@pytest.fixture(scope="module")
def allowing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that may post to 127.0.0.1 and nowhere else."""
    daemon = Daemon([*ALLOWED], tmp_path_factory.mktemp("webhooks"), env=ENV)
    yield daemon
    daemon.kill()


def ask(
    daemon: Daemon, method: str, path: str, data: bytes = b"", **headers: str
) -> tuple[int, Any]:
    """The status and the JSON that is answered."""
    request = urllib.request.Request(
        daemon.url(path), data, {"X-API-Key": KEY, **headers}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)


def begin(daemon: Daemon, url: str, **fields: object) -> tuple[int, Any]:
    """Begin an upload whose end a webhook is told."""
    wish = {"filename": "in/a.bin", "total_size": SIZE, "webhook_url": url, **fields}
    content = {"Content-Type": "application/json"}
    return ask(daemon, "POST", "/upload/init", json.dumps(wish).encode(), **content)


def upload(daemon: Daemon, url: str, **fields: object) -> str:
    """Upload something in one part and complete it; its id."""
    _, begun = begin(daemon, url, **fields)
    (part,) = begun["parts"]
    path = f"/upload/{begun['file_id']}"
    ask(daemon, "PUT", f"{path}/part/0", bytes(SIZE), Authorization=f"Bearer {part['token']}")
    ask(daemon, "POST", f"{path}/complete")
    return str(begun["file_id"])


def status(daemon: Daemon, upload_id: str) -> Any:
    """What the daemon says of an upload."""
    return ask(daemon, "GET", f"/upload/{upload_id}/status")[1]


def again(daemon: Daemon) -> Daemon:
    """The same daemon after its end, with the same data."""
    daemon.log_path.rename(daemon.log_path.with_name("before.log"))
    return Daemon([*ALLOWED], daemon.folder, env=ENV)


def waiting(daemon: Daemon) -> int:
    """How many events are recorded; only when the daemon has ended."""
    path = daemon.data_dir / "filepipe/uploads.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM outbox").fetchone()[0])


def test_a_complete_upload_is_told(allowing: Daemon, target: Target) -> None:
    """What, by whom, and signed over the bytes that came."""
    upload_id = upload(allowing, target.url("/hook?a=1"))
    eventually(lambda: target.posts)
    (post,) = target.posts
    event = json.loads(post.body)
    completed_at = event.pop("completed_at")
    final_path = event.pop("final_path")
    assert event == {
        "event": "upload.complete", "file_id": upload_id, "filename": "a.bin", "path": "in/a.bin",
        "total_size": SIZE, "storage_backend": "local", "failed_at": None, "error": None,
    }  # fmt: skip
    assert final_path == status(allowing, upload_id)["final_path"]
    assert completed_at.endswith("Z")
    assert post.path == "/hook?a=1"
    assert post.headers["content-type"] == "application/json"
    assert post.headers["user-agent"] == f"filepipe/{__version__}"
    sent = post.headers["webhook-timestamp"]
    assert abs(int(sent) - time.time()) < 60
    signed = f"{post.headers['webhook-id']}.{sent}.".encode() + post.body
    digest = hmac.digest(SECRET.encode(), signed, hashlib.sha256)
    assert post.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


def test_a_failed_upload_is_told(allowing: Daemon, target: Target) -> None:
    """With the reason."""
    upload_id = upload(allowing, target.url(), checksum_sha256="0" * 64)
    eventually(lambda: target.posts)
    event = json.loads(target.posts[0].body)
    known = status(allowing, upload_id)
    assert (event["event"], event["file_id"]) == ("upload.failed", upload_id)
    assert event["error"] == known["finalization_error"]
    assert event["error"]
    assert (event["final_path"], event["completed_at"]) == (None, None)
    assert event["failed_at"].endswith("Z")


@pytest.mark.parametrize("refusal", [500, 302, 404])
def test_what_is_not_accepted_is_sent_again(allowing: Daemon, target: Target, refusal: int) -> None:
    """The same event; a redirect is not followed."""
    target.answers = [refusal]
    upload(allowing, target.url())
    eventually(lambda: len(target.posts) == 2)
    first, second = target.posts
    assert (first.path, first.body) == (second.path, second.body)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    with urllib.request.urlopen(allowing.url("/metrics"), timeout=10) as answer:
        metrics = answer.read().decode()
    assert 'filepipe_webhooks_total{outcome="failed"} 0.0' not in metrics
    assert 'filepipe_webhooks_total{outcome="delivered"} 0.0' not in metrics


def test_a_name_that_leads_to_a_forbidden_address_leads_nowhere(
    start: Callable[..., Daemon], target: Target
) -> None:
    """The text may be good; the connect is not made. Nor is the URL in the log."""
    daemon = start("--webhook-allow", "10.0.0.0/8", "--log-level", "debug", env=ENV)
    upload(daemon, target.url("/s3cret?s3cret", host="localhost"))
    failures = lambda: [line for line in daemon.log() if line["event"] == "webhook failed"]  # noqa: E731
    eventually(failures)
    assert failures()[0]["reason"] == "the target is not allowed"
    assert not target.posts
    assert "s3cret" not in daemon.log_path.read_text()
    for url, code in [
        (target.url(), 403), ("http://[::1]:1/", 403), ("ftp://10.0.0.1/", 400),
        ("http://u:p@10.0.0.1/", 400), ("http://0x7f000001/", 400),
    ]:  # fmt: skip
        assert begin(daemon, url)[0] == code
    assert len(ask(daemon, "GET", "/upload")[1]["uploads"]) == 1


def test_without_the_setting_nothing_is_told(start: Callable[..., Daemon], target: Target) -> None:
    """Who wants a webhook is told so before a byte is stored."""
    code, answer = begin(start(env=ENV), target.url())
    assert (code, answer["error"]) == (403, "sending webhooks is not allowed here")


def test_a_kill_before_the_answer_tells_it_again(
    start: Callable[..., Daemon], target: Target
) -> None:
    """The same event, from the next start; then it is done with."""
    target.gate.clear()
    daemon = start(*ALLOWED, env=ENV)
    upload(daemon, target.url())
    eventually(lambda: target.posts)
    daemon.kill()
    assert waiting(daemon) == 1
    target.gate.set()
    after = again(daemon)
    try:
        eventually(lambda: len(target.posts) == 2)
        first, second = target.posts
        assert first.body == second.body
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert after.stop() == 0
        assert waiting(after) == 0
    finally:
        after.kill()


def test_a_restart_goes_on_with_what_was_not_told(start: Callable[..., Daemon]) -> None:
    """Nobody listened before; what was tried then counts."""
    dead = Target()
    port = dead.server_port
    dead.close()
    daemon = start(*ALLOWED, env=ENV)
    upload(daemon, f"http://127.0.0.1:{port}/hook")
    eventually(lambda: any(line["event"] == "webhook failed" for line in daemon.log()))
    assert daemon.stop() == 0
    assert waiting(daemon) == 1
    target = Target(port)
    after = again(daemon)
    try:
        eventually(lambda: len(target.posts) == 1)
    finally:
        after.kill()
        target.close()


def test_a_drain_lets_a_post_end_and_a_second_signal_does_not(
    start: Callable[..., Daemon], target: Target
) -> None:
    """What was cut is told at the next start."""
    target.gate.clear()
    daemon = start(*ALLOWED, env=ENV)
    upload(daemon, target.url())
    eventually(lambda: target.posts)
    daemon.process.send_signal(signal.SIGTERM)
    eventually(lambda: any(line["event"] == "draining" for line in daemon.log()))
    (line,) = [line for line in daemon.log() if line["event"] == "draining"]
    assert line["busy"] == 1
    assert daemon.process.poll() is None
    target.gate.set()
    assert daemon.process.wait(20) == 0
    assert waiting(daemon) == 0
    target.gate.clear()
    after = again(daemon)
    try:
        upload(after, target.url())
        eventually(lambda: len(target.posts) == 2)
        after.process.send_signal(signal.SIGTERM)
        eventually(lambda: any(line["event"] == "draining" for line in after.log()))
        assert after.stop() == 0
        assert waiting(after) == 1
    finally:
        after.kill()


async def post(folder: Path, event: outbox.Event, rules: ForwardRules) -> tuple[Statistics, int]:
    """Let an event be posted once: what was counted, and how many events are left."""
    database = await Database.open(folder / "uploads.db")
    await database.run(lambda connection: outbox.insert(connection, event))
    statistics = Statistics()
    telling = webhooks.Webhooks(database, rules, b"s" * 32, statistics, asyncio.Event())
    async with telling.running(), asyncio.timeout(15):
        while not statistics.webhooks:
            await asyncio.sleep(0.01)
        left = len(await database.run(lambda c: outbox.due(c, float("inf"), 10)))
    await database.aclose()
    return statistics, left


RULES = ForwardRules.parse(["127.0.0.1"], WEBHOOKS)


async def test_after_the_last_delay_it_is_given_up(tmp_path: Path, target: Target) -> None:
    """And never before."""
    target.answers = [500, 500]
    for number, (attempts, outcome) in enumerate(
        [(len(DELAYS) - 1, "failed"), (len(DELAYS), "given_up")]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        event = dataclasses.replace(EVENT, url=target.url(), attempts=attempts)
        statistics, left = await post(folder, event, RULES)
        assert statistics.webhooks == {outcome: 1}
        assert left == (outcome == "failed")


async def test_a_silent_target_is_left(
    tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its time; the event stays."""
    monkeypatch.setattr(webhooks, "PATIENCE", 0.1)
    target.gate.clear()
    event = dataclasses.replace(EVENT, url=target.url())
    statistics, left = await post(tmp_path, event, RULES)
    assert (statistics.webhooks, left) == ({"failed": 1}, 1)


async def test_what_is_allowed_no_more_is_not_told(tmp_path: Path, target: Target) -> None:
    """The settings of this start count, not those of the one that took the URL."""
    event = dataclasses.replace(EVENT, url=target.url())
    statistics, left = await post(tmp_path, event, ForwardRules.parse([], WEBHOOKS))
    assert (statistics.webhooks, left, target.posts) == ({"failed": 1}, 1, [])
