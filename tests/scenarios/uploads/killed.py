"""Daemons that are killed, the clients that they are killed under, and who watches meanwhile."""

from __future__ import annotations

import http.client
import random
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Protocol

from botocore.exceptions import ClientError

from tests.conftest import Daemon, eventually
from tests.scenarios.peers import MIB, sha
from tests.scenarios.uploads.api import ENVIRONMENT, LISTENERS, Api, Made, Reply
from tests.scenarios.uploads.test_uploads_s3 import Bucket


class Target(Protocol):
    """Where finished files are seen, past the daemon."""

    environment: dict[str, str]
    size: int
    """Bytes of an upload that has several parts there."""
    pause: float
    """Seconds between two looks."""

    def seen(self) -> Iterator[tuple[str, str, Callable[[], bytes]]]:
        """Each file: its name, what changes when another takes its place, and its bytes."""

    def leftovers(self, daemon: Daemon) -> set[str]:
        """What is there of uploads that are not finished."""


class Folder:
    """A folder of the local disk, also one that a file server shows."""

    size = 3 * MIB
    pause = 0.003

    def __init__(self, root: Path, drafts: Path, environment: dict[str, str]) -> None:
        self.root = root
        self.environment = environment
        self._drafts = drafts

    def seen(self) -> Iterator[tuple[str, str, Callable[[], bytes]]]:
        """Whatever does not begin with a dot."""
        for path in self.root.rglob("[!.]*"):
            name = path.relative_to(self.root)
            if any(part.startswith(".") for part in name.parts):
                continue
            try:
                found = path.stat()
                if stat.S_ISREG(found.st_mode):
                    stamp = f"{found.st_ino} {found.st_mtime_ns}"  # numbers are used again
                    yield str(name), stamp, path.read_bytes
            except FileNotFoundError:
                continue  # replaced or removed just now

    def leftovers(self, daemon: Daemon) -> set[str]:
        """The drafts."""
        return {path.name for path in self._drafts.iterdir() if path.name != ".lock"}


class Objects:
    """A folder of a bucket."""

    size = 6 * MIB
    pause = 0.05

    def __init__(self, bucket: Bucket, environment: dict[str, str]) -> None:
        self.environment = environment
        self._bucket = bucket

    def seen(self) -> Iterator[tuple[str, str, Callable[[], bytes]]]:
        """Whatever does not begin with a dot."""
        for name, etag in self._bucket.etags().items():
            if not name.startswith("."):
                yield name, etag, partial(self._read, name)

    def _read(self, name: str) -> bytes:
        try:
            return self._bucket.read(name)
        except ClientError as error:
            raise FileNotFoundError(name) from error

    def leftovers(self, daemon: Daemon) -> set[str]:
        """Uploads in parts that have not ended, and objects that are not for others."""
        hidden = {name for name in self._bucket.etags() if name.startswith(".")}
        return hidden | self._bucket.uploads()


class Watcher(threading.Thread):
    """Hashes whatever appears; `allowed` has the hashes that a name may have."""

    def __init__(self, target: Target) -> None:
        super().__init__(daemon=True)
        self.allowed: dict[str, set[str]] = {}
        self.hashed = 0
        self.wrong: list[str] = []
        self._target = target
        self._known: set[tuple[str, str]] = set()
        self._over = threading.Event()

    def run(self) -> None:
        """Until it is over."""
        while not self._over.wait(self._target.pause):
            self.look()

    def look(self) -> None:
        """Once."""
        for name, stamp, read in self._target.seen():
            if (name, stamp) in self._known:
                continue
            try:
                found = sha(read())
            except FileNotFoundError:
                continue
            self._known.add((name, stamp))
            self.hashed += 1
            if found not in self.allowed.get(name, set()):
                self.wrong.append(name)

    def end(self) -> None:
        """Look a last time."""
        self._over.set()
        self.join(30)
        self.look()


class Mortal:
    """A daemon that is killed and started again in the same folder."""

    def __init__(self, folder: Path, target: Target) -> None:
        self._folder = folder
        self._environment = {**ENVIRONMENT, **target.environment}
        self.api = Api(self._start())

    def _start(self) -> Daemon:
        return Daemon([*LISTENERS], self._folder, env=self._environment)

    def kill(self) -> None:
        """kill -9."""
        self.api.daemon.process.send_signal(signal.SIGKILL)
        self.api.daemon.process.wait(10)

    def again(self) -> None:
        """The next start; the last log has to be clean."""
        self.api.daemon.assert_clean_log()
        self.api.daemon.log_path.rename(self._folder / f"log-{time.time_ns()}")
        self.api.daemon = self._start()


class Client(threading.Thread):
    """One that goes on until it is done, or nobody answers any more."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.ending = threading.Event()
        """Set before it asks for the end."""
        self.completed = False
        """Whether it was told that all is there."""

    def run(self) -> None:
        """Work."""
        try:
            self.work()
        except (OSError, http.client.HTTPException):
            return

    def work(self) -> None:
        """All of it."""
        raise NotImplementedError

    def told(self) -> dict[str, int]:
        """What it has heard before the kill."""
        return {type(self).__name__.lower(): int(self.completed)}

    def judge(self) -> None:
        """After the restart: what was acknowledged is there; the rest is brought to its end."""
        raise NotImplementedError


class Parts(Client):
    """Sends parts in any order."""

    def __init__(self, made: Made, name: str, dice: random.Random) -> None:
        super().__init__()
        self.made = made
        self.name_wanted = name
        self.acknowledged: set[int] = set()
        self._order = dice.sample(range(made.answer["total_parts"]), made.answer["total_parts"])

    def work(self) -> None:
        """Each part once, then the end."""
        for number in self._order:
            if self.made.put(number).status == 200:
                self.acknowledged.add(number)
        self.ending.set()
        self.completed = self.made.complete().status == 200

    def told(self) -> dict[str, int]:
        """Of parts too."""
        return {"acknowledged": len(self.acknowledged), "complete": int(self.completed)}

    def judge(self) -> None:
        """No acknowledged part is lost."""
        status = self.made.status()
        here = {part["part"] for part in status["parts"] if part["status"] == "uploaded"}
        assert self.acknowledged <= here, "an acknowledged part is lost"
        assert status["status"] == "complete" or not self.completed
        self.made.put_all()
        assert self.made.complete().json["final_path"] == self.name_wanted
        assert sha(self.made.content().body) == sha(self.made.body)


class Cancelling(Client):
    """Begins, and thinks better of it."""

    def __init__(self, made: Made) -> None:
        super().__init__()
        self.made = made

    def work(self) -> None:
        """One part, then away."""
        self.made.put(0)
        self.ending.set()
        self.completed = self.made.cancel().status == 200

    def judge(self) -> None:
        """What was removed stays removed; the rest can be."""
        if not self.completed:
            assert self.made.cancel().status in (200, 404)
        self.made.content().refused(404)


class Growing(Client):
    """Appends to a resumable upload of a key, each time where the last answer said."""

    def __init__(self, mortal: Mortal, key: str, body: bytes, dice: random.Random) -> None:
        super().__init__()
        self.key = key
        self.body = body
        self.place: str | None = None
        self.allowed: dict[str, set[str]] = {}
        """As of the watcher."""
        self.stray = False
        """Whether an upload may be left that nobody knows of, until it expires."""
        self._mortal = mortal
        self.acknowledged = 0
        self._cuts = [dice.randrange(1, 1 + len(body) // 2) for _ in range(64)]

    def call(self, method: str, path: str, body: bytes = b"", **fields: str) -> Reply:
        """One request; the first one may tell where to go on."""
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        reply = Api(self._mortal.api.daemon, 0).call(method, path, body, named)
        if self.place is None and reply.headers["Location"]:
            self.place = reply.headers["Location"]
            self.allowed[f"keys/{self.place.rpartition('/')[2]}"] = {sha(self.body)}
        return reply

    def work(self) -> None:
        """From the last known offset to the end, in pieces of any size."""
        if self.place is None:
            self.call("PUT", self.key, Upload_Complete="?0", Upload_Length=str(len(self.body)))
        assert self.place is not None, "no place to go on at"
        for cut in self._cuts:
            piece = self.body[self.acknowledged : self.acknowledged + cut]
            last = self.acknowledged + len(piece) == len(self.body)
            if last:
                self.ending.set()
            reply = self.call(
                "PATCH", self.place, piece, Upload_Complete=f"?{int(last)}",
                Upload_Offset=str(self.acknowledged), Content_Type="application/partial-upload",
            )  # fmt: skip
            assert reply.status in (200, 204), reply
            self.acknowledged += len(piece)
            if last:
                self.completed = True
                return

    def told(self) -> dict[str, int]:
        """Of bytes too."""
        return {"grown, MiB": self.acknowledged // MIB, "grown": int(self.completed)}

    def judge(self) -> None:
        """No acknowledged byte is lost, and none was made up."""
        whole = False
        if self.place is None:
            self.stray = True  # the first answer was lost: there may be an upload at the key
            self.key += "-again"
        else:
            found = self.call("HEAD", self.place)
            assert found.status == 204, found
            offset, whole = int(found.headers["Upload-Offset"]), self._complete(found)
            assert self.acknowledged <= offset <= len(self.body), "acknowledged bytes are lost"
            assert whole or not self.completed
            self.acknowledged = offset
        if not whole:
            self.work()
        content = Api(self._mortal.api.daemon, 0).call("GET", self.key)
        assert sha(content.body) == sha(self.body)

    def _complete(self, reply: Reply) -> bool:
        return str(reply.headers["Upload-Complete"]) == "?1"


def nothing_left(target: Target, daemon: Daemon, strays: int) -> None:
    """Wait until no draft is left but `strays`, which nobody knows of."""
    eventually(lambda: len(target.leftovers(daemon)) <= strays)
