"""Uploads that are kept in a bucket: the same requests, the same promises."""

from __future__ import annotations

import http.client
import random
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.config import Config
from botocore.session import get_session

from tests.conftest import Daemon, eventually
from tests.s3 import ACCOUNT, BUCKET, S3, SECRET
from tests.s3_proxy import Kind, Proxy, proxied
from tests.scenarios.peers import MIB, body_of, sha
from tests.scenarios.uploads.api import ENVIRONMENT, KEY, LISTENERS, Api

BODY = body_of(11 * MIB)
LOCAL = ("--allowed-backends", "s3,local")


class Bucket:
    """What is at the server, seen without us."""

    def __init__(self, s3: S3) -> None:
        self._prefix = f"{s3.prefix}/"
        self._client = get_session().create_client(
            "s3", region_name="us-east-1", endpoint_url=s3.endpoint, aws_access_key_id=ACCOUNT,
            aws_secret_access_key=SECRET, config=Config(s3={"addressing_style": "path"}),
        )  # fmt: skip

    def names(self) -> set[str]:
        """The paths of all objects."""
        return set(self.etags())

    def etags(self) -> dict[str, str]:
        """Of all objects, by path: another one when another one has taken its place."""
        found = self._client.list_objects_v2(Bucket=BUCKET, Prefix=self._prefix)
        objects = found.get("Contents", ())
        return {item["Key"].removeprefix(self._prefix): item["ETag"] for item in objects}

    def uploads(self) -> set[str]:
        """The paths of all uploads in parts that have not ended."""
        found = self._client.list_multipart_uploads(Bucket=BUCKET, Prefix=self._prefix)
        return {item["Key"].removeprefix(self._prefix) for item in found.get("Uploads", ())}

    def put(self, name: str, body: bytes) -> None:
        """An object of somebody else."""
        self._client.put_object(Bucket=BUCKET, Key=self._prefix + name, Body=body)

    def clear(self) -> None:
        """Remove every object."""
        for name in self.names():
            self._client.delete_object(Bucket=BUCKET, Key=self._prefix + name)

    def read(self, name: str) -> bytes:
        """The bytes of an object."""
        found = self._client.get_object(Bucket=BUCKET, Key=self._prefix + name)
        return bytes(found["Body"].read())


@pytest.fixture(scope="module")
def proxy(s3_server: S3) -> Iterator[Proxy]:
    """What is between the daemon and the server."""
    with proxied(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def place(s3_server: S3, proxy: Proxy) -> S3:
    """The folder of the bucket that the daemon of this module has."""
    return S3(proxy.endpoint, uuid.uuid4().hex)


@pytest.fixture(scope="module")
def bucket(s3_server: S3, place: S3) -> Bucket:
    """The same folder, without the proxy."""
    return Bucket(place.behind(s3_server.endpoint))


@pytest.fixture(scope="module")
def running(place: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for all of these tests; its log tells no secret."""
    environment = {**ENVIRONMENT, **place.settings()}
    folder = tmp_path_factory.mktemp("s3")
    daemon = Daemon([*LISTENERS, *LOCAL], folder, env=environment)
    yield daemon
    daemon.kill()
    text = daemon.log_path.read_text()
    assert SECRET not in text
    assert ACCOUNT not in text
    daemon.assert_clean_log()


@pytest.fixture
def api(running: Daemon, proxy: Proxy, bucket: Bucket) -> Iterator[Api]:
    """The API; what a test leaves is removed, also at the server."""
    api = Api(running)
    yield api
    proxy.harms.clear()
    for made in api.made:
        made.cancel()
    bucket.clear()


def again(api: Api, place: S3) -> None:
    """Kill the daemon, and start it once more."""
    old = api.daemon
    old.kill()
    old.log_path.rename(old.folder / f"{time.time_ns()}.log")
    new = Daemon([*LISTENERS, *LOCAL], old.folder, env={**ENVIRONMENT, **place.settings()})
    old.process, old.addresses = new.process, new.addresses


def test_a_file(api: Api, bucket: Bucket) -> None:
    """Parts in random order become one object, with the name, at once; parts are not staged."""
    made = api.begin(BODY, "films/a file - ü.bin")
    count = made.answer["total_parts"]
    assert (count, made.size) == (3, 5 * MIB)
    for number in random.sample(range(count), count):
        reply = made.put(number)
        assert (reply.status, reply.json["checksum_sha256"]) == (200, sha(made.piece(number)))
    assert bucket.uploads() == {"films/a file - ü.bin"}
    status = made.status()
    assert (status["uploaded_parts"], status["storage_backend"]) == (count, "s3")
    assert bucket.names() == set()
    done = made.complete()
    assert (done.status, done.json["final_path"]) == (200, "films/a file - ü.bin")
    assert bucket.names() == {"films/a file - ü.bin"}
    assert bucket.read("films/a file - ü.bin") == BODY
    assert made.cancel().status == 200
    assert (bucket.names(), bucket.uploads()) == (set(), set())


def test_the_content(api: Api) -> None:
    """Once it is complete it is read, whole or a range of it; before that it is not."""
    made = api.begin(BODY)
    made.put_all()
    assert "not complete" in made.content().refused(409)
    made.complete()
    assert made.content().body == BODY
    part = made.content(Range=f"bytes={5 * MIB - 3}-{5 * MIB + 2}")
    assert (part.status, part.body) == (206, BODY[5 * MIB - 3 : 5 * MIB + 3])
    assert made.content(Range="bytes=-7").body == BODY[-7:]


@pytest.mark.parametrize("size", [0, 1, 5 * MIB])
def test_sizes(api: Api, size: int) -> None:
    """Nothing, little, and one whole part."""
    assert api.upload(BODY[:size]).content().body == BODY[:size]


def test_a_checksum(api: Api, bucket: Bucket) -> None:
    """What does not have it gets no name; the part that is wrong is sent anew."""
    made = api.begin(BODY, "checked", checksum_sha256=sha(BODY))
    made.put_all()
    other = made.piece(1)[::-1]
    assert made.put(1, other).status == 503
    assert made.put(1, other).status == 200
    failed = made.complete()
    assert (failed.status, failed.json["code"]) == (422, "unprocessable")
    assert "checked" not in bucket.names()
    assert made.put(1).status == 503
    assert made.put(1).status == 200
    assert made.complete().status == 200
    eventually(lambda: bucket.names() == {"checked"})
    assert bucket.read("checked") == BODY


def test_names_that_are_taken(api: Api, bucket: Bucket) -> None:
    """By whoever it is; nobody's object changes unless that was asked for."""
    bucket.put("taken.txt", b"somebody's")
    made = api.upload(b"ours", "taken.txt")
    assert made.status()["final_path"] == "taken (1).txt"
    assert bucket.read("taken.txt") == b"somebody's"
    late = api.begin(b"late", "late.txt")
    late.put_all()
    bucket.put("late.txt", b"first")
    assert late.complete().status == 422
    assert bucket.read("late.txt") == b"first"
    over = api.upload(b"over", "late.txt", overwrite=True)
    assert bucket.read("late.txt") == b"over"
    assert over.content().body == b"over"


def test_cancelling(api: Api, bucket: Bucket) -> None:
    """Nothing of it stays at the server."""
    made = api.begin(BODY)
    made.put(0)
    assert len(bucket.uploads()) == 1
    assert made.cancel().status == 200
    assert bucket.uploads() == set()


def test_a_restart(api: Api, place: S3, bucket: Bucket) -> None:
    """After a crash it goes on where it was; what nobody knows of is removed."""
    made, named = api.begin(BODY), api.begin(BODY, "named", checksum_sha256=sha(BODY))
    made.put(1)
    named.put_all()
    again(api, place)
    assert [part["status"] for part in made.status()["parts"]] == [
        "pending", "uploaded", "pending",
    ]  # fmt: skip
    for number in (0, 2, 1):
        assert made.put(number).status == 200
    assert made.complete().status == 200
    assert made.content().body == BODY
    assert named.complete().status == 200
    assert bucket.read("named") == BODY


def test_another_storage(api: Api, bucket: Bucket) -> None:
    """One that is allowed may be named, and a folder in it."""
    made = api.upload(b"here", "a.txt", storage="local", path="some/folder")
    assert (made.status()["storage_backend"], api.at("some/folder/a.txt")) == ("local", b"here")
    there = api.upload(b"there", "a.txt", storage="s3", path="some/folder")
    assert bucket.read("some/folder/a.txt") == b"there"
    assert there.content().body == b"there"
    fields = {"filename": "a", "total_size": 1}
    assert "not allowed" in api.init(**fields, storage="smb").refused(403)
    api.init(**fields, path="../out").refused(400)
    api.init(**fields, path=7).refused(422)


@pytest.mark.parametrize("kind", ["reset", "500", "error in 200", "lost"])
def test_a_part_in_trouble(api: Api, proxy: Proxy, kind: Kind) -> None:
    """The sender is asked to come again, in one sentence; others are not disturbed."""
    made = api.begin(BODY)
    proxy.harm(kind, "PUT", "partNumber=2")
    assert made.put(1).refused(503).startswith("the storage ")
    made.put_all()
    assert made.complete().status == 200
    assert made.content().body == BODY


def test_a_server_that_is_away(api: Api, proxy: Proxy, bucket: Bucket) -> None:
    """Health says so, completing fails with a reason, and succeeds when it is back."""
    made = api.begin(BODY, "away")
    made.put_all()
    harms = [proxy.harm("reset", method, times=999) for method in ("GET", "POST", "HEAD", "PUT")]
    health = api.ask("GET", "/health")
    assert (health.status, health.json["storage"]["backend_type"]) == (503, "s3")
    assert "cannot be reached" in health.json["storage"]["message"]
    assert "cannot be reached" in made.complete().refused(422)
    assert api.init(filename="b", total_size=1).refused(503)
    assert bucket.names() & {"away", "b"} == set()
    for harm in harms:
        harm.times = 0
    assert api.ask("GET", "/health").status == 200
    assert made.complete().status == 200
    assert bucket.read("away") == BODY


def test_a_reader_is_sent_there(s3: S3, tmp_path: Path) -> None:
    """With the setting, whoever reads gets a URL that is good for a while, and no key is asked."""
    environment = {**ENVIRONMENT, **s3.settings(), "S3_DOWNLOADS": "redirect"}
    api = Api(Daemon([*LISTENERS], tmp_path, env=environment))
    made = api.upload(BODY, "a name - ü.bin")
    reply = made.content()
    assert reply.status == 307
    head = api.ask("HEAD", f"/upload/{made.id}/content")
    assert (head.status, head.headers["Content-Length"]) == (200, str(len(BODY)))
    server, _, path = reply.headers["Location"].removeprefix("http://").partition("/")
    line = http.client.HTTPConnection(server)
    line.request("GET", "/" + path, headers={"Range": "bytes=1-3"})
    answer = line.getresponse()
    assert (answer.status, answer.read()) == (206, BODY[1:4])
    assert "a%20name%20-%20%C3%BC.bin" in answer.headers["Content-Disposition"]
    line.close()
    assert api.call("GET", f"/upload/{made.id}/content").refused(401)
    api.daemon.kill()
    assert KEY not in api.daemon.log_path.read_text()


def test_one_by_the_offset(api: Api, place: S3, bucket: Bucket) -> None:
    """Its bytes go to the server as soon as they are enough; the rest is here, over a crash too."""
    tus = {"X-API-Key": KEY, "Tus-Resumable": "1.0.0"}
    name = {"Upload-Metadata": "filename dHVzLmJpbg=="}
    made = api_at_root(api).call(
        "POST", "/files/", None, {**tus, **name, "Upload-Length": str(len(BODY))}
    )
    assert made.status == 201, made.body
    path = "/files/" + made.headers["Location"].rpartition("/")[2]

    def send(offset: int, end: int) -> int:
        moved = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
        return api_at_root(api).call("PATCH", path, BODY[offset:end], {**tus, **moved}).status

    assert send(0, 9 * MIB) == 204
    assert bucket.uploads() == {"tus.bin"}
    again(api, place)
    asked = api_at_root(api).call("HEAD", path, None, tus)
    assert asked.headers["Upload-Offset"] == str(9 * MIB)
    assert send(9 * MIB, len(BODY)) == 204
    assert bucket.read("tus.bin") == BODY
    assert api_at_root(api).call("GET", path, None, tus).body == BODY


def test_several_put_together(api: Api, bucket: Bucket) -> None:
    """What has no name yet is read at the server, and nothing of it is left there."""
    root, tus = api_at_root(api), {"X-API-Key": KEY, "Tus-Resumable": "1.0.0"}
    moved = {**tus, "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    paths = []
    for part in (BODY[: 9 * MIB], BODY[9 * MIB :]):
        length = {"Upload-Concat": "partial", "Upload-Length": str(len(part))}
        made = root.call("POST", "/files/", None, {**tus, **length})
        paths.append("/files/" + made.headers["Location"].rpartition("/")[2])
        assert root.call("PATCH", paths[-1], part, moved).status == 204
    final = {"Upload-Concat": f"final;{' '.join(paths)}", "Upload-Metadata": "filename Y29uY2F0"}
    assert root.call("POST", "/files/", None, {**tus, **final}).status == 201
    assert bucket.read("concat") == BODY
    for path in paths:
        assert root.call("DELETE", path, None, tus).status == 204
    eventually(lambda: (bucket.names(), bucket.uploads()) == ({"concat"}, set()))


def api_at_root(api: Api) -> Api:
    """The listener that has more than uploads in parts."""
    return Api(api.daemon, 0)
