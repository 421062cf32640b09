"""Rounds in which nothing is kept: a sender and receivers who are there at the same time.

What both sides were told is compared: a receiver with the whole, a sender with success.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from tests.conftest import curl, eventually
from tests.scenarios.peers import Download, Offer, Peer, key_of, sha, stored
from tests.soak.ground import Ground

LARGE = 300_000
"""Bytes from which on a body is seen while it grows, whatever it says of its length; and of which
a receiver that does not read never has all."""

SUCCESS = (
    b"\r\n\r\ndelivered to ",
    b"\r\n\r\n[INFO] All receiver(s) was/were received successfully.\n",
    b"[INFO] All receiver(s) was/were received successfully.\n\r\n0\r\n\r\n",
    b"\r\nContent-Length: 0\r\n",
)
"""What is in the 200 of each protocol when, and only when, the body was delivered."""

FATES = ("whole", "sender goes", "receiver goes", "waiting receiver goes")


class Sender(Offer):
    """One who tells whether he was told of success."""

    def delivers(self, body: bytes) -> bool:
        """Send all of it; whether the daemon says that it arrived."""
        try:
            answer = self.finish(body)
        except ConnectionError:
            answer = self.answer()
        return answer.startswith(b"HTTP/1.1 200 ") and any(text in answer for text in SUCCESS)


def received(reader: Download) -> str | None:
    """What a whole body is compared by; None if there is none."""
    with contextlib.suppress(ConnectionError), reader:
        if reader.begin() == 200 and (rest := reader.rest()) is not None:
            return sha(rest)
    return None


@dataclass
class Party:
    """Everybody at one rendezvous, and what becomes of it."""

    ground: Ground
    key: str
    path: str
    fate: str

    def __post_init__(self) -> None:
        self.daemon, self.way = self.ground.way()
        self.body = self.ground.body(LARGE)
        self.part = self.ground.random.randint(1, len(self.body) - 1)

    def sender(self) -> Sender:
        """He states how many receivers there are to be."""
        return Sender(self.daemon, self.path, self.way.length(len(self.body)))

    def receiver(self, receive_buffer: int | None = None) -> Download:
        """One of them."""
        return Download(self.daemon, self.path, receive_buffer=receive_buffer)

    def goes(self, peer: Peer) -> None:
        """Leave in one of the ways."""
        self.ground.random.choice((peer.reset, peer.leave))()

    def sends(self, pool: ThreadPoolExecutor, sender: Sender) -> Future[bool]:
        """All of the body, or as much as the fate allows."""
        if self.fate == "sender goes":
            return pool.submit(self._breaks_off, sender)
        return pool.submit(sender.delivers, self.body)

    def _breaks_off(self, sender: Sender) -> bool:
        with contextlib.suppress(ConnectionError):
            sender.send(self.body[: self.part])
        # before that the others would only wait for the next one
        eventually(lambda: stored(self.daemon, self.key) > 0)
        self.goes(sender)
        return False


def hand_over(ground: Ground) -> None:
    """A sender and up to four receivers, of whom one may go: nobody is told of a false success."""
    number, key = ground.random.randint(1, 4), ground.key()
    ways = (f"/{key}?n=", f"/-/piping/{key}?strict=1&n=", f"/-/piping/{key}?n=")
    path = f"{ground.random.choice(ways)}{number}"
    party = Party(ground, key, path, ground.random.choice(FATES))
    with ThreadPoolExecutor(6) as pool, contextlib.ExitStack() as stack:
        if party.fate == "waiting receiver goes":
            party.goes(party.receiver())
            eventually(lambda: party.daemon.state()["waiting_readers"] == 0)
        first = ground.random.random() < 0.5
        sender = stack.enter_context(party.sender()) if first else None
        leaver = (
            stack.enter_context(party.receiver(4096)) if party.fate == "receiver goes" else None
        )
        stayers = [
            stack.enter_context(party.receiver()) for _ in range(number - (leaver is not None))
        ]
        sender = sender or stack.enter_context(party.sender())
        told = party.sends(pool, sender)
        got = [pool.submit(received, stayer) for stayer in stayers]
        if leaver is not None:
            assert leaver.begin() == 200
            party.goes(leaver)
        assert_honest(party, told.result(60), [each.result(60) for each in got])
    eventually(lambda: key_of(party.daemon, key) is None)


def assert_honest(party: Party, told: bool, got: list[str | None]) -> None:
    """Who stayed has the whole, unless the sender went; and the sender knows which."""
    if party.fate == "sender goes":
        assert set(got) == {None}, "a receiver took the part for the whole"
        return
    assert set(got) <= {sha(party.body)}, "one who stayed has not the whole"
    assert told is (party.fate != "receiver goes"), "the sender was told something false"


def messages(ground: Ground) -> None:
    """Twelve messages, and some who go: one consumer has each whole, or its producer knows."""
    daemon, way = ground.way()
    path = f"/channels/{ground.key()}/jobs?wait=60"
    bodies: dict[str, int] = {}
    told: dict[str, Future[bool]] = {}
    got: list[Future[str | None]] = []

    def produce() -> None:
        body = ground.random.randbytes(16) + ground.body()
        bodies[sha(body)] = len(body)
        sender = stack.enter_context(Sender(daemon, path, way.length(len(body))))
        told[sha(body)] = pool.submit(sender.delivers, body)

    def consume() -> None:
        got.append(pool.submit(received, Download(daemon, path)))

    def pass_by() -> None:
        peer = Download(daemon, path) if ground.random.random() < 0.5 else Sender(daemon, path, 9)
        ground.random.choice((peer.reset, peer.leave))()

    def all_told() -> bool:
        if all(each.done() for each in got):
            consume()  # one before met somebody who went
        return all(each.done() for each in told.values())

    steps = [consume, produce] * 12 + [pass_by] * ground.random.randint(0, 4)
    ground.random.shuffle(steps)
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(30) as pool:
        for step in steps:
            step()
        eventually(all_told, 60)
        curl("--request", "DELETE", daemon.url(path))
        arrived = Counter(each.result(60) for each in got)
    del arrived[None]
    assert set(arrived) <= set(bodies), "a consumer took a part for the whole"
    assert set(arrived.values()) <= {1}, "a message came twice"
    for body, size in bodies.items():
        success = told[body].result()
        # what is small may have gone to one who passed by: his kernel took all of it
        assert success == (body in arrived) or (success and size < LARGE), "a producer was deceived"
